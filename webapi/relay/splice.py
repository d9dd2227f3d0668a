"""Two WebSockets joined: what one side sends the other gets, byte for byte, for as long as both are there.

Frames are followed by their heads (`frames`), never decoded. Backpressure goes through: while one side does not take
what is written, nothing is read from the other, so that at most a read and a write buffer are held for each direction.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, cast

from webapi.relay.frames import BAD_GATEWAY, GOING, PING, Broken, Scanner, close_frame
from webapi.relay.pace import Bucket

READ_BYTES: Final = 16_384  # read at once: some thousand frames, so that nobody holds up the loop for long
WRITE_BYTES: Final = 65_536  # not yet taken by a side; beyond it, the other side is not read
LINGER_S: Final = 5.0  # for a side to take the last words, which may be a full write buffer
SERVER_MESSAGE_BYTES: Final = 16_777_216  # of a server: what its own players are told is its business


@dataclass(frozen=True, slots=True)
class Bounds:
    """Of one connection. `shared` is the bucket of frames that all connections of the process draw from."""

    bytes_s: int
    message_bytes: int
    idle_s: float
    ping_s: float
    shared: Bucket
    passed: Callable[[str, int], None]  # told a direction and how many bytes


class Side(asyncio.BufferedProtocol):
    """One end of a splice."""

    other: Side

    def __init__(self, name: str, splice: Splice, transport: asyncio.Transport, scanner: Scanner) -> None:
        self.name = name
        self.transport = transport
        self.scanner = scanner
        self._splice = splice
        self._bucket = Bucket(splice.bounds.bytes_s, splice.now_s())
        self._buffer = memoryview(bytearray(READ_BYTES))
        self._blocked = False  # the other side does not take what is written
        self._owing = False

    def get_buffer(self, sizehint: int) -> memoryview:
        return self._buffer

    def buffer_updated(self, nbytes: int) -> None:
        self.received(self._buffer[:nbytes])

    def received(self, data: bytes | memoryview) -> None:
        """Pass on what came, unless it ends the connection."""
        splice = self._splice
        if splice.over:
            return
        try:
            frames = self.scanner.feed(data)
        except Broken as error:
            splice.end(error.code, error.reason)
            return
        now_s = splice.now_s()
        splice.heard(self, len(data), now_s)
        self.other.write(bytes(data))
        # A frame costs us more than its bytes do, so they are counted for all; a piece of one counts as one.
        owed_s = max(self._bucket.take(len(data), now_s), splice.bounds.shared.take(max(1, frames), now_s))
        if owed_s > 0 and not self._owing:
            self._owing = True
            self.settle()
            asyncio.get_running_loop().call_later(owed_s, self._paid)

    def write(self, data: bytes) -> None:
        """Send, if it can still be sent."""
        if not self.transport.is_closing():
            self.transport.write(data)

    def write_end(self) -> None:
        """Send no more; what still comes is read and dropped, for a reset would take our last words away."""
        if not self.transport.is_closing():
            self.transport.write_eof()
            self.settle()

    def _paid(self) -> None:
        self._owing = False
        self.settle()

    def pause_writing(self) -> None:
        self.other._block(True)

    def resume_writing(self) -> None:
        self.other._block(False)

    def _block(self, blocked: bool) -> None:
        self._blocked = blocked
        self.settle()

    def settle(self) -> None:
        """Read, or do not."""
        if self.transport.is_closing():
            return
        if (self._blocked or self._owing) and not self._splice.over:
            self.transport.pause_reading()
        else:
            self.transport.resume_reading()

    def eof_received(self) -> bool:
        self._splice.ended(self)
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        self._splice.lost(self, exc)


class Splice:
    """See the module. `done` is set when both sides are gone."""

    def __init__(
        self, bounds: Bounds, client: asyncio.Transport, server: asyncio.Transport, owner: asyncio.BaseProtocol
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self.bounds = bounds
        self.over = False  # nothing is passed on any more
        self.done: asyncio.Future[str] = self._loop.create_future()
        self.outcome = ""
        self._owner = owner  # whose the client's connection was, and who is told of its end
        self._error: Exception | None = None
        self._alive = 2
        self._heard_s = self.now_s()
        self._asked_s = self._heard_s
        self.client = Side("client", self, client, Scanner(masked=True, most=bounds.message_bytes))
        self.server = Side("server", self, server, Scanner(masked=False, most=SERVER_MESSAGE_BYTES))
        self.client.other, self.server.other = self.server, self.client

    def begin(self, greeting: bytes, first: bytes, early: bytes) -> None:
        """Answer the client, and pass on what each side sent before: the server `first`, the client `early`."""
        for side in (self.client, self.server):
            side.transport.set_protocol(side)
            side.transport.set_write_buffer_limits(high=WRITE_BYTES)
        self.client.write(greeting)
        if first:
            self.server.received(first)
        if early:
            self.client.received(early)
        self.client.settle()
        self.server.settle()

    def now_s(self) -> float:
        return self._loop.time()

    def heard(self, side: Side, size: int, now_s: float) -> None:
        """A side sent something."""
        self.bounds.passed(side.name, size)
        if side is self.client:
            self._heard_s = now_s

    def look(self, now_s: float) -> None:
        """Ask a silent client whether it is there; end it where it says nothing at all."""
        silent_s = now_s - self._heard_s
        if silent_s >= self.bounds.idle_s:
            self.end(GOING, "nothing was heard from you, not even answers to pings")
        elif silent_s >= self.bounds.ping_s and now_s - self._asked_s >= self.bounds.ping_s and self._clear():
            self._asked_s = now_s
            self.client.write(PING)

    def _clear(self) -> bool:
        """Whether a frame of ours may be put here on the way to the client."""
        return not self.over and self.server.scanner.between and not self.server.scanner.ended

    def end(self, code: int, reason: str) -> None:
        """End it, telling the client why where a frame fits in. Again is fine."""
        if self.over:
            return
        if self._clear():
            self.client.write(close_frame(code, reason))
        self._finish(str(code))

    def ended(self, side: Side) -> None:
        """A side sends no more."""
        if self.over:
            return
        if side is self.client:
            self._finish("left")
        elif self.server.scanner.ended or self.client.scanner.ended:
            self._finish("closed")
        else:
            self.end(BAD_GATEWAY, "the game's server ended the connection")

    def lost(self, side: Side, error: Exception | None) -> None:
        """A side is gone."""
        self._alive -= 1
        self.ended(side)
        if side is self.client:
            self._error = error
        if not self._alive:
            self.done.set_result(self.outcome)
            self._owner.connection_lost(self._error)

    def _finish(self, outcome: str) -> None:
        """Nothing is passed on any more; both sides have a moment to take what was written."""
        self.over, self.outcome = True, outcome
        self.server.write_end()
        self.client.write_end()
        self._loop.call_later(LINGER_S, self.abort)

    def abort(self) -> None:
        """Break off both connections."""
        self.over = True
        for side in (self.client, self.server):
            side.transport.abort()


def taken(transport: asyncio.BaseTransport | None) -> asyncio.Transport | None:
    """A connection whose bytes we may have; None where it is gone."""
    if transport is None or transport.is_closing():
        return None
    return cast(asyncio.Transport, transport)
