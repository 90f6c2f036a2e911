"""Bugs that the simulation can be told to have, each with the violation that must be found: the checker's own test.

The switches are read where the simulated services do their steps; the product has none of them.
"""

from collections.abc import Mapping

# Name of the switch → name of the violation, and a seed that has it (the first to be tried).
BUGS: Mapping[str, tuple[str, int]] = {
    "intake answers before the log has it": ("acknowledged_lost", 0),
    "router commits before its work": ("acknowledged_lost", 9),
    "relay clears before it publishes": ("event_lost", 673),
    "the desk is answered before its change is stored": ("command_lost", 3),
    "notifier records before it sends": ("message_missing", 226),
    "every try has its own number": ("two_tickets_for_one_key", 3),
    "timers are forgotten": ("breach_missing", 3),
    "watchdog acknowledges before it publishes": ("breach_missing", 1),
    "breaches are stamped when found": ("breach_stamped_wrong", 1),
    "timers fire early": ("breach_early", 3),
    "breaches have random ids": ("breach_twice", 22),
    "due overtakes replies for good": ("met_left_breached", 12),
    "breaches are published before they are on record": ("met_left_breached", 894),
    "escalations have random ids": ("escalation_twice", 75),
    "first levels are forgotten": ("escalation_missing", 3),
    "every message has its own key": ("message_twice", 137),
    "ledger rows have random ids": ("voucher_twice", 24),
    "loyalty doesn't look at the key": ("voucher_twice", 118),
    "compensation commits before its work": ("voucher_missing", 67),
    "a voucher counts as published before it is": ("ledger_differs", 118),
    "the budget is taken apart from the row": ("budget_differs", 189),
    "relay publishes the newest only": ("versions_with_gaps", 3),
    "poison is dropped": ("poison_not_buried", 0),
    "good messages are buried": ("good_message_buried", 10),
    "poison stops the partition": ("partition_stuck", 0),
    "rows are kept in memory only": ("rebuilt_differs", 2),
    "a contact is printed": ("personal_data_leaked", 0),
}
