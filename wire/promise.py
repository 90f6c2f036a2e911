"""Promises, targets and escalation chains."""

from collections.abc import Iterable
from functools import lru_cache

from common.words import from_duration, from_timestamp, to_duration, to_timestamp
from gen.pingxi.v1 import promise_pb2 as pb
from rules.model import EscalationLevel, Promise, RoutingDecision, Target, Way
from wire.words import metric_from_proto, metric_to_proto


def promise_to_proto(promise: Promise) -> pb.Promise:
    """What isn't promised stays unset."""
    return pb.Promise(
        first_response_by=to_timestamp(promise.first_response_by),
        resolve_by=to_timestamp(promise.resolve_by),
    )


def promise_from_proto(message: pb.Promise) -> Promise:
    """Inverse of `promise_to_proto`. Raises ValueError for an instant out of range."""
    return Promise(
        first_response_by=from_timestamp(message.first_response_by),
        resolve_by=from_timestamp(message.resolve_by),
    )


def level_to_proto(level: EscalationLevel) -> pb.EscalationLevel:
    """One step of a chain."""
    return pb.EscalationLevel(
        level=level.level, after=to_duration(level.after), notify=level.notify, ways=[way.value for way in level.ways]
    )


def level_from_proto(message: pb.EscalationLevel) -> EscalationLevel:
    """Inverse of `level_to_proto`. Raises ValueError for an unknown way."""
    return EscalationLevel(
        level=message.level,
        after=from_duration(message.after),
        notify=tuple(message.notify),
        ways=tuple(Way(way) for way in message.ways),
    )


@lru_cache(maxsize=4096)
def target_to_proto(target: Target, sla_policy: str, policy_hash: str) -> pb.Target:
    """A target with the SLA policy and the policy version it comes from. Shared: don't change what it returns."""
    return pb.Target(
        metric=metric_to_proto(target.metric),
        duration=to_duration(target.duration),
        calendar=target.calendar,
        calendar_hash=target.calendar_hash,
        warn_percent=target.warn_percent,
        chain=[level_to_proto(level) for level in target.chain],
        return_after=to_duration(target.return_after),
        sla_policy=sla_policy,
        policy_hash=policy_hash,
    )


def target_from_proto(message: pb.Target) -> Target:
    """Inverse of `target_to_proto`; `sla_policy` and `policy_hash` are read from the message itself.

    The few targets of a policy come again and again, so they are remembered. Raises ValueError where the metric is
    unspecified or a way is unknown.
    """
    return _target_from_bytes(message.SerializeToString(deterministic=True))


@lru_cache(maxsize=4096)
def _target_from_bytes(value: bytes) -> Target:
    message = pb.Target.FromString(value)
    metric = metric_from_proto(message.metric)
    if metric is None:
        raise ValueError(f"target with metric {message.metric}")
    return Target(
        metric=metric,
        duration=from_duration(message.duration),
        calendar=message.calendar,
        calendar_hash=message.calendar_hash,
        warn_percent=tuple(message.warn_percent),
        chain=tuple(level_from_proto(level) for level in message.chain),
        # Zero says "never" in the contract, and protobuf can't tell it from unset by value.
        return_after=from_duration(message.return_after) or None,
    )


def targets_to_proto(decision: RoutingDecision) -> list[pb.Target]:
    """All targets of a decision, in its order."""
    return [target_to_proto(target, decision.sla_policy, decision.policy_hash) for target in decision.targets]


def targets_from_proto(messages: Iterable[pb.Target]) -> tuple[Target, ...]:
    """All targets, in order. Raises ValueError as `target_from_proto`."""
    return tuple(target_from_proto(message) for message in messages)
