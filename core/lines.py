"""Looking for a line in what a game writes. PURE.

A pattern is plain text, in which `*` is any text: the pieces between its stars are looked for one after the other, each
from where the last one ended, so a line is gone through once, whatever pattern and line are. A regular expression would
be a stranger's program in our process, and some of them take for ever.
"""

from __future__ import annotations

from typing import Final

LINE_BYTES: Final = 4096  # of one line that are looked at; what is beyond is not


def matches(pattern: str, line: str) -> bool:
    """Whether `pattern` is somewhere in `line`."""
    at = 0
    for piece in pattern.split("*"):
        found = line.find(piece, at)
        if found < 0:
            return False
        at = found + len(piece)
    return True


def any_matches(pattern: str, output: str) -> bool:
    """Whether a line of `output` matches."""
    return any(matches(pattern, line[:LINE_BYTES]) for line in output.splitlines())


class LineLook:
    """Looks for one line in output that comes in pieces. Keeps the unfinished line only, within its bound."""

    def __init__(self, pattern: str) -> None:
        self.found = False
        self._pattern = pattern
        self._line = b""

    def feed(self, data: bytes) -> bool:
        """Take in output. Returns whether the line was in it or before; an unfinished line counts as far as it came."""
        if self.found:
            return True
        *whole, rest = data.split(b"\n")
        for part in whole:
            if self._has(self._line + part[:LINE_BYTES]):
                return True
            self._line = b""
        self._line = (self._line + rest[:LINE_BYTES])[:LINE_BYTES]
        return self._has(self._line)

    def _has(self, line: bytes) -> bool:
        self.found = matches(self._pattern, line[:LINE_BYTES].decode(errors="replace"))
        return self.found
