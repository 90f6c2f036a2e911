"""The life of policies: seeded by files, changed by edits on disk or by people, never forgotten, in force at once.

In force is the last activation in the database. Files on disk are activated when they are first seen, when they were
edited while nobody ran, and when they are edited now; so the last to speak wins, file or person.
"""

import asyncio
import logging
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta

from common import metrics
from common.clock import Clock
from common.errors import Conflict, FieldProblem, Invalid, NotFound, StaleVersion, Unavailable
from common.ids import deterministic_id
from common.locatedyaml import Problem
from common.policyfiles import Files, PolicyError, from_json
from common.policyfolder import PolicyFolder
from rules.model import PolicySet
from services.router.book import PolicyBook
from services.router.model import Actor, ActorKind, Ticket, Update
from services.router.ports import Filter, Outbox, Position, Tickets, Versions
from services.router.retarget import RUNNING, apply_version, moved_clocks
from services.router.versions import FILES, Version, changed_files, disk_digest, next_version, read

log = logging.getLogger(__name__)

_LOOK_SECONDS = 2.0
_ATTEMPTS = 20
_PAGE = 200
_PAGE_MAX = 200
_REASON_MAX = 255
# Until then another router may still open tickets by the version before.
_OTHERS_FOLLOW = timedelta(seconds=4 * _LOOK_SECONDS)


@dataclass(frozen=True)
class Verdict:
    """What would become of changed files. Without problems: the hash, and the running clocks they would move."""

    problems: tuple[Problem, ...]
    policy_hash: str = ""
    running_clocks: int = 0


