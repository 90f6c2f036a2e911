"""What a brand does about late orders: `policies/<brand>/orders.yaml`."""

from dataclasses import dataclass
from datetime import timedelta


@dataclass(frozen=True)
class OrderPolicy:
    """When customers hear of their orders, and when a late one opens a ticket. Zero: never.

    `warn_ahead`: how long before the promised time a delay is told at the earliest. `minimum_deviation`: what counts as
    later than promised. `eta_step`: how far the expected time has to move to be told again. `eta_lead`: how long before
    it the expected time is told. `risk_above_percent`: how likely a delay has to be to be told. `ticket_over`: the
    lateness that opens a ticket. `forget_after`: how long a finished order, or one nothing is heard of, is watched.
    `keep_facts`: how long after the last that is known of it an order's facts are kept, for claims, caps and audits.
    """

    warn_ahead: timedelta = timedelta(minutes=60)
    minimum_deviation: timedelta = timedelta(minutes=5)
    eta_step: timedelta = timedelta(minutes=10)
    eta_lead: timedelta = timedelta(minutes=10)
    risk_above_percent: int = 50
    ticket_over: timedelta = timedelta(hours=2)
    forget_after: timedelta = timedelta(days=7)
    keep_facts: timedelta = timedelta(days=90)


USUAL_ORDERS = OrderPolicy()
