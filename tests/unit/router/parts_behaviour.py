"""How a `PartTexts` store behaves, whatever it is made of: run over the fake and over the real database."""

from datetime import timedelta
from typing import Any

from services.router.model import Personal
from services.router.parts import Part
from tests.fakes_router import START, VAULT, complaint


class PartsBehaviour:
    """Needs a fixture `parts`."""

    async def test_parts_are_kept_once_each_the_first_of_a_place(self, parts: Any) -> None:
        first = complaint(1, text="一")
        other = complaint(1, text="别的")
        await parts.add(first, Part(1, 2, "m1"), START)
        again = await parts.add(other, Part(1, 2, "m9"), START)
        assert again.texts == {1: first.personal}
        assert again.messages == {1: "m1"}
        assert not again.complete
        both = await parts.add(complaint(1, text="二"), Part(2, 2, "m2"), START)
        assert both.complete
        assert both.complaint == first
        assert VAULT.open(first.ticket_id, both.texts[2]) == Personal(contact="+8613800000000", text="二")

    async def test_what_a_ticket_is_opened_with_is_decided_once(self, parts: Any) -> None:
        ticket_id = complaint(1).ticket_id
        await parts.add(complaint(1), Part(2, 3, "m2"), START)
        assert (await parts.open_with(ticket_id, (2,))).opened == (2,)
        assert (await parts.open_with(ticket_id, (1, 2))).opened == (2,)

    async def test_texts_wait_until_their_ticket_is_stored(self, parts: Any) -> None:
        ids = [complaint(n).ticket_id for n in (1, 2)]
        await parts.add(complaint(1), Part(1, 2, "m1"), START)
        await parts.add(complaint(2), Part(1, 2, "m1"), START + timedelta(seconds=9))
        assert [each.ticket_id for each in await parts.overdue(START, 9)] == ids[:1]
        assert [each.ticket_id for each in await parts.overdue(START + timedelta(minutes=1), 9)] == ids
        assert [each.ticket_id for each in await parts.overdue(START + timedelta(minutes=1), 1)] == ids[:1]
        assert {each.ticket_id async for each in parts.waiting()} == set(ids)
        await parts.open_with(ids[0], (1,))
        await parts.settle(ids[0])
        assert [each.ticket_id for each in await parts.overdue(START + timedelta(minutes=1), 9)] == ids[1:]
        assert [each.ticket_id async for each in parts.waiting()] == ids[1:]
        late = await parts.add(complaint(1), Part(2, 2, "m2"), START)
        assert late.settled
        assert (late.opened, late.messages, late.texts) == ((1,), {1: "m1"}, {})
