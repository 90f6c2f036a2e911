"""Templates that follow the policies: an activated version, or an edit on disk, is spoken from then on."""

import asyncio
import logging
from collections.abc import Mapping
from contextlib import suppress
from datetime import datetime
from pathlib import Path

from common import metrics
from common.livepolicies import LivePolicies
from common.policyfiles import PolicyError
from common.policyfolder import PolicyFolder
from services.notifier.model import Event, Fact, Notification, Way
from services.notifier.templates import Templates, TemplatesError, load_templates

log = logging.getLogger(__name__)
_LOOK_SECONDS = 2.0


class LiveWriter:
    """The port Writer over the templates in force. An edit that isn't sound changes nothing and is told once."""

    def __init__(self, root: Path, policies: LivePolicies, templates: Templates) -> None:
        self._root = root
        self._policies = policies
        self._templates = templates
        self._folder = PolicyFolder(root, "*/templates/*")
        self._stale = asyncio.Event()
        policies.when_changed(self._stale.set)

    def locale(self, brand: str, wanted: str) -> str:
        return self._templates.locale(brand, wanted)

    def write(self, notification: Notification, way: Way, locale: str, now: datetime, text: str) -> str:
        return self._templates.write(notification, way, locale, now, text)

    def preview(
        self, brand: str, event: Event, way: Way, locale: str, facts: Mapping[str, Fact], given: Mapping[str, str]
    ) -> str:
        return self._templates.preview(brand, event, way, locale, facts, given)

    async def run(self) -> None:
        """Follows until cancelled."""
        while True:
            self.look()
            with suppress(TimeoutError):
                await asyncio.wait_for(self._stale.wait(), _LOOK_SECONDS)

    def look(self) -> None:
        """Takes over what has changed."""
        try:
            if not self._folder.look() and not self._stale.is_set():
                return
            self._stale.clear()
            self._policies.refresh(self._folder.policies)
            self._templates = load_templates(self._root, self._policies)
        except (PolicyError, TemplatesError) as error:
            metrics.policy_problems.labels("notifier").set(len(error.problems))
            log.error("edited policies or templates stay out of force", extra={"reason": str(error)})
        else:
            metrics.policy_problems.labels("notifier").set(0)
