"""The day's account of vouchers: what the log says was promised, against what the ledger says became of it. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from rules.model import Fault
from services.sla.compensation.model import LedgerRow
from services.sla.compensation.states import ISSUED

_PENDING = ("published", "reversing")


@dataclass(frozen=True)
class Totals:
    """Minor units of one brand and day. `published` is from vouchers.v1, all else from the ledger.

    `by_fault` is what stands (neither rejected nor reversed), for settlement. `unmatched` are promises that only one of
    both knows, or knows with another amount.
    """

    published: int = 0
    redeemable: int = 0
    redeemed: int = 0
    rejected: int = 0
    reversed: int = 0
    pending: int = 0
    vouchers: int = 0
    by_fault: tuple[tuple[Fault, int], ...] = ()
    unmatched: tuple[str, ...] = ()

    @property
    def difference(self) -> int:
        """0 where the books are right: published − (redeemable + redeemed + rejected + reversed + pending)."""
        became = self.redeemable + self.redeemed + self.rejected + self.reversed + self.pending
        return self.published - became


def bounds(day: date, time_zone: str) -> tuple[datetime, datetime]:
    """The instants at which a local day begins and ends; 23 or 25 hours apart where clocks change."""
    zone = ZoneInfo(time_zone)
    return tuple(  # type: ignore[return-value]
        datetime.combine(each, time(), zone).astimezone(ZoneInfo("UTC")) for each in (day, day + timedelta(days=1))
    )


def reconcile(promised: Mapping[str, int], rows: Sequence[LedgerRow], as_of: datetime) -> Totals:
    """`promised`: ids and amounts on vouchers.v1 of the day, read at `as_of`; `rows`: the ledger's, read later.

    What was published after `as_of` is left out: it isn't missing, it is new.
    """
    sums = dict.fromkeys(("redeemable", "redeemed", "rejected", "reversed", "pending"), 0)
    faults: dict[Fault, int] = {}
    known: dict[str, int] = {}
    for row in rows:
        if row.points or row.state not in ISSUED or (row.id not in promised and _published_at(row) > as_of):
            continue
        known[row.id] = row.amount_minor
        sums["pending" if row.state in _PENDING else row.state] += row.amount_minor
        if row.state not in ("rejected", "reversed"):
            fault = row.fault or Fault.NONE
            faults[fault] = faults.get(fault, 0) + row.amount_minor
    # Reserved rows whose promise is out already, by a worker that died before it wrote so.
    waiting = {row.id: row.amount_minor for row in rows if row.state == "reserved" and row.id in promised}
    known |= waiting
    sums["pending"] += sum(waiting.values())
    unmatched = sorted(each for each in {*promised, *known} if promised.get(each) != known.get(each))
    return Totals(
        published=sum(promised.values()),
        vouchers=len(promised),
        by_fault=tuple(sorted(faults.items())),
        unmatched=tuple(unmatched),
        **sums,
    )


def _published_at(row: LedgerRow) -> datetime:
    return next((change.at for change in row.history if change.state in ISSUED), row.updated_at)
