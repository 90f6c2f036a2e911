"""SMTP (RFC 5321) by aiosmtpd, on the service's own loop and within bounds: of connections, of memory, of time.

Answers: 250 once the complaint is in the log, or the mail is one that opens none; 451 where the sender should try
again; 550 for a mailbox that isn't ours; 552 for a mail that is too large. No AUTH: customers have no account here, and
nothing is relayed.
"""

import asyncio
import logging
import ssl
import traceback
from collections.abc import Awaitable
from typing import TypeVar, cast

from aiosmtpd.smtp import SMTP, Session
from aiosmtpd.smtp import Envelope as SmtpEnvelope

from common import metrics
from common.clock import Clock
from common.errors import RateLimited, Unavailable
from common.settings import host_port
from common.tracing import continue_trace
from services.intake.mail.handlers import CHANNEL, MailDesk
from services.intake.mail.model import Envelope
from services.intake.mail.reading import contact_of
from services.intake.problems import code_of

log = logging.getLogger(__name__)

MAX_RECIPIENTS = 100
# RFC 5321 says 1,000 octets; programs that put all their HTML on one line are many.
MAX_LINE = 1024 * 1024
# Of one connection without a valid command, and of one DATA as a whole.
TIMEOUT_SECONDS = 180.0
# What a line costs in memory beside its bytes; a mail of 12 million empty lines would take a gigabyte.
_LINE_COST = 100
# For all connections together.
MAX_HELD = 512 * 1024 * 1024
GRACE_SECONDS = 2.0
T = TypeVar("T")
_COMMANDS = {"*": 50, "MAIL": 1000, "RCPT": 5000, "DATA": 1000, "RSET": 1000, "NOOP": 200}

BUSY = b"421 4.3.2 too busy, try again later\r\n"


class SmtpServer:
    """Serves `desk` on `address`. `size`: bytes of the largest mail; `connections`: how many at a time."""

    def __init__(
        self,
        address: str,
        desk: MailDesk,
        clock: Clock,
        name: str,
        size: int,
        connections: int,
        tls: ssl.SSLContext | None = None,
        held: int = MAX_HELD,
    ) -> None:
        self._address = address
        self._desk = desk
        self._clock = clock
        self._name = name
        self._tls = tls
        self.size = size
        self._max_connections = connections
        self._max_held = held
        self.held = 0
        self.connections: set[_Connection] = set()

    async def serve(self, stop: asyncio.Event) -> None:
        """Serves until `stop`; then accepts no more, and gives mails that are being dealt with the grace.

        Raises OSError naming the address where it is taken.
        """
        # The library writes addresses and mails into its log.
        logging.getLogger("mail").setLevel(logging.CRITICAL + 1)
        host, port = host_port(self._address)
        loop = asyncio.get_running_loop()
        try:
            server = await loop.create_server(self._connected, host.strip("[]"), port)
        except OSError as error:
            raise OSError(error.errno, f"{error.strerror}: {self._address}") from error
        try:
            await stop.wait()
        finally:
            server.close()
            await self._say_goodbye()

    def _connected(self) -> asyncio.BaseProtocol:
        if len(self.connections) >= self._max_connections:
            return _Refusal()
        return _Connection(self, _Hooks(self._desk, self._clock), self._name, self._tls)

    async def _say_goodbye(self) -> None:
        for connection in [*self.connections]:
            connection.end_when_idle()
        if ends := [connection.ended for connection in self.connections]:
            await asyncio.wait(ends, timeout=GRACE_SECONDS)
        for connection in [*self.connections]:
            connection.abort()

    def may_hold(self, more: int) -> bool:
        """Takes so much memory for a mail, if there is as much."""
        if self.held + more > self._max_held:
            return False
        self.held += more
        return True


class _Refusal(asyncio.Protocol):
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        cast(asyncio.Transport, transport).write(BUSY)
        transport.close()


