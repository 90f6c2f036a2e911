"""Structured logs: one JSON object a line, with the trace, never with personal data.

Callers pass facts as `extra={"ticket": …}`; the allowed names are listed so that nothing personal slips in; what looks
like a contact in a message all the same is hidden.
"""

import json
import logging
import sys
from datetime import UTC, datetime

from common.masking import without_contacts
from common.tracing import trace_id

_FACTS = (
    "ticket", "topic", "partition", "offset", "reason", "brand", "count", "event", "address", "seconds", "version",
    "metric", "level_no", "attempt", "queue", "channel", "outcome", "ledger", "state", "group", "signal",
)  # fmt: skip


class JsonFormatter(logging.Formatter):
    """`{"at", "level", "service", "logger", "message", …facts, "trace", "error"}`."""

    def __init__(self, service: str) -> None:
        super().__init__()
        self.service = service

    def format(self, record: logging.LogRecord) -> str:
        row: dict[str, object] = {
            "at": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "service": self.service,
            "logger": record.name,
            "message": without_contacts(record.getMessage()),
        }
        for name in _FACTS:
            if name in record.__dict__:
                value = record.__dict__[name]
                row[name] = without_contacts(value) if isinstance(value, str) else value
        if trace := trace_id():
            row["trace"] = trace
        if record.exc_info:
            row["error"] = without_contacts(self.formatException(record.exc_info))
        return json.dumps(row, ensure_ascii=False, default=str)


def configure_logging(service: str, level: str) -> None:
    """Sends all logs of the process to standard error as JSON lines."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonFormatter(service))
    logging.basicConfig(level=level, handlers=[handler], force=True)
    # These repeat every retry of a broker that is away; our own loops report that once. DEBUG shows all of it.
    if level != "DEBUG":
        for noisy in ("aiokafka", "kafka"):
            logging.getLogger(noisy).setLevel(logging.CRITICAL)
        for quieter in ("faust", "mode", "pymongo", "uvicorn.access"):
            logging.getLogger(quieter).setLevel(logging.WARNING)
