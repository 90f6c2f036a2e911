"""The local outbox: one process that behaves as the API of a provider of SMS, push, mail or robot messages would.

`POST /messages` takes a message once per idempotency key; each one taken is a line of
`<PINGXI_LOCAL>/outbox.jsonl`, on disk before the answer. `PUT /behaviour` makes it fail, answer late or not at all.
`GET /messages?ticket=` reads back.
"""

import asyncio
import random
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import uvicorn
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic.alias_generators import to_camel
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from common.clock import Clock, SystemClock
from deploy.local.journal import Journal, JournalError
from deploy.local.probes import split
from deploy.local.settings import SettingsError, load

# What a client with a time-out of its own never sees.
NEVER_SECONDS = 120.0
DRAIN_SECONDS = 1


class Message(BaseModel):
    """What a sender posts."""

    model_config = ConfigDict(extra="forbid", alias_generator=to_camel, strict=True, frozen=True)

    idempotency_key: str = Field(min_length=1, max_length=200)
    ticket: str = Field(max_length=100)
    recipient: str = Field(min_length=1, max_length=400)
    channel: str = Field(min_length=1, max_length=40)
    event: str = Field(min_length=1, max_length=100)
    locale: str = Field(min_length=2, max_length=20)
    text: str = Field(min_length=1, max_length=20_000)


class Behaviour(BaseModel):
    """How the provider misbehaves: `fail` is the share of posts answered 503 with nothing taken, `timeout` the share
    that is taken but never answered (the worse half of an unknown outcome), `delay_seconds` passes before any answer.
    After `count` posts it behaves again; without a count, when told."""

    model_config = ConfigDict(extra="forbid", alias_generator=to_camel, frozen=True)

    fail: float = Field(default=0.0, ge=0, le=1)
    timeout: float = Field(default=0.0, ge=0, le=1)
    delay_seconds: float = Field(default=0.0, ge=0, le=60)
    count: int | None = Field(default=None, ge=0)


class Outbox:
    """The provider's behaviour, apart from HTTP's start and stop."""

    def __init__(self, journal: Journal, clock: Clock, chance: random.Random) -> None:
        self._journal = journal
        self._clock = clock
        self._chance = chance
        self._behaviour = Behaviour()

    def _next_behaviour(self) -> Behaviour:
        current = self._behaviour
        if current.count is None:
            return current
        if current.count == 0:
            return Behaviour()
        self._behaviour = current.model_copy(update={"count": current.count - 1})
        return current

    async def post(self, request: Request) -> Response:
        """201 with a new id, or 200 with the id that the same idempotency key got before."""
        try:
            message = Message.model_validate_json(await request.body())
        except ValidationError as error:
            return _invalid(error)
        behaviour = self._next_behaviour()
        if behaviour.delay_seconds:
            await self._clock.sleep(behaviour.delay_seconds)
        if self._chance.random() < behaviour.fail:
            return _problem(503, "unavailable", "told to fail by PUT /behaviour")
        at = self._clock.now().isoformat(timespec="milliseconds").replace("+00:00", "Z")
        id_, duplicate = await self._journal.add(message.model_dump(by_alias=True), at)
        if self._chance.random() < behaviour.timeout:
            await self._clock.sleep(NEVER_SECONDS)
        return JSONResponse({"id": id_, "duplicate": duplicate}, status_code=200 if duplicate else 201)

    async def get(self, request: Request) -> Response:
        """`{messages: […]}` in the order they were taken, of one ticket if asked."""
        ticket = request.query_params.get("ticket")
        return JSONResponse({"messages": await self._journal.rows(ticket)})

    async def behave(self, request: Request) -> Response:
        """Replaces the behaviour; fields left out return to normal."""
        try:
            self._behaviour = Behaviour.model_validate_json(await request.body())
        except ValidationError as error:
            return _invalid(error)
        return JSONResponse(self._behaviour.model_dump(by_alias=True))

    async def health(self, _: Request) -> Response:
        """The journal was read before the first request could come, so alive is ready."""
        return JSONResponse({"status": "ready"})


def application(journal: Journal, clock: Clock, chance: random.Random) -> Starlette:
    """The HTTP application."""
    outbox = Outbox(journal, clock, chance)

    @asynccontextmanager
    async def closing(_: Starlette) -> AsyncIterator[None]:
        yield
        journal.close()

    return Starlette(
        routes=[
            Route("/messages", outbox.post, methods=["POST"]),
            Route("/messages", outbox.get, methods=["GET"]),
            Route("/behaviour", outbox.behave, methods=["PUT"]),
            Route("/healthz", outbox.health),
            Route("/readyz", outbox.health),
        ],
        lifespan=closing,
    )


def _problem(status: int, code: str, detail: str, errors: list[dict[str, str]] | None = None) -> Response:
    body = {"type": "about:blank", "status": status, "code": code, "detail": detail, "errors": errors or []}
    return JSONResponse(body, status_code=status, media_type="application/problem+json")


def _invalid(error: ValidationError) -> Response:
    # Never the input itself: it is a customer's.
    errors = [{"field": ".".join(map(str, e["loc"])), "message": e["msg"]} for e in error.errors(include_input=False)]
    return _problem(422, "invalid", "the message isn't as expected", errors)


def main() -> int:
    """Serves PINGXI_OUTBOX until SIGTERM."""
    try:
        settings = load()
        journal = Journal(settings.local / "outbox.jsonl")
    except (SettingsError, JournalError, OSError) as error:
        print(error, file=sys.stderr)
        return 2
    host, port = split(settings.address("PINGXI_OUTBOX"))
    config = uvicorn.Config(
        application(journal, SystemClock(), random.Random()),
        host=host,
        port=port,
        access_log=False,
        log_level="warning",
        timeout_graceful_shutdown=DRAIN_SECONDS,
    )
    asyncio.run(uvicorn.Server(config).serve())
    return 0


if __name__ == "__main__":
    sys.exit(main())
