"""`python -m services.intake import complaints.jsonl`: complaints of another system, one JSON object a line.

The fields are those of `POST /api/complaint`, and `idempotencyKey`. A line without a key gets one made of its content,
so that the command may be stopped and said again: what was accepted before is accepted as the same. Accepted lines go
to standard output as `{"line", "id"}`, refused ones to standard error with line and field.
"""

import argparse
import asyncio
import json
import sys
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice
from pathlib import Path
from typing import Any, cast

import grpc
from google.protobuf import json_format

from common.ids import deterministic_id
from common.keys import load_keys
from common.settings import load_settings
from gen.pingxi.v1.intake_pb2 import SubmitComplaintRequest, SubmitComplaintsRequest, SubmitComplaintsResponse
from gen.pingxi.v1.intake_pb2_grpc import IntakeServiceStub
from services.intake.fields import shown
from services.intake.settings import IntakeSettings
from services.intake.text import valid_unicode

_BATCH = 1000
# How often in a row nothing gets through before it is given up, and how long it is waited each time.
_PATIENCE, _PAUSE_SECONDS = 10, 3.0
_AGAIN = ("unavailable", "rate_limited")
_BAR = 30

_NAMES = frozenset(each.json_name for each in SubmitComplaintRequest.DESCRIPTOR.fields)

Send = Callable[[Sequence["Line"]], AsyncIterator[SubmitComplaintsResponse]]


@dataclass(frozen=True)
class Line:
    """One line of the file; without a request, what is wrong with it."""

    number: int
    request: SubmitComplaintRequest | None = None
    wrong: str = ""


@dataclass
class Outcome:
    """What became of the lines so far."""

    accepted: int = 0
    refused: int = 0
    left: list[int] = field(default_factory=list)


def lines_of(texts: Iterable[str]) -> Iterator[Line]:
    """The complaints of a file, empty lines left out. The same content always has the same key."""
    seen: Counter[str] = Counter()
    for number, text in enumerate(texts, 1):
        if not text.strip():
            continue
        try:
            found = json.loads(text)
        except (ValueError, RecursionError):
            found = None
        if not isinstance(found, dict):
            yield Line(number, wrong="isn't a JSON object")
        elif wrong := _wrong(found):
            yield Line(number, wrong=wrong)
        else:
            request = json_format.ParseDict(found, SubmitComplaintRequest())
            if not request.idempotency_key:
                content = json.dumps(found, sort_keys=True)
                seen[content] += 1
                request.idempotency_key = "import-" + deterministic_id("import", content, seen[content])
            yield Line(number, request)


def _wrong(found: dict[str, Any]) -> str:
    """What can't even be sent; the rest intake says."""
    for name, value in found.items():
        if name not in _NAMES:
            return f"{shown(name)}: is not a known field"
        texts = (value if isinstance(value, list) else [0]) if name == "images" else [value]
        if value is not None and not all(isinstance(each, str) and valid_unicode(each) for each in texts):
            return f"{name}: must be {'a list of texts' if name == 'images' else 'a text'}"
    try:
        json_format.ParseDict({"occurredAt": found.get("occurredAt")}, SubmitComplaintRequest())
    except json_format.ParseError:
        return "occurredAt: must be a date and time as in RFC 3339"
    return ""


async def run(lines: Iterable[Line], send: Send, say: "Telling", pause: float = _PAUSE_SECONDS) -> Outcome:
    """Sends everything, again and again where intake is away or asks to wait; gives up where nothing gets through."""
    outcome, stream = Outcome(), iter(lines)
    while batch := list(islice(stream, _BATCH)):
        waiting = []
        for line in batch:
            if line.request is None:
                say.refused(line.number, [line.wrong])
                outcome.refused += 1
            else:
                waiting.append(line)
        idle = 0
        while waiting and idle < _PATIENCE:
            before = len(waiting)
            waiting = await _once(waiting, send, say, outcome)
            if waiting:
                idle = idle + 1 if len(waiting) == before else 0
                await asyncio.sleep(pause)
        outcome.left += [line.number for line in waiting]
        say.at(outcome.accepted + outcome.refused)
        if waiting:
            break
    return outcome


