"""A whole system stopped and started again: as it was, and with nothing of this machine but Python."""

from collections.abc import Callable
from pathlib import Path
from shutil import which

import pytest

from deploy.local.system import System
from tests.e2e.observed import observing
from tests.waiting import CLOCK


@pytest.mark.timeout(240)
async def test_the_whole_system_starts_a_second_time_without_java_maven_or_docker_on_the_path(
    tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    path = tmp_path / "bin"
    path.mkdir()
    system = System(tmp_path / "local", changes={"PATH": str(path), "JAVA_HOME": ""})
    assert [name for name in ("java", "mvn", "docker") if which(name, path=system.env["PATH"])] == []
    with system:
        system.ready()
        async with observing(system) as observed:
            first = await observed.complain()
        keys = system.keys()
    assert all(system.pids(name) is None for name in ("supervisor", "kafka", "mongo", "intake", "router", "sla"))

    began = CLOCK.monotonic()
    with system:
        system.ready()
        seconds = CLOCK.monotonic() - began
        record_property("second_start_seconds", round(seconds, 1))
        print(f"second start: {seconds:.1f} s")
        assert system.keys() == keys
        async with observing(system) as observed:
            second = await observed.complain()
            # What was acknowledged before the stop has its whole story as well.
            await observed.story_told([first["id"], second["id"]])
            for answer in (first, second):
                await observed.assert_once(answer)
