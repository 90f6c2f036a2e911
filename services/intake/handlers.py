"""The two things intake does: take a complaint, tell its progress."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime

from common.clock import Clock
from common.errors import Unavailable
from rules import number
from rules.model import PolicySet
from services.intake import policy, tokens
from services.intake.access import admitted
from services.intake.memory import RecentKeys
from services.intake.model import Progress, Receipt, Submission
from services.intake.once import Once
from services.intake.ports import ComplaintLog, Limits, Tickets


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
        recent: RecentKeys[Receipt] | None = None,
        limits: Limits | None = None,
    ) -> None:
        self._policies = policies
        self._log = log
        self._tickets = tickets
        self._clock = clock
        self._secrets = secrets
        self._random_bits = random_bits
        self._limits = limits
        self._once = Once(clock, "complaint", recent)

    async def submit(
        self, submission: Submission, caller: str, key: str | None, *, part: str = "", fingerprint: str | None = None
    ) -> Receipt:
        """Acknowledges a complaint, or a `part` of the one `key` names: it is in the log when this returns.

        The same `key` of the same `caller` (a credential's name) gives the same id and token, from any instance, and
        while one is under way its repeats wait for it. Raises Conflict for another complaint under the key,
        RateLimited, and Unavailable where the log's answer is unknown: a retry with the key gets the same id.
        `fingerprint` takes the place of the submission's own where a repeat differs in ids that we make ourselves.
        """
        sent = fingerprint or policy.fingerprint(self._secrets.customer_ref, submission)
        ref = policy.customer_ref(self._secrets.customer_ref, submission)

        def admit() -> None:
            # What other services of the installation send isn't a customer's doing.
            if self._limits is not None and caller != policy.SYSTEM:
                self._limits.customer(f"{submission.brand}/{ref}")

        if key is None:
            admit()
            fresh = number.from_random(self._random_bits())
            return await self._acknowledge(fresh, submission, ref, sent, self._clock.now(), keyed=False)
        ticket_id = number.from_key(self._secrets.ticket_id, caller, key)

        async def acknowledge(tried_at: datetime) -> Receipt:
            return await self._acknowledge(ticket_id, submission, ref, sent, tried_at, keyed=True)

        return await self._once.do(f"{ticket_id} {part}".rstrip(), sent, acknowledge, admit)

    async def _acknowledge(
        self, ticket_id: str, submission: Submission, ref: str, sent: str, at: datetime, *, keyed: bool
    ) -> Receipt:
        complaint = policy.judge(self._policies[submission.brand], submission, ticket_id, ref, sent, at)
        await self._log.append(complaint)
        category = complaint.declared_category
        if keyed:
            token = tokens.keyed_token(self._secrets.token, ticket_id, category)
        else:
            token = tokens.full_token(
                self._secrets.token, ticket_id, category, complaint.acknowledged_at, complaint.promise
            )
        return Receipt(ticket_id, token, complaint.acknowledged_at, complaint.promise, category)

    def remembers(self, ticket_id: str) -> bool:
        """Whether this process acknowledged the complaint under a key, lately."""
        return self._once.known(ticket_id) is not None

    async def drain(self) -> None:
        """Waits for what is under way; each send has its own time limit."""
        await self._once.drain()

    async def progress(self, ticket_id: str, token: str | None, trusted: bool) -> Progress:
        """How far a complaint is, for the holder of its token or a `trusted` caller (a channel or service key).

        Never NotFound for an acknowledged complaint: what the router doesn't know yet, or can't be asked for, is
        received. Raises Unauthenticated without either credential, NotFound for what isn't a number.
        """
        canonical, facts = admitted(self._secrets.token, ticket_id, token, trusted)
        try:
            found = await self._tickets.progress(canonical)
        except Unavailable:
            found = None
        if found is not None:
            return found
        return policy.received(canonical, facts, self._once.known(canonical))