async def _once(lines: list[Line], send: Send, say: "Telling", outcome: Outcome) -> list[Line]:
    """Sends these; those that have to be sent again, or weren't answered."""
    again, answered = [], 0
    try:
        async for answer in send(lines):
            line = lines[answer.index]
            answered += 1
            if answer.code in _AGAIN:
                again.append(line)
            elif answer.code:
                outcome.refused += 1
                say.refused(line.number, [f"{e.field}: {e.message}" for e in answer.errors] or [answer.code])
            else:
                outcome.accepted += 1
                say.accepted(line.number, answer.accepted.id)
            say.at(outcome.accepted + outcome.refused)
    except grpc.aio.AioRpcError as error:
        if error.code() not in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED):
            raise
    return again + lines[answered:]


class Telling:
    """The results on standard output, problems and progress on standard error."""

    def __init__(self, total: int, out: Any = None, err: Any = None) -> None:
        self._total = total
        self._out = out or sys.stdout
        self._err = err or sys.stderr
        self._bar = bool(self._err.isatty())
        self._shown = -1

    def accepted(self, number: int, ticket_id: str) -> None:
        """One line is a ticket."""
        self._out.write(json.dumps({"line": number, "id": ticket_id}) + "\n")

    def refused(self, number: int, problems: Sequence[str]) -> None:
        """One line can't be taken."""
        self._err.write(("\r\x1b[K" if self._bar else "") + f"line {number}: {'; '.join(problems)}\n")
        self._shown = -1

    def at(self, done: int) -> None:
        """Draws the bar anew at each whole percent; where nobody watches, a line each tenth."""
        percent = 100 * done // max(1, self._total)
        step = percent if self._bar else percent // 10 * 10
        if step == self._shown:
            return
        self._shown = step
        full = _BAR * done // max(1, self._total)
        bar = f"[{'#' * full}{'.' * (_BAR - full)}] {percent:3}%  {done}/{self._total}"
        self._err.write(f"\r{bar}" if self._bar else f"{bar}\n")
        self._err.flush()

    def end(self, outcome: Outcome) -> None:
        """The last word."""
        text = f"accepted {outcome.accepted}, refused {outcome.refused}"
        if outcome.left:
            text += f"; not taken from line {outcome.left[0]} on: intake doesn't take more. Say the command again"
        self._err.write(("\n" if self._bar else "") + text + "\n")


async def _import(path: Path, channel: str, settings: IntakeSettings) -> int:
    with path.open(encoding="utf-8") as file:
        total = sum(1 for text in file if text.strip())
    say = Telling(total)
    metadata = (("authorization", f"Bearer {load_keys(settings.keys).service}"),)
    target = grpc.aio.insecure_channel(settings.intake_grpc)
    stub = IntakeServiceStub(target)

    async def requests(lines: Sequence[Line]) -> AsyncIterator[SubmitComplaintsRequest]:
        for line in lines:
            yield SubmitComplaintsRequest(complaint=line.request)

    def send(lines: Sequence[Line]) -> AsyncIterator[SubmitComplaintsResponse]:
        return cast(Any, stub).SubmitComplaints(requests(lines), metadata=metadata)  # type: ignore[no-any-return]

    try:
        with path.open(encoding="utf-8") as file:
            outcome = await run((_of(channel, line) for line in lines_of(file)), send, say)
    finally:
        await cast(Any, target).close()
    say.end(outcome)
    return 1 if outcome.refused or outcome.left else 0


def _of(channel: str, line: Line) -> Line:
    """Under the channel of the command, where the line names none."""
    if line.request is None or line.request.channel or not channel:
        return line
    named = SubmitComplaintRequest()
    named.CopyFrom(line.request)
    named.channel = channel
    return replace(line, request=named)


def main(arguments: Sequence[str]) -> int:
    """0: all accepted; 1: some weren't; 2: the command can't be carried out."""
    parser = argparse.ArgumentParser(prog="python -m services.intake import", description="Bulk import of complaints.")
    parser.add_argument("file", type=Path, help="one JSON object a line, as for POST /api/complaint")
    parser.add_argument("--channel", default="", help="the channel of lines that name none (default: system)")
    chosen = parser.parse_args(arguments)
    try:
        return asyncio.run(_import(chosen.file, chosen.channel, load_settings(IntakeSettings)))
    except (OSError, ValueError) as error:
        sys.stderr.write(f"{error}\n")
    except grpc.aio.AioRpcError as error:
        sys.stderr.write(f"intake refused the import: {error.code().name}\n")
    return 2
