"""Settings of the demo, from the environment."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from deploy.local.settings import LocalSettings, SettingsError, from_environ


@dataclass(frozen=True)
class DemoSettings:
    """`seconds` is how long the day takes, `bound` how long each story may take from its complaint on.

    `exit_when_told` (DEMO_EXIT=1): end with the story; otherwise the system goes on until Ctrl-C.
    """

    system: LocalSettings
    topic_prefix: str
    exit_when_told: bool
    seconds: float
    bound: float


def load_demo_settings(environ: Mapping[str, str] | None = None) -> DemoSettings:
    """Reads DEMO_EXIT, PINGXI_DEMO_SECONDS, PINGXI_DEMO_BOUND and what the system needs. Raises SettingsError."""
    environ = os.environ if environ is None else environ
    return DemoSettings(
        system=from_environ(environ, Path.cwd()),
        topic_prefix=environ.get("PINGXI_TOPIC_PREFIX", ""),
        exit_when_told=environ.get("DEMO_EXIT", "") not in ("", "0"),
        seconds=_seconds(environ, "PINGXI_DEMO_SECONDS", 60.0),
        bound=_seconds(environ, "PINGXI_DEMO_BOUND", 120.0),
    )


def _seconds(environ: Mapping[str, str], variable: str, default: float) -> float:
    text = environ.get(variable) or str(default)
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 5 <= value <= 3600:
        raise SettingsError(f"{variable} is {text!r}: expected seconds between 5 and 3600.")
    return value
