"""Carries the plan out: claim, write, send, tell, record. Each step may be the last before a crash; all repeat safely.

The outcome is published before it is recorded: what is recorded as final has been told to everybody and is never
looked at again; anything else is sent again under the same idempotency key.
"""

import asyncio
import logging
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import count

from common.clock import Clock
from common.errors import Refused, Unavailable
from services.notifier.model import CUSTOMER, Delivery, Event, Message, Notification, Person, State, Way, Why
from services.notifier.policy import expired, key_for, masked, retry_delay, way_to
from services.notifier.ports import Claims, Outcomes, Provider, Tickets, Writer

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Patience:
    """Seconds before giving up: on a provider for one message and way, and on a ticket nobody knows. `at_once`: tickets
    served side by side."""

    provider: float = 120.0
    unknown_ticket: float = 300.0
    at_once: int = 32


class Notifier:
    """Sends what is owed. Messages of one ticket keep their order; tickets don't wait for each other."""

    def __init__(
        self,
        claims: Claims,
        tickets: Tickets,
        provider: Provider,
        outcomes: Outcomes,
        writer: Writer,
        clock: Clock,
        chance: Callable[[], float],
        patience: Patience,
    ) -> None:
        self._claims = claims
        self._tickets = tickets
        self._provider = provider
        self._outcomes = outcomes
        self._writer = writer
        self._clock = clock
        self._chance = chance
        self._patience = patience

    async def deliver_all(self, notifications: Sequence[Notification]) -> None:
        """Delivers each or says why not.

        Raises Unavailable where some couldn't be settled (the others are; the same call again settles the rest), Poison
        for one that never can.
        """
        by_ticket: dict[str, list[Notification]] = {}
        for notification in notifications:
            by_ticket.setdefault(notification.ticket_id or notification.id, []).append(notification)
        slots = asyncio.Semaphore(self._patience.at_once)

        async def in_order(owed: Sequence[Notification]) -> None:
            async with slots:
                for notification in owed:
                    await self.deliver(notification)

        results = await asyncio.gather(*map(in_order, by_ticket.values()), return_exceptions=True)
        failures = [result for result in results if result is not None]
        # One that can never succeed first: the loop then takes the batch apart.
        for failure in sorted(failures, key=lambda found: isinstance(found, Unavailable)):
            raise failure

    async def deliver(self, notification: Notification) -> None:
        """Settles one message. Raises Unavailable where it can't now, Poison where it never can."""
        now = self._clock.now()
        locale = self._writer.locale(notification.brand, notification.locale)
        try:
            state = await self._claims.claim(notification, now)
        except Unavailable:
            # Staff are told of a broken promise though the database is away: nothing of the message is in it, and the
            # provider drops repeats. A customer's message needs the router, which needs the database too.
            if notification.personal:
                raise
            state = State.CLAIMED
        if state is not State.CLAIMED:
            return
        if expired(notification, now):
            await self._settle(notification, "", notification.recipient, State.EXPIRED, why=Why.EXPIRED)
        elif notification.personal:
            await self._to_customer(notification, locale)
        else:
            await self._to_staff(notification, locale)

    async def _to_customer(self, notification: Notification, locale: str) -> None:
        person = await self._person(notification.ticket_id)
        text = person.texts.get(notification.message_id, "") if person and notification.message_id else ""
        # A reply whose text is gone (the customer was erased meanwhile) has nothing left to say.
        mute = notification.event is Event.REPLY and not text
        if person is None or not person.contact or mute:
            await self._settle(notification, "", CUSTOMER, State.FAILED, why=Why.NO_CONTACT)
            return
        if not notification.locale:
            locale = self._writer.locale(notification.brand, person.locale)
        await self._by(way_to(person.contact), notification, person.contact, locale, text, last=True)

    async def _to_staff(self, notification: Notification, locale: str) -> None:
        for way in notification.ways:
            last = way == notification.ways[-1]
            if await self._by(way, notification, notification.recipient, locale, "", last):
                return

    async def _person(self, ticket_id: str) -> Person | None:
        """Waits a while for a ticket that isn't known: the router may be behind the watchdog."""
        give_up = self._clock.monotonic() + self._patience.unknown_ticket
        for attempt in count():
            person = await self._tickets.person(ticket_id) if ticket_id else None
            wait = retry_delay(attempt, self._chance())
            if person is not None or not ticket_id or self._clock.monotonic() + wait > give_up:
                return person
            await self._clock.sleep(wait)
        raise AssertionError  # count() never ends

    async def _by(
        self, way: Way, notification: Notification, recipient: str, locale: str, text: str, last: bool
    ) -> bool:
        """Sends by one way. True once settled; False where this way failed and another is left."""
        message = Message(
            key=key_for(notification, way),
            ticket=notification.ticket_id,
            recipient=recipient,
            channel=way,
            event=notification.event,
            locale=locale,
            text=self._writer.write(notification, way, locale, self._clock.now(), text),
        )
        provider_id, why = await self._send(message)
        if why is None:
            await self._settle(notification, way, recipient, State.DELIVERED, provider_id=provider_id)
        elif last:
            await self._settle(notification, way, recipient, State.FAILED, why=why)
        return why is None or last

    async def _send(self, message: Message) -> tuple[str, Why | None]:
        """(the provider's id, None), or ("", why not)."""
        give_up = self._clock.monotonic() + self._patience.provider
        for attempt in count():
            try:
                return await self._provider.send(message), None
            except Refused as error:
                log.warning("refused by the provider", extra={"channel": message.channel, "reason": str(error)})
                return "", Why.REFUSED
            except Unavailable as error:
                wait = retry_delay(attempt, self._chance())
                if self._clock.monotonic() + wait > give_up:
                    log.error("gave up", extra={"channel": message.channel, "attempt": attempt, "reason": str(error)})
                    return "", Why.GAVE_UP
                await self._clock.sleep(wait)
        raise AssertionError  # count() never ends

    async def _settle(
        self,
        notification: Notification,
        channel: str,
        recipient: str,
        state: State,
        *,
        why: str = "",
        provider_id: str = "",
    ) -> None:
        delivery = Delivery(
            id=notification.id,
            ticket_id=notification.ticket_id,
            brand=notification.brand,
            event=notification.event,
            channel=channel,
            recipient=masked(recipient),
            state=state,
            at=self._clock.now(),
            why=why,
            provider_id=provider_id,
        )
        await self._outcomes.publish(delivery)
        # What can't be recorded now is recorded from notifications.v1 once the database is back.
        with suppress(Unavailable):
            await self._claims.record([delivery])


async def keep_records(claims: Claims, deliveries: Sequence[Delivery]) -> None:
    """Records what was published: completes what couldn't be recorded at the time. Raises Unavailable."""
    latest: dict[str, Delivery] = {delivery.id: delivery for delivery in deliveries}
    await claims.record(list(latest.values()))
