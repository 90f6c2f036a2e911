"""The outbox's file: one JSON object a line, on disk before it counts, one line per idempotency key."""

import asyncio
import json
import os
import secrets
from pathlib import Path
from typing import Any


class JournalError(Exception):
    """The file holds something that isn't a row."""


class Journal:
    """Rows `{id, idempotencyKey, at, …}` in a file; remembers every key it holds.

    Opening heals a last line torn by a crash by cutting it off: its message was never acknowledged.
    Raises JournalError, naming the line, for a damaged line elsewhere.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._ids: dict[str, str] = {}
        self._lock = asyncio.Lock()
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch(0o600)
        self._size = self._load()
        self._file = os.open(path, os.O_RDWR | os.O_APPEND)
        os.ftruncate(self._file, self._size)

    def _load(self) -> int:
        """Learns the keys; returns the length of the intact part in bytes."""
        intact = 0
        with open(self._path, "rb") as file:
            for number, line in enumerate(file, start=1):
                if not line.endswith(b"\n"):
                    break
                try:
                    row = json.loads(line)
                    self._ids[row["idempotencyKey"]] = row["id"]
                except (ValueError, KeyError, TypeError) as error:
                    raise JournalError(f"{self._path}, line {number}: not a row of the outbox ({error})") from error
                intact += len(line)
        return intact

    async def add(self, message: dict[str, Any], at: str) -> tuple[str, bool]:
        """Takes a message: its id, and whether its key was known (then nothing is written).

        Raises OSError where the disk refuses; the file is then as it was.
        """
        # Shielded: a caller that goes away must not part the file from what is remembered of it.
        return await asyncio.shield(self._take(message, at))

    async def _take(self, message: dict[str, Any], at: str) -> tuple[str, bool]:
        key = message["idempotencyKey"]
        async with self._lock:
            if known := self._ids.get(key):
                return known, True
            id_ = f"msg_{secrets.token_hex(10)}"
            row = {"id": id_, "idempotencyKey": key, "at": at, **message}
            line = (json.dumps(row, ensure_ascii=False) + "\n").encode()
            await asyncio.to_thread(self._append, line)
            self._ids[key] = id_
            return id_, False

    def _append(self, line: bytes) -> None:
        try:
            written = os.write(self._file, line)
            if written != len(line):
                raise OSError(f"only {written} of {len(line)} bytes could be written to {self._path}")
            os.fsync(self._file)
        except OSError:
            os.ftruncate(self._file, self._size)
            raise
        self._size += len(line)

    async def rows(self, ticket: str | None) -> list[dict[str, Any]]:
        """All rows, or those of one ticket, oldest first."""

        def read() -> list[dict[str, Any]]:
            size = self._size
            with open(self._path, "rb") as file:
                rows = [json.loads(line) for line in file.read(size).splitlines()]
            return [row for row in rows if ticket is None or row["ticket"] == ticket]

        return await asyncio.to_thread(read)

    def close(self) -> None:
        """Gives the file back."""
        os.close(self._file)
