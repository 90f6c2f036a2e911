"""The life of policies with a real broker and a real database."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import grpc
import pytest

from gen.pingxi.v1 import common_pb2, policy_pb2
from gen.pingxi.v1.policy_pb2 import PolicyVersion
from gen.pingxi.v1.policy_pb2_grpc import PolicyServiceStub
from gen.pingxi.v1.ticket_pb2 import TicketEvent
from services.router.database import connect, disconnect
from services.router.store_policies import MongoVersions
from tests.fakes_policies import behaves, edit, policies_copy
from tests.integration.router.world import Tail, World
from tests.waiting import CLOCK, eventually

WANG = common_pb2.Actor(kind=common_pb2.Actor.KIND_SUPERVISOR, id="wang")


@pytest.fixture
def root(world: World, tmp_path: Path) -> Path:
    """The world's own policies."""
    root = policies_copy(tmp_path)
    world.settings = world.settings.model_copy(update={"policies": root})
    return root


@asynccontextmanager
async def service(world: World) -> AsyncIterator[Any]:
    """PolicyService: `await call("ListPolicies", request)`."""
    async with grpc.aio.insecure_channel(world.settings.router_grpc) as channel:
        stub = PolicyServiceStub(channel)
        metadata = (("authorization", f"Bearer {world.keys.service}"),)

        async def call(method: str, request: Any) -> Any:
            return await getattr(stub, method)(request, metadata=metadata, timeout=10)

        yield call


def versions_on(tail: Tail) -> list[PolicyVersion]:
    found = [PolicyVersion.FromString(record.value) for record in tail.records]
    return [version for version in found if version.brand == "default"]


def applied(tail: Tail) -> list[TicketEvent]:
    return [event for event in tail.events() if event.WhichOneof("change") == "policy_applied"]


async def test_the_real_history_behaves_as_the_fake_one(mongo: str) -> None:
    client = connect(mongo)
    try:
        await behaves(MongoVersions(client))
    finally:
        await disconnect(client)


async def test_policies_are_listed_validated_activated_and_undone_without_a_restart(world: World, root: Path) -> None:
    async with world.tail("policies.v1") as announced, world.tail("tickets.v1") as tickets:
        async with world.running(), service(world) as call:
            await world.submit(world.complaint(1))
            await tickets.until(lambda rows: len(rows) == 1)
            listed = await call("ListPolicies", policy_pb2.ListPoliciesRequest(brand="default"))
            [first] = listed.policies
            text = listed.files["sla.yaml"].replace("resolution: 48h", "resolution: 24h")

            broken = text.replace("first_response: 10m", "first_response: ten")
            verdict = await call(
                "ValidatePolicy", policy_pb2.ValidatePolicyRequest(brand="default", files={"sla.yaml": broken})
            )
            [problem] = verdict.problems
            assert (problem.file, problem.line, problem.field) == (
                "sla.yaml",
                7,
                "policies[0].targets.first_response",
            )
            running = text.replace("    warnAt: [50, 80]\n", "    warnAt: [50, 80]\n    apply: running\n")
            verdict = await call(
                "ValidatePolicy", policy_pb2.ValidatePolicyRequest(brand="default", files={"sla.yaml": running})
            )
            assert (list(verdict.problems), verdict.running_clocks) == ([], 1)

            request = policy_pb2.ActivatePolicyRequest(
                brand="default",
                files={"sla.yaml": running},
                expected_hash=first.policy_hash,
                idempotency_key="k1",
                actor=WANG,
                reason="sooner",
            )
            active = (await call("ActivatePolicy", request)).policy
            assert active.policy_hash == verdict.policy_hash
            assert (await call("ActivatePolicy", request)).policy == active
            await announced.settle()
            assert versions_on(announced)[-1].policy_hash == active.policy_hash
            assert versions_on(announced)[-1].active_since == active.active_since
            request.idempotency_key = ""
            with pytest.raises(grpc.aio.AioRpcError) as refused:
                await call("ActivatePolicy", request)
            assert refused.value.code() is grpc.StatusCode.ABORTED

            await world.submit(world.complaint(2))
            await tickets.until(lambda _: len(applied(tickets)) == 1 and len(tickets.events()) == 3)
            assert applied(tickets)[0].actor.id == "wang"
            assert {event.snapshot.policy_hash for event in tickets.events()[1:]} == {active.policy_hash}

        async with world.running(), service(world) as call:
            listed = await call("ListPolicies", policy_pb2.ListPoliciesRequest(brand="default"))
            assert list(listed.policies) == [active]
            back = policy_pb2.ActivatePolicyRequest(
                brand="default", policy_hash=first.policy_hash, actor=WANG, reason="back"
            )
            await call("ActivatePolicy", back)
            history = await call("GetPolicyHistory", policy_pb2.GetPolicyHistoryRequest(brand="default"))
            assert [(row.reason, row.policy_hash) for row in history.versions] == [
                ("back", first.policy_hash),
                ("sooner", active.policy_hash),
                ("first seen", first.policy_hash),
            ]


async def test_an_edit_on_disk_is_in_force_within_seconds_and_a_broken_one_is_not(world: World, root: Path) -> None:
    async with world.tail("policies.v1") as announced, world.running():
        await announced.settle()
        before = len(announced.records)
        edit(root, "first_response: 10m", "first_response: ten")

        async def counted() -> bool:
            return await world.metric("pingxi_policy_problems") == 1

        await eventually(counted, within=15)
        edit(root, "first_response: ten", "first_response: 7m")
        await announced.until(lambda rows: len(rows) > before, within=15)
        latest = versions_on(announced)[-1]
        assert "first_response: 7m" in latest.files["sla.yaml"]
        assert latest.active_since.ToDatetime() <= CLOCK.now().replace(tzinfo=None)
