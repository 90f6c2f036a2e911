"""Personal data goes when its time has come, pictures that nobody uses after a day, and no key is needed for ever."""

from collections import Counter
from collections.abc import AsyncIterator, Mapping
from datetime import timedelta
from typing import Any

import pytest

from common.errors import Unavailable
from common.sealing import Sealer
from services.router.commands import Cause, ReceiveMessage, Told
from services.router.keeping import Keeping
from services.router.model import Personal
from services.router.reseal import reseal
from tests.fakes_router import VAULT, complaint, number
from tests.unit.router.test_calls import AGENT, CUSTOMER, Router, head


@pytest.fixture
async def router() -> Router:
    made = Router()
    for picture in ("i1", "i2", "i3"):
        made.pictures.add(picture, made.clock.now())
    return made


async def test_a_closed_ticket_forgets_who_wrote_what_after_its_time(router: Router) -> None:
    await router.submit(complaint(1, images=("i1",)))
    await router.say("照片如下", "m1")
    await router.closed()
    router.clock.advance(timedelta(days=179))
    await router.timers.look()
    assert router.ticket().has_personal
    router.clock.advance(timedelta(days=1))
    await router.timers.look()
    ticket = router.ticket()
    assert not ticket.has_personal
    assert (ticket.personal, ticket.history[-1].kind, ticket.history[-1].reason) == (None, "erased", "retention")
    assert "i1" not in router.pictures.pictures
    version = ticket.version
    router.clock.advance(timedelta(days=200))
    await router.timers.look()
    assert router.ticket().version == version


async def test_a_ticket_that_is_open_again_forgets_nothing(router: Router) -> None:
    await router.submit(complaint(1))
    await router.desk.resolve(head(), "已处理", "")
    router.clock.advance(timedelta(days=1))
    await router.desk.reopen(head())
    router.clock.advance(timedelta(days=400))
    await router.timers.look()
    assert router.ticket().has_personal


async def test_a_merged_ticket_forgets_too_after_its_merging_is_done(router: Router) -> None:
    await router.submit(complaint(1), complaint(2))
    await router.merging.merge(head(1), number(2))
    router.clock.advance(timedelta(hours=1))
    await router.timers.look()
    assert router.ticket(2).has_personal
    router.clock.advance(timedelta(days=180))
    await router.timers.look()
    assert not router.ticket(2).has_personal
    assert router.ticket(1).has_personal


async def test_pictures_of_complaints_messages_and_replies_are_claimed(router: Router) -> None:
    await router.submit(complaint(1))
    sealed = VAULT.seal(number(1), Personal(text="见图"))
    cause = Cause("message:m1", router.clock.now(), CUSTOMER)
    await router.handler.handle([Told(number(1), ReceiveMessage("m1", "app", sealed, ("i1",)), cause)])
    await router.desk.reply(head(), "请看", ("i2",))
    assert router.pictures.pictures == {"i1": {number(1)}, "i2": {number(1)}, "i3": set()}


async def test_what_nobody_uses_goes_after_a_day_but_not_before_all_complaints_are_read(router: Router) -> None:
    caught_up = False
    keeping = Keeping(router.pictures, router.clock, timedelta(hours=24), lambda: caught_up)
    await router.pictures.claim({number(1): ["i1"]})
    router.clock.advance(timedelta(hours=23))
    caught_up = True
    assert await keeping.look() == 0
    router.clock.advance(timedelta(hours=2))
    caught_up = False
    assert await keeping.look() == 0
    caught_up = True
    assert await keeping.look() == 2
    assert set(router.pictures.pictures) == {"i1"}


async def test_a_picture_of_two_tickets_goes_with_the_second(router: Router) -> None:
    await router.pictures.claim({number(1): ["i1"], number(2): ["i1"]})
    assert await router.pictures.release(number(1), ["i1"]) == 0
    assert await router.pictures.release(number(2), []) == 1


async def test_an_erasure_that_breaks_off_at_the_pictures_finds_everything_again(router: Router) -> None:
    await router.submit(complaint(1, images=("i1",)))
    router.pictures.down = True
    with pytest.raises(Unavailable):
        await router.erasure.erase("default", "", "13800000000", "k", AGENT)
    assert router.ticket().has_personal
    router.pictures.down = False
    assert await router.erasure.erase("default", "", "13800000000", "k", AGENT) == (1, 1)


class FakeSealed:
    """The sealed values of tickets; `busy` ones change while they are read."""

    def __init__(self, tickets: dict[str, dict[str, dict[str, Any]]], busy: tuple[str, ...] = ()) -> None:
        self.tickets = tickets
        self.busy = busy

    async def count(self) -> int:
        return len(self.tickets)

    async def all(self) -> AsyncIterator[tuple[str, int, dict[str, dict[str, Any]]]]:
        for ticket_id, values in self.tickets.items():
            yield ticket_id, 1, dict(values)

    async def replace(self, ticket_id: str, version: int, values: Mapping[str, dict[str, Any]]) -> bool:
        if ticket_id in self.busy:
            return False
        self.tickets[ticket_id] |= values
        return True


OLD = Sealer("k1", {"k1": b"1" * 32})
BOTH = Sealer("k2", {"k1": b"1" * 32, "k2": b"2" * 32})
NEW = Sealer("k2", {"k2": b"2" * 32})


def sealed_by(sealer: Sealer, ticket_id: str, *texts: bytes) -> dict[str, dict[str, Any]]:
    values = {}
    for at, text in enumerate(texts):
        key_id, ciphertext = sealer.seal(text, ticket_id)
        values["personal" if at == 0 else f"messages.{at - 1}.content"] = {"key_id": key_id, "ciphertext": ciphertext}
    return values


async def test_everything_is_sealed_anew_and_opens_without_the_old_key() -> None:
    store = FakeSealed({"a": sealed_by(OLD, "a", b"contact", b"one"), "b": sealed_by(BOTH, "b", b"contact")})
    shown: list[tuple[int, int]] = []
    assert await reseal(store, BOTH, lambda *at: shown.append(at)) == (1, Counter())
    assert shown == [(2, 2)]
    for ticket_id, values in store.tickets.items():
        assert {NEW.open(v["key_id"], v["ciphertext"], ticket_id) for v in values.values()} <= {b"contact", b"one"}
    assert await reseal(store, BOTH, lambda *_: None) == (0, Counter())


async def test_what_changes_meanwhile_or_can_t_be_opened_is_counted_and_left() -> None:
    lost = sealed_by(Sealer("k0", {"k0": b"0" * 32}), "lost", b"x")
    store = FakeSealed({"busy": sealed_by(OLD, "busy", b"x", b"y"), "lost": lost}, busy=("busy",))
    assert await reseal(store, BOTH, lambda *_: None) == (0, Counter({"k1": 2, "k0": 1}))
    store.busy = ()
    assert await reseal(store, BOTH, lambda *_: None) == (1, Counter({"k0": 1}))
