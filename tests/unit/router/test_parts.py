"""Long texts that come in parts."""

import itertools
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import pytest

from common.errors import Poison, Unavailable
from services.router.assembling import Assembling
from services.router.commands import Arrival, Submitted
from services.router.model import Complaint
from tests.fakes_parts import FakeParts
from tests.fakes_router import VAULT, complaint, number
from tests.unit.router.parts_behaviour import PartsBehaviour
from tests.unit.router.test_handlers import Book
from tests.unit.router.test_joining import Desk, sent

PIECES = {1: "送来的鸡肉发黏，", 2: "闻着有异味，孩子吃了", 3: "拉肚子"}


class TestFakeParts(PartsBehaviour):
    """The stand-in."""

    @pytest.fixture
    def parts(self) -> FakeParts:
        return FakeParts()


class Texts(Desk):
    """A router over fakes that puts parts together."""

    def __init__(self) -> None:
        super().__init__()
        self.parts = FakeParts()
        self.down = False
        self.assembling = Assembling(self.parts, self._pass, Book(self.log), VAULT, self.clock, timedelta(seconds=30))

    async def _pass(self, arrivals: Sequence[Arrival]) -> None:
        if self.down:
            raise Unavailable("the database went away")
        await self.handler.handle(arrivals)

    async def come(self, *complaints: Complaint) -> None:
        await self.assembling.handle([Submitted(each) for each in complaints])


@pytest.fixture
def texts() -> Texts:
    return Texts()


def part(place: int, of: int = 3, message: str = "", text: str = "", n: int = 1) -> Complaint:
    facts = {"part": str(place), "parts": str(of), "sms_message_id": message or f"m{place}"}
    words = text or PIECES[place]
    return sent(n, words, channel="sms", channel_facts=facts, fingerprint=f"print-{words}")


@pytest.mark.parametrize("order", [*itertools.permutations((1, 2, 3))])
async def test_parts_in_any_order_are_one_text(texts: Texts, order: tuple[int, ...]) -> None:
    for place in order:
        await texts.come(part(place))
    assert texts.texts(1) == ["送来的鸡肉发黏，闻着有异味，孩子吃了拉肚子"]
    assert texts.ticket(1).red, "it is judged as a whole"
    assert texts.ticket(1).channel_facts["parts"] == "3"


async def test_parts_of_one_batch_and_repeats_are_one_text(texts: Texts) -> None:
    batch = [part(2), part(1), part(2), part(3), part(1)]
    await texts.come(*batch)
    before = texts.ticket(1)
    await texts.come(*batch)
    assert texts.ticket(1) == before
    assert texts.texts(1) == ["".join(PIECES.values())]


async def test_a_part_that_never_comes_is_waited_for_in_vain_and_marked(texts: Texts) -> None:
    await texts.come(part(1), part(3))
    await texts.assembling.look()
    assert texts.own() == []
    texts.clock.advance(timedelta(seconds=30))
    await texts.assembling.look()
    assert texts.texts(1) == [f"{PIECES[1]}…{PIECES[3]}"]
    await texts.assembling.look()
    await texts.come(part(1))
    await texts.come(part(2), part(2))
    assert texts.texts(1) == [f"{PIECES[1]}…{PIECES[3]}", PIECES[2]], "what comes later is a message to it"


async def test_whole_texts_pass(texts: Texts) -> None:
    await texts.come(sent(1, "少送了"), part(1, of=1, n=2))
    assert texts.own() == [1, 2]


async def test_a_reference_that_a_gateway_uses_again_loses_nothing(texts: Texts) -> None:
    await texts.come(*(part(place) for place in PIECES))
    await texts.come(part(1, message="n1", text="另一件事，"), part(2, message="n2", text="又少了"))
    assert texts.texts(1) == ["".join(PIECES.values()), "另一件事，", "又少了"]


async def test_a_crash_before_the_ticket_is_stored_is_repeated(texts: Texts) -> None:
    texts.down = True
    with pytest.raises(Unavailable):
        await texts.come(*(part(place) for place in PIECES))
    texts.down = False
    await texts.come(*(part(place) for place in PIECES))
    assert texts.texts(1) == ["".join(PIECES.values())]


async def test_a_crash_while_opening_what_waited_is_repeated_by_the_next_look(texts: Texts) -> None:
    await texts.come(part(1))
    texts.clock.advance(timedelta(seconds=30))
    texts.down = True
    with pytest.raises(Unavailable):
        await texts.assembling.look()
    texts.down = False
    await texts.come(part(2))
    assert texts.texts(1) == [f"{PIECES[1]}……", PIECES[2]]
    await texts.assembling.look()
    assert len(texts.texts(1)) == 2


@pytest.mark.parametrize(
    ("wrong", "reason"),
    [({"brand": "nobody"}, "unknown_brand"), ({"personal": complaint(2).personal}, "seal_broken")],
)
async def test_a_part_that_can_never_be_processed_is_poison_and_not_kept(
    texts: Texts, wrong: dict[str, Any], reason: str
) -> None:
    broken = sent(1, **{"channel": "sms", "channel_facts": part(1).channel_facts, **wrong})
    with pytest.raises(Poison) as caught:
        await texts.come(broken)
    assert caught.value.reason == reason
    texts.clock.advance(timedelta(minutes=1))
    await texts.assembling.look()
    assert number(1) not in texts.store.tickets
