"""What a benchmark is doing at the moment, for whoever waits for it."""

import sys


class Progress:
    """One line, rewritten, on standard error; a line each where that is no terminal."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._terminal = sys.stderr.isatty()
        self._width = 0

    def step(self, what: str, done: int = 0, of: int = 0) -> None:
        """Says what is done, and how much of it where `of` is known."""
        if of and not self._terminal and done < of:
            return
        text = f"{self._name}: {what}" + (f" {done:,}/{of:,} {bar(done, of)}" if of else "")
        end = "" if self._terminal else "\n"
        print(("\r" if self._terminal else "") + text.ljust(self._width), end=end, file=sys.stderr, flush=True)
        self._width = len(text)

    def close(self) -> None:
        """Ends the line."""
        if self._terminal and self._width:
            print(file=sys.stderr)


def bar(done: int, of: int, width: int = 24) -> str:
    """How far it is: `[######------]`."""
    full = min(width, done * width // max(1, of))
    return "[" + "#" * full + "-" * (width - full) + "]"
