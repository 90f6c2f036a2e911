"""The staff as staff.v1 tells it, in memory."""

import asyncio
import logging

from common.events import Incoming
from common.follower import TopicFollower
from rules.staff import Record, Staff, staff_of
from services.notifier.people import NOBODY
from wire.staff import KINDS, STAFF, record_from_proto

log = logging.getLogger(__name__)
# Seconds. An escalation waits no longer for a list of people that can't be read: it then goes to the role.
_PATIENCE = 5.0


class StaffDirectory:
    """Everybody. `run` keeps it fresh."""

    def __init__(self, bootstrap: str, service: str, topic_prefix: str) -> None:
        self._follower = TopicFollower(bootstrap, STAFF, KINDS, self._take, service=service, topic_prefix=topic_prefix)
        self._records: dict[str, Record] = {}
        self._staff = NOBODY
        self._patient = True

    async def run(self) -> None:
        """Follows staff.v1 until cancelled."""
        await self._follower.run()

    @property
    def loaded(self) -> bool:
        """Whether everything was read that was there at the start."""
        return self._follower.loaded.is_set()

    async def present(self) -> Staff:
        """The staff as it is known now; at the start, once it has been read, or after 5 s without."""
        if not self.loaded and self._patient:
            try:
                await asyncio.wait_for(self._follower.loaded.wait(), _PATIENCE)
            except TimeoutError:
                self._patient = False
                log.error("staff.v1 can't be read: roles are told instead of people")
        return self._staff

    def _take(self, message: Incoming) -> None:
        record = record_from_proto(message.body)
        known = self._records.get(record.key)
        # Of two publishing processes the slower may have come last.
        if known is None or known.version <= record.version:
            self._records[record.key] = record
            self._staff = staff_of(self._records.values())
