"""The two things intake does: take a complaint, tell its progress."""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime

from common.clock import Clock
from common.errors import Conflict, NotFound, Unauthenticated, Unavailable
from rules import number
from rules.model import PolicySet
from services.intake import policy, tokens
from services.intake.memory import RecentKeys
from services.intake.model import Progress, Receipt, Submission
from services.intake.ports import ComplaintLog, Tickets


@dataclass(frozen=True)
class Secrets:
    """The installation's secrets, shared by all instances."""

    ticket_id: bytes
    token: bytes
    customer_ref: bytes


class Intake:
    """Accepts complaints and answers about them; one per process. `random_bits` gives 60 random bits."""

    def __init__(
        self,
        policies: Mapping[str, PolicySet],
        log: ComplaintLog,
        tickets: Tickets,
        clock: Clock,
        secrets: Secrets,
        random_bits: Callable[[], int],
        recent: RecentKeys | None = None,
    ) -> None:
        self._policies = policies
        self._log = log
        self._tickets = tickets
        self._clock = clock
        self._secrets = secrets
        self._random_bits = random_bits
        self._recent = RecentKeys() if recent is None else recent
        self._under_way: dict[str, asyncio.Task[Receipt]] = {}

    async def submit(
        self, submission: Submission, caller: str, key: str | None, fingerprint: str | None = None
    ) -> Receipt:
        """Acknowledges a complaint: it is in the log when this returns.

        The same `key` of the same `caller` (a credential's name) gives the same id and token, from any instance, and
        while one is under way its repeats wait for it. Raises Conflict for another complaint under the key,
        Unavailable where the log's answer is unknown: a retry with the key gets the same id. `fingerprint` takes the
        place of the submission's own where a repeat differs in ids that we make ourselves.
        """
        sent = fingerprint or policy.fingerprint(self._secrets.customer_ref, submission)
        if key is None:
            fresh = number.from_random(self._random_bits())
            return await self._acknowledge(fresh, submission, sent, self._clock.now(), keyed=False)
        ticket_id = number.from_key(self._secrets.ticket_id, caller, key)
        seen = self._recent.get(ticket_id, self._clock.monotonic())
        if seen is not None:
            if seen.fingerprint != sent:
                raise Conflict("the idempotency key was used for another complaint")
            if seen.receipt is not None:
                return seen.receipt
        task = self._under_way.get(ticket_id)
        if task is None:
            # A try whose fate is unknown may be in the log by now: a repeat promises the same.
            tried_at = self._clock.now() if seen is None else seen.tried_at
            self._recent.put(ticket_id, sent, tried_at, None, self._clock.monotonic())
            task = asyncio.create_task(self._acknowledge(ticket_id, submission, sent, tried_at, keyed=True))
            self._under_way[ticket_id] = task
            task.add_done_callback(lambda done: self._finished(ticket_id, done))
        # A caller who goes away must not take the send, or the others who wait for it, with him.
        return await asyncio.shield(task)

    async def _acknowledge(
        self, ticket_id: str, submission: Submission, sent: str, at: datetime, *, keyed: bool
    ) -> Receipt:
        policies = self._policies[submission.brand]
        complaint = policy.judge(
            policies,
            submission,
            ticket_id,
            policy.customer_ref(self._secrets.customer_ref, submission),
            sent,
            at,
        )
        await self._log.append(complaint)
        category = complaint.declared_category
        if keyed:
            token = tokens.keyed_token(self._secrets.token, ticket_id, category)
        else:
            token = tokens.full_token(
                self._secrets.token, ticket_id, category, complaint.acknowledged_at, complaint.promise
            )
        receipt = Receipt(ticket_id, token, complaint.acknowledged_at, complaint.promise, category)
        if keyed:
            self._recent.put(ticket_id, sent, at, receipt, self._clock.monotonic())
        return receipt

    def _finished(self, ticket_id: str, task: "asyncio.Task[Receipt]") -> None:
        self._under_way.pop(ticket_id, None)
        if not task.cancelled():
            # Read it: all who waited may be gone, and asyncio would warn of an error nobody saw.
            task.exception()

    async def drain(self) -> None:
        """Waits for what is under way; each send has its own time limit."""
        await asyncio.gather(*self._under_way.values(), return_exceptions=True)

    async def progress(self, ticket_id: str, token: str | None, trusted: bool) -> Progress:
        """How far a complaint is, for the holder of its token or a `trusted` caller (a channel or service key).

        Never NotFound for an acknowledged complaint: what the router doesn't know yet, or can't be asked for, is
        received. Raises Unauthenticated without either credential, NotFound for what isn't a number.
        """
        canonical = number.parse(ticket_id)
        facts = tokens.read_token(self._secrets.token, canonical, token) if canonical and token else None
        if not trusted and facts is None and (canonical or token is None):
            raise Unauthenticated("the complaint's token or a channel key is needed")
        if canonical is None:
            raise NotFound("no such complaint: the number is mistyped")
        try:
            found = await self._tickets.progress(canonical)
        except Unavailable:
            found = None
        if found is not None:
            return found
        seen = self._recent.get(canonical, self._clock.monotonic())
        return policy.received(canonical, facts, seen.receipt if seen else None)
