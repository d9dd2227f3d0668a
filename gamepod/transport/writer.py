"""Writing to a stream whose reader may be slow, without letting its bytes pile up in memory.

A snapshot is worth something only while it is fresh, so snapshots are dropped first: the rows they held come
again within a refresh. A reader that stays behind, or lets even the few messages that matter pile up, is
disconnected. `close` flushes, but not for ever.
"""

from __future__ import annotations

import asyncio
import socket

from gamepod.transport.gateway import Gateway
from gamepod.transport.limits import TransportLimits
from gamepod.transport.links import Link


class BoundedWriter:
    """The sending side of one connection."""

    __slots__ = ("_behind_since", "_limits", "_loop", "_transport")

    def __init__(self, transport: asyncio.Transport, limits: TransportLimits) -> None:
        self._transport = transport
        self._limits = limits
        self._loop = asyncio.get_running_loop()
        self._behind_since: float | None = None
        raw: socket.socket | None = transport.get_extra_info("socket")
        if raw is not None:
            # The kernel would otherwise hide megabytes, seconds of stale snapshots, from the bounds below.
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, limits.send_buffer_bytes)

    def ready(self) -> bool:
        """May a snapshot be sent now? A reader that has been behind for too long is disconnected here."""
        if self._transport.is_closing():
            return False
        if self._transport.get_write_buffer_size() <= self._limits.soft_buffer_bytes:
            self._behind_since = None
            return True
        now = self._loop.time()
        if self._behind_since is None:
            self._behind_since = now
        elif now - self._behind_since > self._limits.stall_timeout_s:
            self._transport.abort()
        return False

    def send(self, data: bytes) -> None:
        """Send; a reader so far behind that even this does not fit is disconnected."""
        if self._transport.is_closing():
            return
        if self._transport.get_write_buffer_size() > self._limits.hard_buffer_bytes:
            self._transport.abort()
            return
        self._transport.write(data)

    def close(self) -> None:
        """Close after what was written has left, or after `stall_timeout_s` whatever happened."""
        if not self._transport.is_closing():
            self._transport.close()
            self._loop.call_later(self._limits.stall_timeout_s, self._transport.abort)


def close_unless_joined(gateway: Gateway, link: Link) -> asyncio.TimerHandle:
    """Give a new stream `join_timeout_s` to join, so that silent strangers cannot hold every connection."""

    def expire() -> None:
        if not gateway.joined(link):
            link.close()

    return asyncio.get_running_loop().call_later(gateway.limits.join_timeout_s, expire)
