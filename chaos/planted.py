"""Bugs that a real service can be started with, to see that a fault run finds them: `python -m chaos --planted`.

A row names the module and how it is changed after its import (chaos/planting/sitecustomize.py); the product has no
switch. Standard library only at import: every process of a run comes by here.
"""

import importlib.abc
import importlib.util
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any


@dataclass(frozen=True)
class Plant:
    """`change` spoils `module`; a run with the faults `only` then has one of the violations `found`."""

    module: str
    change: Callable[[Any], None]
    found: tuple[str, ...]
    only: tuple[str, ...] = ("kill -9",)


def _clear_before_publishing(module: Any) -> None:
    publish = module.Relay._publish

    async def changed(self: Any, events: Sequence[Any]) -> None:
        newest = {event.ticket_id: event.version for event in events}
        if newest:
            await self._rows.clear(newest)
        await publish(self, events)

    module.Relay._publish = changed


def _row_before_effects(module: Any) -> None:
    """The row says it, the process may die, and nobody hears: here it forgets at once what one in two would say."""
    publish = module.Watchdog._publish
    state = {"calls": 0}

    async def changed(self: Any, effects: Sequence[Any]) -> None:
        state["calls"] += bool(effects)
        if state["calls"] % 2:
            await publish(self, effects)

    module.Watchdog._publish = changed


def _stamped_when_found(module: Any) -> None:
    original = module.outgoing

    def changed(effect: Any) -> Any:
        message = original(effect)
        if type(effect).__name__ == "Breached":
            message.body.breached_at.CopyFrom(message.body.detected_at)
        return message

    module.outgoing = changed


def _own_key_for_each_try(module: Any) -> None:
    import secrets

    module.key_for = lambda notification, way: secrets.token_hex(16)


def _number_for_each_try(module: Any) -> None:
    import secrets

    original = module.Intake.submit

    async def changed(self: Any, submission: Any, caller: Any, key: Any) -> Any:
        return await original(self, submission, caller, secrets.token_hex(8))

    module.Intake.submit = changed


def _good_messages_buried(module: Any) -> None:
    bury = module.BatchConsumer._handle_batch
    unavailable = module.Unavailable

    async def changed(self: Any, messages: Sequence[Any], originals: Mapping[Any, Any]) -> None:
        handle = self._handle

        async def once(batch: Sequence[Any]) -> None:
            try:
                await handle(batch)
            except unavailable as error:
                raise module.Poison("gave_up") from error

        self._handle = once
        try:
            await bury(self, messages, originals)
        finally:
            self._handle = handle

    module.BatchConsumer._handle_batch = changed


PLANTS: Mapping[str, Plant] = {
    "relay clears before it publishes": Plant(
        "services.router.relay",
        _clear_before_publishing,
        ("event_lost", "command_lost"),
        ("kill -9 between store and publish",),
    ),
    "watchdog says only half of it": Plant(
        "services.sla.stream", _row_before_effects, ("breach_missing", "escalation_missing", "breach_stamped_wrong")
    ),
    "breaches are stamped when found": Plant("services.sla.stream", _stamped_when_found, ("breach_stamped_wrong",)),
    "every message has its own key": Plant(
        "services.notifier.handlers", _own_key_for_each_try, ("message_twice",), ("kill -9 between claim and send",)
    ),
    "every try has its own number": Plant(
        "services.intake.handlers", _number_for_each_try, ("two_tickets_for_one_key",)
    ),
    "what is away is taken for poison": Plant(
        "common.consumer", _good_messages_buried, ("good_message_buried",), ("connections refused",)
    ),
}


class _Spoiled(importlib.abc.Loader):
    def __init__(self, loader: importlib.abc.Loader, change: Callable[[Any], None]) -> None:
        self._loader = loader
        self._change = change

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        return self._loader.create_module(spec)

    def exec_module(self, module: ModuleType) -> None:
        self._loader.exec_module(module)
        self._change(module)


class _Finder(importlib.abc.MetaPathFinder):
    def __init__(self, planted: Plant) -> None:
        self._planted = planted

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if fullname != self._planted.module:
            return None
        sys.meta_path.remove(self)
        spec = importlib.util.find_spec(fullname)
        if spec is not None and spec.loader is not None:
            spec.loader = _Spoiled(spec.loader, self._planted.change)
        return spec


def plant(name: str) -> None:
    """From now on the import of the module gives the spoiled one. Raises KeyError for a name there isn't."""
    sys.meta_path.insert(0, _Finder(PLANTS[name]))
