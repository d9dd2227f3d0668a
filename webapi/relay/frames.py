"""WebSocket frames (RFC 6455, section 5.2) by their heads alone. PURE.

Payloads are neither unmasked nor copied: what has to be known of a stream of frames is where one ends (a frame of ours
may be put there), how large a message grows, and that it is one at all.
"""

from __future__ import annotations

from typing import Final

CONTINUATION: Final = 0
CLOSE: Final = 8
KNOWN: Final = frozenset({0, 1, 2, 8, 9, 10})
PING: Final = b"\x89\x00"  # to a client: not masked, nothing in it
MAX_REASON_BYTES: Final = 123

GOING: Final = 1001
PROTOCOL: Final = 1002
UNSUPPORTED: Final = 1003
TOO_BIG: Final = 1009
RESTART: Final = 1012
BAD_GATEWAY: Final = 1014


class Broken(Exception):
    """The stream cannot go on. `code` is what to close the connection with."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(reason)
        self.code, self.reason = code, reason


def close_frame(code: int, reason: str) -> bytes:
    """A close frame to a client."""
    payload = code.to_bytes(2, "big") + reason.encode()[:MAX_REASON_BYTES]
    return bytes((0x80 | CLOSE, len(payload))) + payload


class Scanner:
    """Follows one direction of a connection. `masked`: it comes from a client. `most`: bytes of a message."""

    __slots__ = ("_head", "_left", "_masked", "_message", "_most", "ended")

    def __init__(self, *, masked: bool, most: int) -> None:
        self._masked = 0x80 if masked else 0
        self._most = most
        self._left = 0  # bytes of the frame under way that are still to come
        self._head = b""  # of a frame whose head came in pieces
        self._message = 0  # bytes of the message under way
        self.ended = False  # a close frame went by

    @property
    def between(self) -> bool:
        """Whether the last byte seen was the last of a frame."""
        return not self._left and not self._head

    def feed(self, data: bytes | memoryview) -> int:
        """Follow the next bytes; returns how many frames begin in them. Raises Broken."""
        if self._head:
            data, self._head = self._head + bytes(data), b""
        size, at, frames = len(data), 0, 0
        while True:
            if self._left:
                step = min(self._left, size - at)
                self._left -= step
                at += step
            if at == size:
                return frames
            found = self._begin(data, at, size)
            if not found:
                self._head = bytes(data[at:])
                return frames
            at += found
            frames += 1

    def _begin(self, data: bytes | memoryview, at: int, size: int) -> int:
        """Read the head at `at`; returns its length, 0 where it is not whole. Raises Broken."""
        if size - at < 2:
            return 0
        first, second = data[at], data[at + 1]
        kind, length, head = first & 15, second & 127, 2
        if first & 0x70 or kind not in KNOWN:
            raise Broken(PROTOCOL, "this is no frame, or of an extension that was not agreed on")
        if second & 0x80 != self._masked:
            raise Broken(PROTOCOL, "frames of clients are masked, and of servers not")
        if length > 125:
            head = 4 if length == 126 else 10
            if size - at < head:
                return 0
            length = int.from_bytes(data[at + 2 : at + head], "big")
        if self._masked:
            head += 4
            if size - at < head:
                return 0
        if kind >= CLOSE:
            if length > 125 or not first & 0x80:
                raise Broken(PROTOCOL, "a control frame is whole, and of at most 125 bytes")
            self.ended = self.ended or kind == CLOSE
        else:
            self._message = length if kind != CONTINUATION else self._message + length
            if self._message > self._most:
                raise Broken(TOO_BIG, f"a message has at most {self._most} bytes")
        self._left = length
        return head
