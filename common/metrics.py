"""Every metric, named once (`interfaces.md`, "Metrics"). No ticket, customer or order is ever a label."""

from prometheus_client import Counter, Gauge, Histogram

_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300)
_LONG = (1, 5, 10, 30, 60, 300, 600, 1800, 3600, 7200, 14400, 43200, 86400, 172800, 259200)

complaints_accepted = Counter(
    "pingxi_complaints_accepted", "Complaints acknowledged to the customer.", ["channel", "brand"]
)
complaints_rejected = Counter("pingxi_complaints_rejected", "Complaints refused.", ["channel", "reason"])
intake_ack_seconds = Histogram("pingxi_intake_ack_seconds", "Request to acknowledgement.", buckets=_SECONDS)
routing_seconds = Histogram("pingxi_routing_seconds", "Acknowledged to routed.", buckets=_SECONDS)
tickets_open = Gauge("pingxi_tickets_open", "Open tickets.", ["queue", "priority"])
sla_armed_timers = Gauge("pingxi_sla_armed_timers", "Timers waiting.", ["partition"])
sla_breach_lateness_seconds = Histogram(
    "pingxi_sla_breach_lateness_seconds", "Deadline to breach published.", buckets=_SECONDS
)
sla_oldest_due_seconds = Gauge("pingxi_sla_oldest_due_seconds", "Age of the oldest timer that is due but not judged.")
sla_breaches = Counter("pingxi_sla_breaches", "Breaches.", ["metric", "priority"])
sla_at_risk = Counter("pingxi_sla_at_risk", "Warnings before a deadline.")
escalations = Counter("pingxi_escalations", "Escalation levels published.", ["level"])
escalations_unacknowledged = Gauge("pingxi_escalations_unacknowledged", "Open escalations nobody acknowledged.")
surges_open = Gauge("pingxi_surges_open", "Open incidents.", ["dimension"])
vouchers = Counter("pingxi_vouchers", "Compensation decisions.", ["reason", "outcome"])
voucher_amount_minor = Counter("pingxi_voucher_amount_minor", "Amount published, in minor units.", ["reason"])
voucher_budget_remaining_minor = Gauge("pingxi_voucher_budget_remaining_minor", "What is left today.", ["budget"])
notifications = Counter("pingxi_notifications", "Messages to people.", ["channel", "outcome"])
first_response_seconds = Histogram("pingxi_first_response_seconds", "Acknowledged to first answer.", buckets=_LONG)
resolution_seconds = Histogram("pingxi_resolution_seconds", "Acknowledged to resolved.", buckets=_LONG)
satisfaction_score = Histogram("pingxi_satisfaction_score", "Ratings, 1 to 5.", buckets=(1, 2, 3, 4, 5))
dead_letters = Counter("pingxi_dead_letters", "Messages that can't be processed.", ["service", "reason"])
consumer_lag = Gauge("pingxi_consumer_lag", "Messages behind the end of the topic.", ["service", "topic"])
outbox_pending = Gauge("pingxi_outbox_pending", "Ticket events not published yet.")
policy_problems = Gauge(
    "pingxi_policy_problems", "Problems in edited policy files, which therefore aren't in force.", ["service"]
)
complaints_joined = Counter("pingxi_complaints_joined", "Complaints that belonged to an open ticket.", ["channel"])
automatic_answers = Counter(
    "pingxi_automatic_answers",
    "Questions a machine answered, and of those handed over to people and opened again after the end.",
    ["brand", "topic", "outcome"],
)
snapshots_repeated = Counter("pingxi_snapshots_repeated", "Open tickets told again: the watchdog was not heard of.")
reconciliation_difference_minor = Gauge(
    "pingxi_reconciliation_difference_minor", "Vouchers published less what became of them.", ["brand", "day"]
)
reconciliation_unmatched = Gauge(
    "pingxi_reconciliation_unmatched", "Vouchers only the log or only the ledger knows.", ["brand", "day"]
)
vouchers_unanswered = Gauge("pingxi_vouchers_unanswered", "Vouchers without a receipt for over an hour.", ["brand"])
orders_watched = Gauge("pingxi_orders_watched", "Running orders with something due.")
order_oldest_due_seconds = Gauge("pingxi_order_oldest_due_seconds", "Age of the oldest order timer that isn't judged.")
order_findings = Counter("pingxi_order_findings", "What was found about running orders.", ["finding"])
