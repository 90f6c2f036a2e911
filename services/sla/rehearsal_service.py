"""RehearsePolicy: what a changed policy would have done, before it goes live."""

import asyncio
from collections.abc import Mapping
from pathlib import Path

from common.clock import Clock
from common.errors import FieldProblem, Invalid, Refused
from common.livepolicies import LivePolicies
from common.policyfiles import Files, PolicyError, Texts, load_from, texts_under
from common.words import from_timestamp
from gen.pingxi.v1.common_pb2 import Money
from gen.pingxi.v1.sla_service_pb2 import RehearsalRow, RehearsePolicyRequest, RehearsePolicyResponse
from rules.model import PolicySet
from rules.rehearsal import Comparison
from services.sla.rehearse import rehearse


class Rehearsals:
    """One at a time: a rehearsal takes a share of a core from the watchdog."""

    def __init__(self, bootstrap: str, topic_prefix: str, folder: Path, policies: LivePolicies, clock: Clock) -> None:
        self._bootstrap = bootstrap
        self._prefix = topic_prefix
        self._folder = folder
        self._policies = policies
        self._clock = clock
        self._turn = asyncio.Lock()

    async def rehearse(self, request: RehearsePolicyRequest) -> RehearsePolicyResponse:
        """Files that aren't given are those in force; an empty text takes one away.

        Raises Invalid with every problem of the files, Refused while another rehearsal runs, Unavailable.
        """
        if not request.brand:
            raise Invalid([FieldProblem("brand", "is needed")])
        if self._turn.locked():
            raise Refused("another rehearsal is under way")
        async with self._turn:
            changed = await asyncio.to_thread(self._read, request.brand, dict(request.files))
            end = from_timestamp(request.to) or self._clock.now()
            start = from_timestamp(getattr(request, "from"))
            present: Mapping[str, PolicySet] = dict(self._policies)
            outcome = await rehearse(self._bootstrap, self._prefix, {request.brand: changed}, present, start, end)
        return RehearsePolicyResponse(rows=map(_row, outcome.rows), tickets=outcome.tickets)

    def _read(self, brand: str, files: Files) -> PolicySet:
        brands: dict[str, Files] = {**texts_under(self._folder), **self._policies.announced_files()}
        whole = {name: text for name, text in {**brands.get(brand, {}), **files}.items() if text}
        try:
            return load_from(Texts({**brands, brand: whole}), brand)
        except PolicyError as error:
            raise Invalid(
                [
                    FieldProblem(
                        f"files[{p.file}]:{p.line} {p.field}".rstrip(), f"expected {p.expected}, found {p.found}"
                    )
                    for p in error.problems
                ]
            ) from error


def _row(row: Comparison) -> RehearsalRow:
    return RehearsalRow(
        brand=row.brand,
        queue=row.queue,
        breaches_before=row.before.breaches,
        breaches_after=row.after.breaches,
        escalations_before=row.before.escalations,
        escalations_after=row.after.escalations,
        vouchers_before=row.before.vouchers,
        vouchers_after=row.after.vouchers,
        amount_before=Money(currency=row.currency, amount_minor=row.before.amount),
        amount_after=Money(currency=row.currency, amount_minor=row.after.amount),
    )
