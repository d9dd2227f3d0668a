"""What a game prints: the newest of it in two bounded files, the last lines at hand for a failure's report."""

from __future__ import annotations

import logging
from collections import deque
from pathlib import Path
from typing import Final

from core.lines import LineLook

log = logging.getLogger(__name__)

FILE_BYTES: Final = 1_048_576  # of each of the two files
LINES: Final = 20  # kept for the report of a failure
LINE_CHARS: Final = 400


class ChildLog:
    """Writes to `path`; when that is full it becomes `<stem>-old.log` and a new one begins."""

    def __init__(self, path: Path, line: str = "") -> None:
        """`line`: one to look for in the output (`core.lines`)."""
        self.path = path
        self.look = LineLook(line) if line else None
        self.lost = 0  # bytes that could not be written
        self._lines: deque[str] = deque(maxlen=LINES)
        self._tail = b""
        self._size = 0
        self._file = path.open("ab", buffering=0)  # appended to: the launcher may cut it

    def feed(self, data: bytes) -> None:
        """Take in output. Never raises: a full disk must not end a match."""
        if self.look is not None:
            self.look.feed(data)
        *whole, self._tail = (self._tail + data).split(b"\n")
        self._tail = self._tail[-LINE_CHARS:]
        self._lines.extend(_clean(line) for line in whole[-LINES:])
        try:
            if self._size + len(data) > FILE_BYTES:
                self._turn()
            self._size += self._file.write(data[-FILE_BYTES:])
        except OSError as error:
            if not self.lost:
                log.warning("the game's output cannot be written", extra={"path": str(self.path), "error": str(error)})
            self.lost += len(data)

    def last_lines(self) -> list[str]:
        """The last lines, each shortened."""
        unfinished = [_clean(self._tail)] if self._tail else []
        return [*self._lines, *unfinished][-LINES:]

    def close(self) -> None:
        self._file.close()

    def _turn(self) -> None:
        self._file.close()
        self.path.replace(self.path.with_name(f"{self.path.stem}-old.log"))
        self._file = self.path.open("ab", buffering=0)
        self._size = 0


def _clean(line: bytes) -> str:
    return line.decode(errors="replace").rstrip("\r")[:LINE_CHARS]