class PolicyLife:
    """Decides which version is in force, and tells the book. Calls raise Unavailable where the database is away."""

    def __init__(
        self,
        book: PolicyBook,
        versions: Versions,
        folder: PolicyFolder,
        tickets: Tickets,
        outbox: Outbox,
        clock: Clock,
    ) -> None:
        self._book = book
        self._versions = versions
        self._folder = folder
        self._tickets = tickets
        self._outbox = outbox
        self._clock = clock
        # What lay on disk when this process last took it over, by brand.
        self._taken: dict[str, str] = {}
        self._swept: set[str] = set()
        self._turn = asyncio.Lock()
        self._wake = asyncio.Event()

    async def load(self) -> None:
        """Before anything is handled: the database and the files decide what is in force. Kafka may be away."""
        await self._versions.prepare()
        async with self._turn:
            await self._catch_up(publish=False)
            await self._take_files(publish=False)

    async def run(self) -> None:
        """Follows files and other routers, and moves running tickets, until cancelled."""
        while True:
            try:
                await self.look()
            except Unavailable as error:
                log.warning("policies are looked at later", extra={"reason": str(error)})
            with suppress(TimeoutError):
                await asyncio.wait_for(self._wake.wait(), _LOOK_SECONDS)
            self._wake.clear()

    async def look(self) -> None:
        """Once: what has changed on disk and in the database takes effect."""
        self._look()
        async with self._turn:
            await self._catch_up()
            await self._take_files()
        await self._apply_to_running()

    def in_force(self, brand: str) -> list[Version]:
        """The version of a brand, or of all ("")."""
        found = [self._book.version(each) for each in self._book.brands if brand in ("", each)]
        return [version for version in found if version is not None]

    async def history(self, brand: str, page_size: int, page_token: str) -> tuple[list[Version], str]:
        """Activations, the newest first, and the token of the next page. Raises Invalid, NotFound."""
        problems = []
        if not 0 <= page_size <= _PAGE_MAX:
            problems.append(FieldProblem("page_size", f"expected 1 to {_PAGE_MAX}, or 0 for 50"))
        if page_token and not page_token.isdecimal():
            problems.append(FieldProblem("page_token", "isn't one of this listing"))
        if problems:
            raise Invalid(problems)
        self._known(brand)
        limit = page_size or 50
        rows = await self._versions.history(brand, int(page_token or 0), limit + 1)
        return rows[:limit], str(rows[limit - 1].number) if len(rows) > limit else ""

    async def validate(self, brand: str, files: Files) -> Verdict:
        """What is wrong with changed files, else what they would do."""
        try:
            policies = self._read(brand, files)
        except PolicyError as error:
            return Verdict(tuple(error.problems))
        clocks, after = 0, None
        while page := await self._page(brand, after):
            clocks += sum(moved_clocks(ticket, policies) for ticket, _ in page)
            after = page[-1][1]
            await asyncio.sleep(0)
        return Verdict((), policies.hash, clocks)

    async def activate(
        self,
        brand: str,
        files: Files,
        policy_hash: str,
        *,
        expected_hash: str,
        key: str,
        actor: Actor,
        reason: str,
    ) -> Version:
        """Puts changed files, or an earlier version, in force; it is on policies.v1 before it is used.

        Raises Invalid with every problem, NotFound (no such version), StaleVersion (`expected_hash` isn't in force),
        Conflict (the key was used for something else), Unavailable.
        """
        _check(brand, files, policy_hash, actor, reason)
        request = deterministic_id("activate", brand, policy_hash, sorted(files.items()))
        async with self._turn:
            for _ in range(_ATTEMPTS):
                await self._catch_up()
                repeated = await self._versions.by_key(brand, key)
                if repeated is not None:
                    if repeated.request != request:
                        raise Conflict("this idempotency key was used for something else")
                    return repeated
                last = self._book.version(brand)
                in_force = last.policy_hash if last else ""
                if expected_hash and expected_hash != in_force:
                    raise StaleVersion(f"{in_force or 'nothing'} is in force, not {expected_hash}")
                policies, whole = await self._wanted(brand, files, policy_hash)
                if last and (policies.hash, whole) == (last.policy_hash, dict(last.files)):
                    return last
                now, disk = self._clock.now(), last.disk if last else ""
                version = next_version(last, policies, whole, now, actor, reason, disk, key, request)
                if await self._put(version, policies):
                    return version
        raise StaleVersion("the policies change faster than this can follow")

    async def _wanted(self, brand: str, files: Files, policy_hash: str) -> tuple[PolicySet, dict[str, str]]:
        if policy_hash:
            old = await self._versions.by_hash(brand, policy_hash)
            if old is None:
                raise NotFound("the brand never had this version")
            return from_json(old.content), dict(old.files)
        try:
            return self._read(brand, files), self._whole(brand, files)
        except PolicyError as error:
            places = [(f"files[{p.file}]:{p.line}" + (f" {p.field}" if p.field else ""), p) for p in error.problems]
            raise Invalid([FieldProblem(at, f"expected {p.expected}, found {p.found}") for at, p in places]) from error

    def _whole(self, brand: str, files: Files) -> dict[str, str]:
        present = self._book.version(brand)
        return changed_files(present.files if present else {}, files)

    def _read(self, brand: str, files: Files) -> PolicySet:
        brands = {version.brand: version.files for version in self.in_force("")}
        return read(brand, {**brands, brand: self._whole(brand, files)})

    async def _put(self, version: Version, policies: PolicySet, publish: bool = True) -> bool:
        """Stored, then announced, then in force. False where another activation took its number."""
        if not await self._versions.add(version):
            return False
        await self._adopt(version, policies, publish)
        log.info("policies activated", extra={"brand": version.brand, "policy": version.policy_hash})
        return True

    async def _adopt(self, version: Version, policies: PolicySet, publish: bool) -> None:
        if publish:
            await self._book.publish(version)
        self._book.adopt(version, policies, published=publish)
        self._wake.set()

    async def _catch_up(self, publish: bool = True) -> None:
        """What other routers, or this one before a crash, have stored."""
        for brand, number in sorted((await self._versions.latest()).items()):
            present = self._book.version(brand)
            if present is not None and present.number >= number:
                continue
            version = await self._versions.get(brand, number)
            if version is None:
                continue
            try:
                policies = from_json(version.content)
            except ValueError as error:
                # An older program than the one that stored it: what is in force here stays.
                log.error("a policy version can't be used", extra={"brand": brand, "reason": str(error)})
                continue
            await self._adopt(version, policies, publish)

    def _look(self) -> None:
        try:
            if self._folder.look():
                metrics.policy_problems.labels("router").set(0)
        except PolicyError as error:
            metrics.policy_problems.labels("router").set(len(error.problems))
            for problem in error.problems:
                log.error("edited policies stay out of force", extra={"reason": str(problem)})

    async def _take_files(self, publish: bool = True) -> None:
        """Activates what has been edited on disk since it was last taken over."""
        loaded = self._folder.policies
        for brand, policies in loaded.items():
            disk, files = disk_digest(policies, self._folder.texts, loaded), self._folder.texts[brand]
            if self._taken.get(brand) == disk:
                continue
            for _ in range(_ATTEMPTS):
                last = self._book.version(brand)
                same = last is not None and (last.policy_hash, dict(last.files)) == (policies.hash, files)
                if last is not None and (last.disk == disk or same):
                    break
                why = "first seen" if last is None else "edited on disk"
                version = next_version(last, policies, files, self._clock.now(), FILES, why, disk)
                if await self._put(version, policies, publish):
                    break
                await self._catch_up(publish)
            self._taken[brand] = disk

    async def _apply_to_running(self) -> None:
        """Running tickets get the version in force where it says so; again after a while, for those that were opened
        by the version before."""
        for version in self.in_force(""):
            policies = self._book.of(version.brand)
            if version.cause in self._swept or policies is None:
                continue
            if await self._versions.unapplied(version.brand, version.number):
                final = self._clock.now() >= version.active_since + _OTHERS_FOLLOW
                if any(policy.apply_to_running for policy in policies.sla):
                    await self._sweep(version, policies)
                    if not final:
                        continue
                await self._versions.applied(version.brand, version.number)
            self._swept.add(version.cause)

    async def _sweep(self, version: Version, policies: PolicySet) -> None:
        after = None
        while page := await self._page(version.brand, after):
            after = page[-1][1]
            tickets = {ticket.id: ticket for ticket, _ in page}
            for _ in range(_ATTEMPTS):
                now = self._clock.now()
                changes = [(t, apply_version(t, version, policies, now)) for t in tickets.values()]
                updates = [Update(ticket.version, (event,)) for ticket, event in changes if event is not None]
                if not updates:
                    break
                stored = await self._tickets.save(updates)
                for update in updates:
                    self._outbox.wake(update.ticket.id)
                if stored:
                    break
                # Somebody else was first with some of them; what was stored knows its cause at the next look.
                tickets = await self._tickets.get_many([update.ticket.id for update in updates])

    async def _page(self, brand: str, after: Position | None) -> list[tuple[Ticket, Position]]:
        return await self._tickets.find(Filter(brands=(brand,), statuses=RUNNING), "acknowledged_at", after, _PAGE)

    def _known(self, brand: str) -> None:
        if self._book.of(brand) is None:
            raise NotFound("there is no such brand")


def _check(brand: str, files: Mapping[str, str], policy_hash: str, actor: Actor, reason: str) -> None:
    problems = []
    if not brand:
        problems.append(FieldProblem("brand", "is needed"))
    if bool(files) == bool(policy_hash):
        problems.append(FieldProblem("files", "expected either files or policy_hash"))
    if actor.kind is ActorKind.CUSTOMER or not actor.id:
        problems.append(FieldProblem("actor", "who activates is needed"))
    if len(reason) > _REASON_MAX:
        problems.append(FieldProblem("reason", f"has more than {_REASON_MAX} characters"))
    if problems:
        raise Invalid(problems)
