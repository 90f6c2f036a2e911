"""gRPC PolicyService: what is in force, what would be wrong, what goes into force, what was."""

from typing import Any

from common.errors import FieldProblem, Invalid
from common.words import to_timestamp, word_of
from gen.pingxi.v1 import common_pb2, policy_pb2, policy_pb2_grpc
from services.router.model import Actor, ActorKind
from services.router.policy_life import PolicyLife
from services.router.versions import Version
from services.router.wire import actor_to_proto


class PolicyServicer(policy_pb2_grpc.PolicyServiceServicer):
    """Called by other services of the installation, on behalf of people."""

    def __init__(self, life: PolicyLife) -> None:
        self._life = life

    async def ListPolicies(
        self, request: policy_pb2.ListPoliciesRequest, context: Any
    ) -> policy_pb2.ListPoliciesResponse:
        """The versions in force. `files` of one brand by name, of all brands as "brand/name"."""
        versions = self._life.in_force(request.brand)
        prefix = "" if request.brand else "{}/"
        files = {prefix.format(v.brand) + name: text for v in versions for name, text in v.files.items()}
        return policy_pb2.ListPoliciesResponse(policies=map(_summary, versions), files=files)

    async def ValidatePolicy(
        self, request: policy_pb2.ValidatePolicyRequest, context: Any
    ) -> policy_pb2.ValidatePolicyResponse:
        """Every problem with file and line, or what the change would move."""
        if not request.brand:
            raise Invalid([FieldProblem("brand", "is needed")])
        verdict = await self._life.validate(request.brand, dict(request.files))
        return policy_pb2.ValidatePolicyResponse(
            problems=[
                policy_pb2.PolicyProblem(
                    file=p.file, line=p.line, field=p.field, message=f"expected {p.expected}, found {p.found}"
                )
                for p in verdict.problems
            ],
            policy_hash=verdict.policy_hash,
            running_clocks=verdict.running_clocks,
        )

    async def ActivatePolicy(
        self, request: policy_pb2.ActivatePolicyRequest, context: Any
    ) -> policy_pb2.ActivatePolicyResponse:
        """In force when it answers, for this router; within seconds for everybody."""
        kind = word_of(common_pb2.Actor.Kind.DESCRIPTOR, request.actor.kind)
        version = await self._life.activate(
            request.brand,
            dict(request.files),
            request.policy_hash,
            expected_hash=request.expected_hash,
            key=request.idempotency_key,
            actor=Actor(ActorKind(kind) if kind else ActorKind.AGENT, request.actor.id),
            reason=request.reason,
        )
        return policy_pb2.ActivatePolicyResponse(policy=_summary(version))

    async def GetPolicyHistory(
        self, request: policy_pb2.GetPolicyHistoryRequest, context: Any
    ) -> policy_pb2.GetPolicyHistoryResponse:
        """Who put what in force when and why, the newest first."""
        versions, token = await self._life.history(request.brand, request.page_size, request.page_token)
        return policy_pb2.GetPolicyHistoryResponse(versions=map(_summary, versions), next_page_token=token)


def _summary(version: Version) -> policy_pb2.PolicySummary:
    return policy_pb2.PolicySummary(
        brand=version.brand,
        policy_hash=version.policy_hash,
        active_since=to_timestamp(version.active_since),
        activated_by=actor_to_proto(version.actor),
        reason=version.reason,
    )
