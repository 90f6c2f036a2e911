"""Hand-written stand-ins for what intake needs from outside, and a ready-made intake."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cache
from pathlib import Path

from fastapi import FastAPI

from common.clock import ManualClock
from common.errors import FieldProblem, Invalid, Unavailable
from common.policyfiles import load_all
from rules.model import PolicySet
from services.intake.endpoints import Authenticate
from services.intake.followups import FollowUps
from services.intake.form import Desk, check_http
from services.intake.handlers import Intake, Secrets
from services.intake.memory import RecentKeys
from services.intake.model import (
    Complaint,
    CustomerMessage,
    CustomerPage,
    Picture,
    Progress,
    Rating,
    Receipt,
    Submission,
)
from services.intake.ports import Limits
from services.intake.streams import Streams
from services.intake.uploads import Uploads
from services.intake.web import web_app

NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
SECRETS = Secrets(ticket_id=b"i" * 32, token=b"t" * 32, customer_ref=b"c" * 32)
CONTACT = "138 0013 8000"
TEXT = "牛奶已经变质，孩子喝了不舒服"
BODY: Mapping[str, object] = {"type": "商品质量", "description": TEXT, "contact": CONTACT}


@cache
def policies() -> Mapping[str, PolicySet]:
    """The real policies: default and demo."""
    return load_all(Path(__file__).parents[3] / "policies")


def desk(caller: str = "app") -> Desk:
    """What complaints of that caller are checked against."""
    return Desk(policies(), "default", caller)


def submission(**fields: object) -> Submission:
    """A valid complaint of the app, with some fields changed."""
    return check_http({**BODY, **fields}, desk())


@dataclass
class FakeLog:
    """Keeps what it acknowledged; `away`: refuses; `gate`: acknowledges only once it is set."""

    complaints: list[Complaint] = field(default_factory=list)
    messages: list[CustomerMessage] = field(default_factory=list)
    ratings: list[Rating] = field(default_factory=list)
    away: bool = False
    gate: asyncio.Event | None = None
    asked: int = 0

    async def append(self, complaint: Complaint) -> None:
        await self._acknowledge()
        self.complaints.append(complaint)

    async def append_message(self, message: CustomerMessage) -> None:
        await self._acknowledge()
        self.messages.append(message)

    async def append_rating(self, rating: Rating) -> None:
        await self._acknowledge()
        self.ratings.append(rating)

    async def _acknowledge(self) -> None:
        self.asked += 1
        if self.gate is not None:
            await self.gate.wait()
        if self.away:
            raise Unavailable("the message log didn't acknowledge in time")


@dataclass
class FakeTickets:
    """The router's tickets by id; `away`: can't be asked."""

    tickets: dict[str, Progress] = field(default_factory=dict)
    pages: dict[tuple[str, str, str], CustomerPage] = field(default_factory=dict)
    away: bool = False
    asked: int = 0
    told: "asyncio.Queue[str | None]" = field(default_factory=asyncio.Queue)

    async def changes(self) -> AsyncIterator[str]:
        """What the test puts into `told`; None is the end."""
        yield ""
        while (ticket_id := await self.told.get()) is not None:
            yield ticket_id
        raise Unavailable("the router doesn't tell any more")

    def change(self, progress: Progress) -> None:
        """The ticket is so now, and who watches is told."""
        self.tickets[progress.ticket_id] = progress
        self.told.put_nowait(progress.served_by or progress.ticket_id)

    async def progress(self, ticket_id: str) -> Progress | None:
        if self.away:
            raise Unavailable("the router doesn't answer")
        return self.tickets.get(ticket_id)

    async def of_customer(self, brand: str, customer_id: str, page_size: int, page_token: str) -> CustomerPage:
        """The pages are given as they stand in `pages`, by brand, customer and token."""
        if self.away:
            raise Unavailable("the router doesn't answer")
        if page_token and (brand, customer_id, page_token) not in self.pages:
            raise Invalid([FieldProblem("pageToken", "isn't one of this list")])
        self.asked = page_size
        return self.pages.get((brand, customer_id, page_token), CustomerPage(()))


@dataclass
class FakeUploads:
    """The pictures by id; `away`: can't be asked."""

    pictures: dict[str, tuple[Picture, str]] = field(default_factory=dict)
    away: bool = False

    async def put(self, upload_id: str, picture: Picture, channel: str) -> None:
        if self.away:
            raise Unavailable("pictures can't be kept or read at the moment")
        self.pictures[upload_id] = (picture, channel)

    async def get(self, upload_id: str) -> bytes | None:
        if self.away:
            raise Unavailable("pictures can't be kept or read at the moment")
        found = self.pictures.get(upload_id)
        return None if found is None else found[0].data


class Bench:
    """An intake on fakes. `instance()` is another one of the same installation."""

    def __init__(self, recent: RecentKeys[Receipt] | None = None, limits: Limits | None = None) -> None:
        self.log = FakeLog()
        self.tickets = FakeTickets()
        self.clock = ManualClock(NOW)
        self.store = FakeUploads()
        self._random = iter(range(1, 1_000_000))
        self._limits = limits
        self.intake = self.instance(recent)
        self.follow_ups = self.follow_ups_of(self.intake)
        self.streams = Streams(self.intake, self.tickets, most=3, heartbeat=5.0, ask_again=0.02)
        self.uploads = Uploads(self.store, self.tickets, SECRETS.token, lambda: f"upload-{next(self._random)}", limits)

    def instance(self, recent: RecentKeys[Receipt] | None = None) -> Intake:
        """A further instance: same secrets, log and router, a memory of its own."""
        return Intake(policies(), self.log, self.tickets, self.clock, SECRETS, self._bits, recent, self._limits)

    def follow_ups_of(self, intake: Intake) -> FollowUps:
        """Messages and ratings of that instance."""
        return FollowUps(self.log, self.tickets, intake.remembers, self.clock, SECRETS.token, self._bits, self._limits)

    def _bits(self) -> int:
        return next(self._random)


def site_of(bench: Bench, authenticate: Authenticate) -> FastAPI:
    """The whole application on these fakes."""
    return web_app(
        bench.intake,
        desk,
        authenticate,
        bench.clock,
        follow_ups=bench.follow_ups,
        uploads=bench.uploads,
        tickets=bench.tickets,
        streams=bench.streams,
    )
