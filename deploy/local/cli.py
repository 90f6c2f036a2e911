"""`python -m deploy.local run | stop | status | fetch`: the whole system on this machine."""

import argparse
import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import Sequence

from common.clock import SystemClock
from deploy.local import probes
from deploy.local.backends import PrepareError, prepare_kafka, prepare_mongo
from deploy.local.files import AlreadyRunning, RunFiles
from deploy.local.jars import FetchError, fetch, jar_folder, kafka_jars
from deploy.local.keys import ensure_keys
from deploy.local.processes import Process, choose, missing_programs, table, taken_ports
from deploy.local.settings import LocalSettings, SettingsError, load
from deploy.local.supervisor import StartError, Supervisor

STOP_SECONDS = 20.0
FAILED, BAD_SETTINGS, NOT_RUNNING = 1, 2, 3


class Refused(Exception):
    """The run can't begin; the message says why and what to change."""


def main(arguments: Sequence[str]) -> int:
    """Runs one command. Exit code: 0 done, 1 failed, 2 bad settings or usage, 3 (status) not running or not ready."""
    parser = argparse.ArgumentParser(prog="python -m deploy.local", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    run = commands.add_parser("run", help="start everything; Ctrl-C or SIGTERM stops it")
    run.add_argument("--only", default="", metavar="NAMES", help="comma-separated, for example kafka,mongo,outbox")
    run.add_argument("--with-pid", type=int, metavar="PID", help="stop when that process has ended, however it ended")
    commands.add_parser("stop", help="stop what `run` started and wait for its end")
    commands.add_parser("status", help="which processes are up and ready")
    commands.add_parser("fetch", help="only download what a run needs")
    chosen = parser.parse_args(arguments)
    try:
        settings = load()
        if chosen.command == "run":
            only = [name.strip() for name in chosen.only.split(",") if name.strip()]
            return _run(settings, only, chosen.with_pid)
        if chosen.command == "stop":
            return asyncio.run(_stop(RunFiles(settings.local)))
        if chosen.command == "status":
            return _status(settings)
        fetch(kafka_jars(), jar_folder(settings.cache), settings.mirror, _say)
        _say(f"Everything a run needs is in {settings.cache}.")
        return 0
    except SettingsError as error:
        return _fail(str(error), BAD_SETTINGS)
    except (Refused, FetchError, PrepareError, StartError) as error:
        return _fail(str(error), FAILED)


def _run(settings: LocalSettings, only: Sequence[str], with_pid: int | None) -> int:
    files = RunFiles(settings.local)
    try:
        files.take()
    except AlreadyRunning:
        raise Refused(
            f"Pingxi is already running on {settings.local} (process {files.pid('supervisor')}). "
            "`make stop` ends it; PINGXI_LOCAL names another folder."
        ) from None
    except OSError as error:
        raise Refused(f"{settings.local} can't be written ({error.strerror}); PINGXI_LOCAL names another.") from error
    try:
        rows = _prepare(settings, only, files)
        asyncio.run(_supervise(rows, settings, files, with_pid))
    finally:
        files.release()
    _say("Everything has stopped.")
    return 0


def _prepare(settings: LocalSettings, only: Sequence[str], files: RunFiles) -> list[Process]:
    """All that can be refused is refused here, before anything is started."""
    try:
        rows = choose(table(settings), only)
    except ValueError as error:
        raise Refused(str(error)) from error
    problems = missing_programs(rows) or taken_ports(rows, settings, probes.is_free)
    if problems:
        raise Refused("\n".join(problems))
    names = {row.name for row in rows}
    try:
        if ensure_keys(settings.keys):
            _say(f"New demo keys: {settings.keys}")
    except OSError as error:
        raise Refused(f"{settings.keys} can't be written ({error.strerror}); PINGXI_KEYS names another.") from error
    if "mongo" in names:
        prepare_mongo(settings)
    if "kafka" in names:
        try:
            fetch(kafka_jars(), jar_folder(settings.cache), settings.mirror, _say)
        except OSError as error:
            where = f"{settings.cache} can't be written ({error.strerror})"
            raise Refused(f"{where}; PINGXI_CACHE names another folder for downloads.") from error
        prepare_kafka(settings, files.log("kafka"))
    return rows


async def _supervise(rows: list[Process], settings: LocalSettings, files: RunFiles, with_pid: int | None) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for signum in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        loop.add_signal_handler(signum, stop.set)
    listening = {variable: settings.address(variable) for row in rows for variable in row.listens}

    def on_ready() -> None:
        width = max(map(len, listening), default=0)
        _say("Ready:\n" + "\n".join(f"  {name:<{width}}  {where}" for name, where in listening.items()))
        _say(f"  keys {settings.keys}\n  logs {files.logs}")
        files.write_ready(listening)

    _say(f"Starting {', '.join(row.name for row in rows)} in {settings.local} …")
    supervisor = Supervisor(rows, settings.child_environment(), files, SystemClock(), _say)
    watching = asyncio.create_task(_end_with(with_pid, stop)) if with_pid else None
    stop_seen = asyncio.create_task(_say_when(stop, "Stopping …"))
    try:
        await supervisor.run(stop, on_ready)
    finally:
        for task in (watching, stop_seen):
            if task:
                task.cancel()


async def _say_when(event: asyncio.Event, sentence: str) -> None:
    await event.wait()
    _say(sentence)


async def _end_with(pid: int, stop: asyncio.Event) -> None:
    """Sets `stop` when the process has ended, also as a zombie where the system can tell."""
    clock = SystemClock()
    try:
        descriptor = os.pidfd_open(pid)
    except ProcessLookupError:
        stop.set()
        return
    except (AttributeError, OSError):
        while not stop.is_set():
            await clock.sleep(0.5)
            try:
                os.kill(pid, 0)
            except ProcessLookupError:
                stop.set()
        return
    loop = asyncio.get_running_loop()
    loop.add_reader(descriptor, stop.set)
    try:
        await stop.wait()
    finally:
        loop.remove_reader(descriptor)
        os.close(descriptor)


async def _stop(files: RunFiles) -> int:
    pid = files.pid("supervisor")
    if pid is None or not files.is_held():
        _say(f"Nothing is running on {files.local}.")
        return 0
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGTERM)
    clock = SystemClock()
    give_up = clock.monotonic() + STOP_SECONDS
    while files.is_held():
        if clock.monotonic() > give_up:
            # The guard ends whatever a killed supervisor leaves.
            os.kill(pid, signal.SIGKILL)
            _say("It didn't stop in time and was killed.")
            return FAILED
        await clock.sleep(0.05)
    _say("Stopped.")
    return 0


def _status(settings: LocalSettings) -> int:
    files = RunFiles(settings.local)
    if not files.is_held():
        _say(f"Nothing is running on {settings.local}.")
        return NOT_RUNNING
    all_ready = files.is_ready()
    for row in table(settings):
        pid = files.pid(row.name)
        if row.once or row.probe is None:
            continue
        ready = pid is not None and row.probe()
        state = "ready" if ready else "up, not ready" if pid else "not running"
        all_ready = all_ready and (ready or pid is None)
        _say(f"{row.name:<10} {pid or '-':>8}  {state:<14} {', '.join(map(settings.address, row.listens))}")
    return 0 if all_ready else NOT_RUNNING


def _say(text: str) -> None:
    print(text, flush=True)


def _fail(text: str, code: int) -> int:
    print(text, file=sys.stderr, flush=True)
    return code