class _Connection(SMTP):
    """One connection, with what the library leaves unbounded: the memory of a mail while it arrives."""

    line_length_limit = MAX_LINE

    def __init__(self, server: SmtpServer, hooks: "_Hooks", name: str, tls: ssl.SSLContext | None) -> None:
        loop = asyncio.get_running_loop()
        super().__init__(
            hooks,
            data_size_limit=server.size,
            enable_SMTPUTF8=True,
            hostname=name,
            ident="ESMTP",
            tls_context=tls,
            timeout=TIMEOUT_SECONDS,
            auth_exclude_mechanism=["LOGIN", "PLAIN"],
            command_call_limit=_COMMANDS,
            loop=loop,
        )
        self._server = server
        self._held = 0
        self._dealing = False
        self._ending = False
        self.ended: asyncio.Future[None] = loop.create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        first = self not in self._server.connections
        self._server.connections.add(self)
        super().connection_made(transport)
        if first and self._handler_coroutine is not None:
            # A connection that breaks is the client's business, not an error nobody looked at.
            self._handler_coroutine.add_done_callback(lambda done: done.cancelled() or done.exception())

    def connection_lost(self, error: Exception | None) -> None:
        self._let_go()
        self._server.connections.discard(self)
        if not self.ended.done():
            self.ended.set_result(None)
        super().connection_lost(error)

    def data_received(self, data: bytes) -> None:
        cost = len(data) + _LINE_COST * data.count(b"\n")
        # The size that is announced, in lines of ordinary length, has room.
        if self._held + cost > 4 * self._server.size:
            self._give_up(b"552 5.3.4 too much mail data\r\n")
        elif not self._server.may_hold(cost):
            self._give_up(BUSY)
        else:
            self._held += cost
            super().data_received(data)

    def _getaddr(self, arg: str) -> tuple[str | None, str | None]:
        try:
            found: tuple[str | None, str | None] = super()._getaddr(arg)
        except (IndexError, ValueError, AttributeError, NameError):
            # The standard library's parser of addresses trips over some that aren't.
            return None, None
        return found

    async def smtp_AUTH(self, arg: str) -> None:
        await self.push("502 5.5.1 AUTH isn't offered")

    async def smtp_DATA(self, arg: str) -> None:
        try:
            await super().smtp_DATA(arg)
        finally:
            self._let_go()
            if self._ending and self.transport is not None:
                self.transport.close()

    async def deal(self, work: Awaitable[T]) -> T:
        """Does `work` as something that a stop waits for."""
        self._dealing = True
        try:
            return await work
        finally:
            self._dealing = False

    def end_when_idle(self) -> None:
        """Ends the connection now, or once the mail in hand is answered."""
        self._ending = True
        if not self._dealing:
            self._give_up(b"421 4.3.2 stopping, try again later\r\n")

    def abort(self) -> None:
        """Ends the connection as it is."""
        if self.transport is not None:
            cast(asyncio.Transport, self.transport).abort()

    def _give_up(self, why: bytes) -> None:
        self._let_go()
        if self.transport is not None and not self.transport.is_closing():
            cast(asyncio.Transport, self.transport).write(why)
            self.transport.close()

    def _let_go(self) -> None:
        self._server.held -= self._held
        self._held = 0


class _Hooks:
    """What the library calls at each stage; one for each connection."""

    def __init__(self, desk: MailDesk, clock: Clock) -> None:
        self._desk = desk
        self._clock = clock

    async def handle_EHLO(
        self, server: _Connection, session: Session, envelope: SmtpEnvelope, hostname: str, responses: list[str]
    ) -> list[str]:
        session.host_name = hostname
        *offered, last = responses
        return [*(each for each in offered if not each.startswith("250-AUTH")), "250-PIPELINING", last]

    async def handle_MAIL(
        self, server: _Connection, session: Session, envelope: SmtpEnvelope, address: str, options: list[str]
    ) -> str:
        if address != "<>" and not contact_of(address):
            return "553 5.1.7 the sender's address can't be answered"
        envelope.mail_from = address
        envelope.mail_options.extend(options)
        return "250 2.1.0 OK"

    async def handle_RCPT(
        self, server: _Connection, session: Session, envelope: SmtpEnvelope, address: str, options: list[str]
    ) -> str:
        if len(envelope.rcpt_tos) >= MAX_RECIPIENTS:
            return "452 4.5.3 too many recipients"
        if self._desk.brand_of(address) is None:
            return "550 5.1.1 no such mailbox here"
        envelope.rcpt_tos.append(address)
        envelope.rcpt_options.extend(options)
        return "250 2.1.5 OK"

    async def handle_DATA(self, server: _Connection, session: Session, envelope: SmtpEnvelope) -> str:
        raw = envelope.content
        assert isinstance(raw, bytes)
        brands = dict.fromkeys(brand for each in envelope.rcpt_tos if (brand := self._desk.brand_of(each)))
        sender = envelope.mail_from or ""
        known = Envelope(
            sender="" if sender == "<>" else contact_of(sender),
            recipients=tuple(envelope.rcpt_tos),
            brands=tuple(brands),
        )
        if not brands:
            # Gone since RCPT.
            return "451 4.3.0 not taken yet, try again later"
        started = self._clock.monotonic()
        try:
            with continue_trace(None):
                outcome = await server.deal(self._desk.take(known, raw))
        except Exception as error:
            metrics.complaints_rejected.labels(CHANNEL, code_of(error)).inc()
            if isinstance(error, Unavailable | RateLimited):
                return "451 4.3.0 not taken yet, try again later"
            raise
        if outcome is not None:
            metrics.complaints_rejected.labels(CHANNEL, outcome).inc()
            return "250 2.0.0 OK, no ticket"
        for brand in brands:
            metrics.complaints_accepted.labels(CHANNEL, brand).inc()
        metrics.intake_ack_seconds.observe(self._clock.monotonic() - started)
        return "250 2.0.0 OK"

    async def handle_exception(self, error: Exception) -> str:
        # An unexpected error's text may quote the mail: its kind and place are enough to find it.
        place = " < ".join(
            f"{frame.filename}:{frame.lineno}" for frame in traceback.extract_tb(error.__traceback__)[:-4:-1]
        )
        log.error("mail failed at %s", place, extra={"reason": type(error).__name__})
        return "451 4.3.0 something went wrong here, try again later"


def tls_context(certificate: str, key: str) -> ssl.SSLContext:
    """For STARTTLS, of PEM files. Raises ValueError naming the variables."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        context.load_cert_chain(certificate, key)
    except (OSError, ssl.SSLError) as error:
        raise ValueError(f"PINGXI_INTAKE_SMTP_CERTIFICATE, PINGXI_INTAKE_SMTP_KEY: {error}") from error
    return context
