"""Server-sent events: the timeline as it grows, over whatever happens to the router and the connection."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from common.errors import Unavailable
from rules.model import Promise
from services.intake.model import Progress, TimelineEntry
from services.intake.schemas import TimelineBody
from tests.unit.intake.fakes import NOW
from tests.unit.intake.sites import Site, problem
from tests.waiting import eventually


@dataclass
class Listener:
    """A browser: one open stream, its events as they come."""

    site: Site
    path: str
    query: str = ""
    headers: dict[str, str] = field(default_factory=dict)
    status: int = 0
    raw: str = ""
    ended: asyncio.Event = field(default_factory=asyncio.Event)
    gone: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def events(self) -> list[tuple[str, Any, str]]:
        """(name, data, id) of each event so far."""
        found = []
        for block in self.raw.split("\n\n"):
            lines = dict(line.split(": ", 1) for line in block.split("\n") if ": " in line)
            if "event" in lines:
                found.append((lines["event"], json.loads(lines["data"]), lines.get("id", "")))
        return found

    @property
    def kinds(self) -> list[str]:
        return [data["kind"] for name, data, _ in self.events if name == "timeline"]

    async def run(self) -> None:
        scope = {
            "type": "http", "method": "GET", "path": self.path, "raw_path": self.path.encode(), "root_path": "",
            "query_string": self.query.encode(), "scheme": "http", "http_version": "1.1",
            "headers": [(name.encode(), value.encode()) for name, value in self.headers.items()],
        }  # fmt: skip

        async def receive() -> dict[str, Any]:
            await self.gone.wait()
            return {"type": "http.disconnect"}

        async def send(message: Any) -> None:
            if message["type"] == "http.response.start":
                self.status = message["status"]
            else:
                self.raw += message.get("body", b"").decode()

        await self.site.app(scope, receive, send)
        self.ended.set()


@asynccontextmanager
async def listening(site: Site, ticket_id: str, token: str, **headers: str) -> AsyncIterator[Listener]:
    sent = {name.replace("_", "-"): value for name, value in headers.items()}
    listener = Listener(site, f"/api/complaint/{ticket_id}/events", f"token={token}", sent)
    task = asyncio.create_task(listener.run())
    try:
        yield listener
    finally:
        listener.gone.set()
        await task


@pytest.fixture
async def site() -> AsyncIterator[Site]:
    site = Site()
    running = asyncio.create_task(site.bench.streams.run())
    async with site.client:
        yield site
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


def ticket(ticket_id: str, version: int, *kinds: str, status: Any = "in_progress") -> Progress:
    entries = tuple(TimelineEntry(NOW, kind, version=number) for number, kind in enumerate(("received", *kinds)))
    return Progress(
        ticket_id, status, None, Promise(None, None), timeline=entries, version=version, served_by=ticket_id
    )


async def until(condition: Any) -> None:
    async def holds() -> bool:
        return bool(condition())

    await eventually(holds)


async def test_everything_is_told_as_it_happens_and_the_end_ends_it(site: Site) -> None:
    ticket_id, token = await site.complain()
    async with listening(site, ticket_id, token) as listener:
        await until(lambda: listener.kinds == ["received"])
        site.bench.tickets.change(ticket(ticket_id, 1, "routed"))
        await until(lambda: listener.kinds == ["received", "routed"])
        site.bench.tickets.change(ticket(ticket_id, 2, "routed", "replied"))
        await until(lambda: listener.kinds == ["received", "routed", "replied"])
        site.bench.tickets.change(ticket(ticket_id, 3, "routed", "replied", "closed", status="closed"))
        await listener.ended.wait()
    names = [name for name, _, _ in listener.events]
    assert names == ["timeline", "progress"] * 4 + ["end"]
    assert [place for name, _, place in listener.events if name == "progress"] == [f"{ticket_id}:{n}" for n in range(4)]
    last = listener.events[-2][1]
    assert (last["status"], last["statusText"], "timeline" in last) == ("closed", "已关闭", False)
    for name, data, _ in listener.events:
        if name == "timeline":
            TimelineBody.model_validate(data)


async def test_who_comes_back_gets_only_what_is_newer_and_204_after_the_end(site: Site) -> None:
    ticket_id, token = await site.complain()
    site.bench.tickets.tickets[ticket_id] = ticket(ticket_id, 2, "routed", "replied", status="closed")
    async with listening(site, ticket_id, token, last_event_id=f"{ticket_id}:1", accept_language="en") as listener:
        await listener.ended.wait()
    assert listener.kinds == ["replied"]
    assert listener.events[1][1]["statusText"] == "Closed"
    async with listening(site, ticket_id, token, last_event_id=listener.events[1][2]) as again:
        await again.ended.wait()
    assert (again.status, again.raw) == (204, "")


async def test_a_router_that_restarts_is_watched_again_and_nothing_is_missed(site: Site) -> None:
    ticket_id, token = await site.complain()
    tickets = site.bench.tickets
    async with listening(site, ticket_id, token) as listener:
        await until(lambda: listener.kinds == ["received"])
        tickets.change(ticket(ticket_id, 1, "routed"))
        await until(lambda: len(listener.kinds) == 2)
        tickets.away = True
        tickets.told.put_nowait(None)
        # It happens while nobody tells.
        tickets.tickets[ticket_id] = ticket(ticket_id, 2, "routed", "replied")
        tickets.away = False
        await until(lambda: listener.kinds == ["received", "routed", "replied"])


async def test_what_the_router_can_t_say_takes_nothing_back(site: Site) -> None:
    ticket_id, token = await site.complain()
    tickets = site.bench.tickets
    tickets.tickets[ticket_id] = ticket(ticket_id, 1, "routed")
    async with listening(site, ticket_id, token) as listener:
        await until(lambda: len(listener.kinds) == 2)
        tickets.away = True
        tickets.told.put_nowait(ticket_id)
        await until(tickets.told.empty)
        tickets.away = False
        tickets.change(ticket(ticket_id, 2, "routed", "replied"))
        await until(lambda: len(listener.kinds) == 3)
    assert {data["status"] for name, data, _ in listener.events if name == "progress"} == {"in_progress"}


async def test_others_tickets_wake_nobody(site: Site) -> None:
    mine, token = await site.complain()
    tickets = site.bench.tickets
    tickets.tickets[mine] = ticket(mine, 1, "routed")
    async with listening(site, mine, token) as listener:
        await until(lambda: len(listener.kinds) == 2)
        tickets.tickets[mine] = ticket(mine, 2, "routed", "assigned")
        tickets.change(ticket("7K3M9QXZ4TPC5", 1))
        await until(tickets.told.empty)
        assert len(listener.kinds) == 2
        tickets.change(ticket(mine, 3, "routed", "assigned", "replied"))
        await until(lambda: len(listener.kinds) == 4)


async def test_a_merged_complaint_goes_on_as_the_other(site: Site) -> None:
    mine, token = await site.complain()
    tickets = site.bench.tickets
    tickets.tickets[mine] = ticket(mine, 1, "routed")
    async with listening(site, mine, token) as listener:
        await until(lambda: len(listener.kinds) == 2)
        survivor = replace(ticket(mine, 7, "routed", "replied"), served_by="SURVIVOR")
        tickets.tickets[mine] = survivor
        tickets.told.put_nowait(mine)
        await until(lambda: len(listener.kinds) == 5)
        more = (*survivor.timeline, TimelineEntry(NOW, "assigned", version=8))
        tickets.tickets[mine] = replace(survivor, version=8, timeline=more)
        tickets.told.put_nowait("SURVIVOR")
        await until(lambda: len(listener.kinds) == 6)
    assert [name for name, _, _ in listener.events].count("reset") == 1


async def test_nobody_watches_without_token_or_key(site: Site) -> None:
    ticket_id, _ = await site.complain()
    problem(await site.call("GET", f"/api/complaint/{ticket_id}/events", key=None), 401, "unauthenticated")
    problem(await site.call("GET", "/api/complaint/nonsense/events"), 404, "not_found")


async def test_as_many_watch_as_may_and_the_next_is_told_to_wait(site: Site) -> None:
    ticket_id, token = await site.complain()
    async with (
        listening(site, ticket_id, token) as one,
        listening(site, ticket_id, token) as two,
        listening(site, ticket_id, token) as three,
    ):
        await until(lambda: all(each.kinds for each in (one, two, three)))
        response = await site.call("GET", f"/api/complaint/{ticket_id}/events", key=None, token=token)
        problem(response, 503, "unavailable")
    site.bench.streams.check_room()


async def test_a_stop_ends_all_streams(site: Site) -> None:
    ticket_id, token = await site.complain()
    stop = asyncio.Event()
    closing = asyncio.create_task(site.bench.streams.close_after(stop))
    async with listening(site, ticket_id, token) as listener:
        await until(lambda: listener.kinds)
        stop.set()
        await listener.ended.wait()
    await closing
    with pytest.raises(Unavailable):
        site.bench.streams.check_room()
    assert listener.events[-1][0] != "end"
