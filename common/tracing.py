"""W3C trace context: one trace follows a complaint through HTTP, gRPC and Kafka headers."""

import re
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

_current: ContextVar[str | None] = ContextVar("traceparent", default=None)
_FORM = re.compile(r"^[0-9a-f]{2}-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}$")


def child_traceparent(parent: str | None = None) -> str:
    """A `traceparent` for an outgoing message: the given or current trace with a new span, or a new trace."""
    parent = parent or _current.get()
    trace = parent.split("-")[1] if parent else secrets.token_hex(16)
    return f"00-{trace}-{secrets.token_hex(8)}-01"


def trace_id() -> str | None:
    """The current trace's id, for logs."""
    parent = _current.get()
    return parent.split("-")[1] if parent else None


@contextmanager
def continue_trace(traceparent: str | None) -> Iterator[None]:
    """Runs the block in the caller's trace; anything that isn't a valid traceparent starts a new one."""
    valid = traceparent if traceparent and _FORM.match(traceparent) else None
    token = _current.set(valid or child_traceparent())
    try:
        yield
    finally:
        _current.reset(token)
