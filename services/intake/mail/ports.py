"""What the mail channel needs from outside."""

from typing import Protocol

from services.intake.model import Receipt, Submission


class ImageStore(Protocol):
    """Where pictures are kept."""

    async def add(self, brand: str, channel: str, data: bytes) -> str:
        """The id of the stored picture. Raises Invalid for what is no picture, Unavailable."""
        ...


class Complaints(Protocol):
    """Where complaints are acknowledged: `services.intake.handlers.Intake`."""

    async def submit(
        self, submission: Submission, caller: str, key: str | None, *, fingerprint: str | None = None
    ) -> Receipt:
        """It is in the log when this returns. Raises what `Intake.submit` raises."""
        ...
