"""Expected failures as types. Edges turn them into problem+json, gRPC status codes or dead letters."""

from dataclasses import dataclass


@dataclass(frozen=True)
class FieldProblem:
    """One invalid field, named as the caller sent it."""

    field: str
    message: str


class PingxiError(Exception):
    """Base of all expected failures; `code` is stable and public, the message has no personal data."""

    code = "internal"


class Invalid(PingxiError):
    """The caller's data is wrong; names every wrong field."""

    code = "invalid"

    def __init__(self, problems: list[FieldProblem]) -> None:
        super().__init__("; ".join(f"{p.field}: {p.message}" for p in problems))
        self.problems = problems


class NotFound(PingxiError):
    """What was asked for doesn't exist (or isn't the caller's to see)."""

    code = "not_found"


class Conflict(PingxiError):
    """The same idempotency key with other content."""

    code = "idempotency_conflict"


class StaleVersion(PingxiError):
    """Somebody changed it first; read again and retry."""

    code = "stale_version"


class Refused(PingxiError):
    """Well-formed, but the state doesn't allow it; the message says why, `code` more exactly where a caller can act."""

    code = "failed_precondition"

    def __init__(self, message: str, code: str = "failed_precondition") -> None:
        super().__init__(message)
        self.code = code


class Unauthenticated(PingxiError):
    """No valid credential."""

    code = "unauthenticated"


class PermissionDenied(PingxiError):
    """A valid credential that may not do this."""

    code = "permission_denied"


class Unavailable(PingxiError):
    """A part we need doesn't answer: retry later. The outcome may be unknown, never assume it failed."""

    code = "unavailable"

    def __init__(self, message: str, retry_after: float = 2.0) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class RateLimited(PingxiError):
    """Too many at once: nothing was done, try again after `retry_after` seconds."""

    code = "rate_limited"

    def __init__(self, message: str, retry_after: float) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class Poison(PingxiError):
    """A message that will never be processable: it goes to the dead letters with `reason`."""

    code = "poison"

    def __init__(self, reason: str, detail: str = "") -> None:
        super().__init__(f"{reason}: {detail}" if detail else reason)
        self.reason = reason
