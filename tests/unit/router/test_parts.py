"""Long texts that come in parts."""

import itertools
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from common.errors import Poison, Unavailable
from services.router.assembling import Assembling
from services.router.commands import Arrival, Submitted
from services.router.erasure import Erasure
from services.router.execution import Executor
from services.router.joining import BRAND_ASSUMED
from services.router.model import Complaint, Personal
from tests.fakes_parts import FakeParts
from tests.fakes_router import INDEX, VAULT, complaint, number
from tests.unit.router.parts_behaviour import PartsBehaviour
from tests.unit.router.test_handlers import Book
from tests.unit.router.test_joining import AGENT, OTHER, PHONE, Desk, sent

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
        executor = Executor(self.store, self.relay, self.clock)
        self.erasure = Erasure(executor, self.store, INDEX, self.pictures, self.assembling)

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


# --- a customer who wants to be forgotten


async def waiting(texts: Texts) -> list[str]:
    return [parts.ticket_id async for parts in texts.parts.waiting()]


async def test_waiting_parts_of_an_erased_customer_are_gone_and_those_of_others_wait_on(texts: Texts) -> None:
    theirs = part(1, n=2)
    await texts.come(part(1), part(3), replace(theirs, personal=VAULT.seal(number(2), Personal(OTHER, "送错了"))))
    assert await texts.erasure.erase("default", "", "139 0000 0001", "k", AGENT) == (1, 0)
    assert await waiting(texts) == [number(2)]
    assert (texts.ticket(1).personal, texts.own()) == (None, [1]), "its number is a ticket all the same"
    assert await texts.erasure.erase("default", "", PHONE, "k", AGENT) == (0, 0)
    texts.clock.advance(timedelta(minutes=1))
    await texts.assembling.look()
    assert texts.texts(1) == []
    assert texts.texts(2) == ["送错了……"]


async def test_a_part_that_comes_after_the_erasing_is_erased_when_that_is_said_again(texts: Texts) -> None:
    await texts.come(part(1), part(3))
    await texts.erasure.erase("default", "", PHONE, "k", AGENT)
    await texts.come(part(2))
    assert texts.texts(1) == [PIECES[2]]
    assert await waiting(texts) == []


@pytest.mark.parametrize(
    ("changes", "erased"),
    [
        ({"brand": "demo"}, 0),
        ({"brand": "demo", "customer_id": "c-1"}, 0),
        ({"customer_id": "c-1", "personal": VAULT.seal(number(1), Personal(OTHER, "送错了"))}, 1),
    ],
)
async def test_parts_are_a_customer_s_by_his_contact_or_id_within_the_brand(
    texts: Texts, changes: dict[str, Any], erased: int
) -> None:
    await texts.come(replace(part(1), **changes))
    contact = "" if erased else PHONE
    assert await texts.erasure.erase("default", "c-1", contact, "k", AGENT) == (erased, 0)
    assert len(await waiting(texts)) == 1 - erased


async def test_a_text_whose_brand_nobody_named_waits_no_more_and_its_ticket_tells_the_brand(texts: Texts) -> None:
    await texts.take(sent(5, order_id="o-1", brand="demo"))
    assumed = part(1, text="还没有人理我，")
    facts = {**assumed.channel_facts, BRAND_ASSUMED: "true"}
    await texts.come(replace(assumed, channel_facts=facts))
    assert await texts.erasure.erase("demo", "", PHONE, "k", AGENT) == (2, 0)
    assert (await waiting(texts), texts.texts(1), texts.texts(5)) == ([], [], [])


async def test_an_erasing_that_breaks_off_while_parts_wait_is_said_again(texts: Texts) -> None:
    await texts.come(part(1))
    texts.down = True
    with pytest.raises(Unavailable):
        await texts.erasure.erase("default", "", PHONE, "k", AGENT)
    assert await waiting(texts) == [number(1)]
    texts.down = False
    assert await texts.erasure.erase("default", "", PHONE, "k", AGENT) == (1, 0)
    assert await waiting(texts) == []


async def test_the_place_of_a_part_that_isn_t_kept_yet_opens_nothing(texts: Texts) -> None:
    """The router died between the place and its text: the part comes again."""
    await texts.parts.reserve(part(1), 3, texts.clock.now())
    texts.clock.advance(timedelta(minutes=1))
    await texts.assembling.look()
    assert texts.own() == []
    await texts.come(*(part(place) for place in PIECES))
    assert texts.texts(1) == ["".join(PIECES.values())]
