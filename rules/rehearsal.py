"""What a changed policy would have done, beside what was: counts for each brand and queue, and a table to read."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Tally:
    """Broken promises, levels of escalation published, vouchers owed and their sum in minor units."""

    breaches: int = 0
    escalations: int = 0
    vouchers: int = 0
    amount: int = 0

    def __add__(self, other: "Tally") -> "Tally":
        return Tally(
            self.breaches + other.breaches,
            self.escalations + other.escalations,
            self.vouchers + other.vouchers,
            self.amount + other.amount,
        )


@dataclass(frozen=True)
class Comparison:
    """One brand and queue."""

    brand: str
    queue: str
    tickets: int
    before: Tally
    after: Tally
    currency: str


Counted = Mapping[tuple[str, str], Tally]


def compare(
    tickets: Mapping[tuple[str, str], int], before: Counted, after: Counted, currencies: Mapping[str, str]
) -> list[Comparison]:
    """A row for each (brand, queue) that has tickets or counts, sorted."""
    places = sorted({*tickets, *before, *after})
    return [
        Comparison(
            brand,
            queue,
            tickets.get((brand, queue), 0),
            before.get((brand, queue), Tally()),
            after.get((brand, queue), Tally()),
            currencies.get(brand, ""),
        )
        for brand, queue in places
    ]


_HEADINGS = ("brand", "queue", "tickets", "breaches", "escalations", "vouchers", "amount")


def table(rows: Sequence[Comparison]) -> str:
    """The comparison in columns, "before → after (difference)", and the sum of each brand with several queues."""
    lines = [_HEADINGS, *(_cells(row) for row in _with_sums(rows))]
    widths = [max(len(line[column]) for line in lines) for column in range(len(_HEADINGS))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in lines
    )


def _with_sums(rows: Sequence[Comparison]) -> Iterable[Comparison]:
    for brand in dict.fromkeys(row.brand for row in rows):
        own = [row for row in rows if row.brand == brand]
        yield from own
        if len(own) > 1:
            yield Comparison(
                brand,
                "all",
                sum(row.tickets for row in own),
                sum((row.before for row in own), Tally()),
                sum((row.after for row in own), Tally()),
                own[0].currency,
            )


def _cells(row: Comparison) -> tuple[str, ...]:
    was, would = row.before, row.after
    return (
        row.brand,
        row.queue,
        str(row.tickets),
        _change(was.breaches, would.breaches),
        _change(was.escalations, would.escalations),
        _change(was.vouchers, would.vouchers),
        f"{row.currency} {was.amount / 100:.2f} → {would.amount / 100:.2f}".strip(),
    )


def _change(was: int, would: int) -> str:
    return f"{was} → {would}" + (f" ({would - was:+})" if would != was else "")
