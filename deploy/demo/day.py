"""The day that is played: rows of `complaints.yaml` as complaints, when each is sent, and who answers when. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import yaml

FILE = Path(__file__).with_name("complaints.yaml")
BRAND = "demo"
# The shop whose strawberries go bad in complaints.yaml.
SURGE_AT = "m-orchard-12"
# A pause of the day that is longer than this is shortened to it: nobody wants to watch the night.
LONGEST_PAUSE_MINUTES = 20
CALL_BACK_AFTER = 4.0


@dataclass(frozen=True)
class Complaint:
    """What one person sends. `minute` is the time of the played day, `send_at` seconds after its start."""

    number: int
    minute: int
    send_at: float
    story: str
    channel: str
    idempotency_key: str
    fields: Mapping[str, Any]
    answer: "Answer | None"

    @property
    def customer_id(self) -> str:
        """Unique to this run and person."""
        return str(self.fields["customerId"])

    @property
    def clock(self) -> str:
        """HH:MM of the played day."""
        return f"{self.minute // 60:02}:{self.minute % 60:02}"


@dataclass(frozen=True)
class Answer:
    """What the desk does with a ticket: seconds after it was routed. The customer is called back some time later."""

    reply_after: float
    resolve_after: float

    @property
    def call_back_after(self) -> float:
        """Well before what is promised: 20 s after the resolution."""
        return self.resolve_after + CALL_BACK_AFTER


def load_rows(path: Path = FILE) -> list[dict[str, Any]]:
    """The rows as written."""
    rows: list[dict[str, Any]] = yaml.safe_load(path.read_text(encoding="utf-8"))
    return rows


def plan_day(rows: Sequence[Mapping[str, Any]], run: str, seconds: float) -> list[Complaint]:
    """The complaints in the order they are sent, over about `seconds`. `run` makes keys and orders unique."""
    ordered = sorted(rows, key=lambda row: _minute(row["at"]))
    offsets = _offsets([_minute(row["at"]) for row in ordered], seconds)
    return [
        Complaint(
            number=number,
            minute=_minute(row["at"]),
            send_at=offset,
            story=row.get("story", ""),
            channel=row["channel"],
            idempotency_key=f"demo-{run}-{number}",
            fields=_fields(row, run, number),
            answer=_answer(row, number),
        )
        for number, (row, offset) in enumerate(zip(ordered, offsets, strict=True))
    ]


def _minute(at: str) -> int:
    hours, _, minutes = at.partition(":")
    return int(hours) * 60 + int(minutes)


def _offsets(minutes: Sequence[int], seconds: float) -> list[float]:
    """Seconds from the start for each; complaints of one minute are spread over it."""
    steps = [0.0]
    for before, after in pairwise(minutes):
        steps.append(steps[-1] + min(max(after - before, 0.3), LONGEST_PAUSE_MINUTES))
    return [step / (steps[-1] or 1.0) * seconds for step in steps]


def _fields(row: Mapping[str, Any], run: str, number: int) -> dict[str, Any]:
    """The JSON body of `POST /api/complaint`."""
    contact = f"guest{number}@example.com" if row["channel"] == "mail" else f"+861380013{number:04}"
    fields = {
        "brand": BRAND,
        "type": row["type"],
        "description": row["text"],
        "contact": contact,
        "customerId": f"demo-{run}-{number}",
        "orderId": f"o-{run}-{number}" if row.get("order") else None,
        "region": row["region"],
        "merchantId": row.get("merchant"),
        "productId": row.get("product"),
        "locale": row["lang"],
    }
    return {name: value for name, value in fields.items() if value is not None}


def _answer(row: Mapping[str, Any], number: int) -> Answer | None:
    """The desk gets to four complaints in five; to urgent ones at once, to the others within the promise of 6 s."""
    if row.get("story") == "unanswered":
        return None
    if row.get("story") == "answered":
        return Answer(reply_after=1.0, resolve_after=3.0)
    if number % 5 == 4:
        return None
    reply_after = 0.5 if row["expect"]["urgent"] else 1.0 + number * 7 % 20 / 10
    return Answer(reply_after, reply_after + 2.0 + number * 3 % 40 / 10)
