"""What the router does by itself: reminds, closes, finishes mergings, forgets, repeats what the watchdog missed.

Every second, over indexed times. Each step is conditional on the ticket's version and known by its cause, so that
several processes, and a crash between, do it once.
"""

import asyncio
import logging
from datetime import timedelta

from common import metrics
from common.clock import Clock
from common.errors import NotFound, Poison, Refused, Unavailable
from common.ids import deterministic_id
from services.router.commands import Cause, Close, Command, EraseCustomer, Inform, RepeatSnapshot
from services.router.merging import Merging
from services.router.model import ROUTER, Personal, Ticket, Update
from services.router.policy import forgetting, next_action, perform, unanswered_at
from services.router.ports import Outbox, Pictures, Policies, Tickets, Vault
from services.router.texts import reminder

log = logging.getLogger(__name__)

_EVERY_SECONDS = 1.0
_AT_ONCE = 200
# What is repeated gets this long to be armed.
_REPEAT_AGAIN = timedelta(minutes=5)


class Timers:
    """`run` looks every second; `look` is one look."""

    def __init__(
        self,
        tickets: Tickets,
        outbox: Outbox,
        policies: Policies,
        vault: Vault,
        merging: Merging,
        clock: Clock,
        pictures: Pictures,
    ) -> None:
        self._tickets = tickets
        self._outbox = outbox
        self._policies = policies
        self._vault = vault
        self._merging = merging
        self._clock = clock
        self._pictures = pictures

    async def run(self) -> None:
        """Until cancelled; a database that is away is waited for."""
        while True:
            try:
                await self.look()
            except Unavailable as error:
                log.warning("timers wait", extra={"reason": str(error)})
            await asyncio.sleep(_EVERY_SECONDS)

    async def look(self) -> None:
        """All that is due now. Raises Unavailable."""
        for ticket in await self._tickets.due_actions(self._clock.now(), _AT_ONCE):
            await self._act(ticket)
        unheard = await self._tickets.unheard(self._clock.now(), _AT_ONCE)
        for ticket in unheard:
            cause = Cause(f"repeat:{ticket.version}", self._clock.now(), ROUTER, "the watchdog was not heard of")
            if await self._change(ticket, RepeatSnapshot(), cause):
                metrics.snapshots_repeated.inc()
        if unheard:
            await self._tickets.expect([ticket.id for ticket in unheard], self._clock.now() + _REPEAT_AGAIN)

    async def _act(self, ticket: Ticket) -> None:
        action, now = next_action(ticket), self._clock.now()
        if action is None or action.at > now:
            return
        cause = Cause(f"timer:{action.kind}:{action.at.isoformat()}", now, ROUTER)
        match action.kind:
            case "remind":
                await self._change(ticket, self._reminder(ticket, cause), cause)
            case "no_answer":
                await self._change(ticket, Close("no answer"), cause)
            case "close":
                await self._change(ticket, Close("time"), cause)
            case "finish_merge":
                await self._finish(ticket)
            case "forget":
                await self._forget(ticket)

    async def _forget(self, ticket: Ticket) -> None:
        action = forgetting(ticket)
        if action is None:
            return
        await self._pictures.release(ticket.id, ticket.pictures)
        cause = Cause(f"timer:forget:{action.at.isoformat()}", self._clock.now(), ROUTER, "retention")
        await self._change(ticket, EraseCustomer(), cause)

    async def _finish(self, merged: Ticket) -> None:
        try:
            await self._merging.finish(merged)
        except (NotFound, Refused, Poison) as error:
            log.error("a merging can't be finished", extra={"reason": str(error)})
        forget = forgetting(merged)
        if forget is not None and forget.at <= self._clock.now():
            await self._forget(merged)
        else:
            await self._tickets.settle(merged, None if forget is None else forget.at)

    def _reminder(self, ticket: Ticket, cause: Cause) -> Command:
        policies = self._policies.of(ticket.brand)
        locale = ticket.locale or (policies.brand.default_locale if policies else "")
        zone = policies.brand.time_zone if policies else "Asia/Shanghai"
        text = reminder(locale, zone, unanswered_at(ticket, cause.at))
        message_id = deterministic_id("message", ticket.id, cause.id)
        return Inform(message_id, self._vault.seal(ticket.id, Personal(text=text)), reminder=True)

    async def _change(self, ticket: Ticket, command: Command, cause: Cause) -> bool:
        """Whether it was done here: a ticket that has changed meanwhile is looked at again."""
        events = perform(ticket, command, cause)
        if not events or not await self._tickets.save([Update(ticket.version, events)]):
            return False
        self._outbox.wake(ticket.id)
        return True
