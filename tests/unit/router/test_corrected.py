"""An agent's correction is a training text."""

import io
import json
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

from rules.model import ComplaintFacts
from rules.routing import decide
from rules.words import Category
from services.router.corrected import write_corrections
from services.router.model import Actor, ActorKind, HistoryEntry, Ticket
from services.router.policy import open_ticket
from services.router.reading import Reader
from tests.fakes_router import START, VAULT, complaint, policies
from training.corpus import read

TEXT = "满减没减,你们算错了"


def ticket(number: int, actor: ActorKind | None, text: str = TEXT) -> Ticket:
    brand, of = policies()["default"], complaint(number, text)
    found = Reader().explained(brand, text, Category.OTHER, "app")
    decision = decide(brand, ComplaintFacts("其他", text, "default", "app"))
    opened = open_ticket(of, decision, brand, START, None, found).ticket
    if actor is None:
        return opened
    entry = HistoryEntry(START + timedelta(hours=1), Actor(actor, "li"), "category_changed", "", 2, "command:1")
    return replace(opened, category=Category.PRICE, history=(*opened.history, entry))


async def some(*tickets: Ticket) -> AsyncIterator[Ticket]:
    for each in tickets:
        yield each


async def test_only_what_people_corrected_is_written(tmp_path: Path) -> None:
    out = io.StringIO()
    by_machine = ticket(2, ActorKind.SYSTEM)
    found = some(ticket(1, ActorKind.AGENT), by_machine, ticket(3, None), ticket(4, ActorKind.SUPERVISOR, "价格不对"))
    assert await write_corrections(found, VAULT, out) == 2
    file = tmp_path / "corrections.jsonl"
    file.write_text(out.getvalue(), encoding="utf-8")
    first, second = read(file)
    assert (first.text, first.category) == (TEXT, Category.PRICE)
    assert second.text == "价格不对"
    assert json.loads(out.getvalue().splitlines()[0])["model"] == Reader().version


async def test_an_erased_customers_words_are_gone() -> None:
    out = io.StringIO()
    assert await write_corrections(some(replace(ticket(1, ActorKind.AGENT), personal=None)), VAULT, out) == 0
    assert out.getvalue() == ""
