"""Two tickets become one. Two documents can't change in one write, so each half can be repeated: first the merged
ticket ends and names the survivor, then the survivor takes over; after a crash between, the timers do that half."""

from common.clock import Clock
from common.errors import FieldProblem, Invalid, Refused, StaleVersion
from common.ids import deterministic_id
from services.router.commands import Command, Merge, MergeAway
from services.router.execution import Executor, Head, check, head_problems, ticket_number
from services.router.model import ROUTER, Personal, Ticket
from services.router.ports import Policies, Vault
from services.router.terms import merging
from services.router.texts import merged_note
from services.router.transitions import permit


class Merging:
    """Merging by people, and what is left of one."""

    def __init__(self, executor: Executor, policies: Policies, vault: Vault, clock: Clock) -> None:
        self._executor = executor
        self._policies = policies
        self._vault = vault
        self._clock = clock

    async def merge(self, head: Head, merged_id: str, merged_version: int = 0) -> Ticket:
        """Ends `merged_id` in favour of the head's ticket; the survivor keeps the earliest start (sla.md, "Merge").

        Raises what the commands of `Desk` raise; Refused for tickets of two brands and one that was merged elsewhere.
        """
        problems = head_problems(head)
        if merged_version < 0:
            problems.append(FieldProblem("merged_expected_version", "is negative"))
        check(problems)
        survivor_id, merged_id = ticket_number(head.ticket_id), ticket_number(merged_id, "merged_ticket_id")
        if survivor_id == merged_id:
            raise Invalid([FieldProblem("merged_ticket_id", "is the ticket itself")])
        survivor, merged = await self._executor.ticket(survivor_id), await self._executor.ticket(merged_id)
        cause_id = head.cause_id()
        if survivor.entry_of(cause_id) is None and merged.merged_into != survivor_id:
            self._may(head, survivor, merged)
            away = Head(merged_id, merged_version, "", head.actor, head.reason, head.trace)
            await self._executor.execute(
                away, "merge-away", (survivor_id,), lambda _, __: [MergeAway(survivor_id)], f"merge-into:{survivor_id}"
            )
        # Whatever has become of the survivor's version meanwhile: the other ticket has ended.
        take = Head(survivor_id, 0, head.idempotency_key, head.actor, head.reason, head.trace)
        return await self._take_in(take, merged_id, cause_id)

    async def finish(self, merged: Ticket) -> Ticket:
        """The second half for a ticket that has ended; nothing where that was done. Raises Unavailable."""
        head = Head(merged.merged_into, 0, "", ROUTER, "merging completed")
        return await self._take_in(head, merged.id, f"merge:{merged.id}")

    def _may(self, head: Head, survivor: Ticket, merged: Ticket) -> None:
        if head.expected_version not in (0, survivor.version):
            raise StaleVersion(f"the ticket is at version {survivor.version}, not {head.expected_version}")
        permit(survivor, Merge)
        if merged.merged_into:
            raise Refused(f"that ticket was merged into {merged.merged_into}")
        if survivor.brand != merged.brand:
            raise Refused("tickets of two brands can't be merged")

    async def _take_in(self, head: Head, merged_id: str, cause_id: str) -> Ticket:
        merged = await self._executor.ticket(merged_id)

        def make(survivor: Ticket, note_id: str) -> list[Command]:
            if merged_id in survivor.merged and survivor.entry_of(cause_id) is None:
                return []
            policies = self._policies.of(survivor.brand)
            calendars = {} if policies is None else policies.calendars
            note = self._vault.seal(survivor.id, Personal(text=merged_note(merged_id, survivor.id)))
            note_id = deterministic_id("merge-note", survivor.id, merged_id)
            return [merging(survivor, merged, calendars, note_id, note)]

        return (await self._executor.execute(head, "merge", (merged_id,), make, cause_id))[0]
