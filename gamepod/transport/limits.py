"""Every bound of the transports, with its unit and reason, and the token bucket that keeps the rates."""

from __future__ import annotations

from collections import OrderedDict

from msgspec import Struct


class TransportLimits(Struct, frozen=True):
    """Bounds of the game's own ports. A process of 30 MB must stay one whatever strangers send."""

    # Who
    max_clients: int = 256  # joined at once: a full arena, and those who are just being replaced
    max_connections: int = 512  # TCP and WebSocket, joined or not, per port
    join_timeout_s: float = 5.0  # a connection that has not joined by then is closed
    idle_timeout_s: float = 30.0  # streams: longer than a browser's throttled background timer sleeps
    datagram_idle_timeout_s: float = 10.0  # UDP: no connection ends by itself, so silence is the only sign
    reconnect_grace_s: float = 15.0  # the tank of a lost connection waits so long for its player

    # Input
    max_message_bytes: int = 4096  # a token is under 2 KB, thirty-two commands under 3 KB
    messages_per_second: float = 150.0  # 60 inputs with repeats and pings, twice over
    message_burst: float = 300.0  # two seconds of them, after a stall of the network
    bad_messages: int = 20  # malformed ones before the connection is closed
    early_messages: int = 3  # other than a good join, before it

    # Output
    max_datagram_bytes: int = 1200  # passes every path without fragments (the figure QUIC settled on)
    soft_buffer_bytes: int = 65_536  # above it snapshots are dropped: they would be stale when read
    hard_buffer_bytes: int = 262_144  # above it the reader is lost and is disconnected
    stall_timeout_s: float = 5.0  # a reader above the soft bound for so long is disconnected
    send_buffer_bytes: int = 131_072  # of a stream's socket: less delay hides in the kernel
    udp_buffer_bytes: int = 4_194_304  # of the UDP socket, each way: a burst of all clients in one tick fits

    # Strangers on UDP
    cookie_lifetime_s: float = 10.0  # a round trip, generously
    joins_per_second: float = 50.0  # proven joins per address; token checks cost most of all we do
    join_burst: float = 200.0  # a whole arena behind one router joins at once
    tracked_addresses: int = 4096  # of proven joins; the one longest unseen is forgotten


class TokenBucket:
    """Up to `burst` at once, `per_second` in the long run. Time is an argument, in milliseconds."""

    __slots__ = ("_burst", "_level", "_per_ms", "_seen_ms")

    def __init__(self, per_second: float, burst: float, now_ms: int) -> None:
        self._per_ms = per_second / 1000.0
        self._burst = burst
        self._level = burst
        self._seen_ms = now_ms

    def take(self, now_ms: int) -> bool:
        """Take one; False if there is none."""
        elapsed = now_ms - self._seen_ms
        if elapsed > 0:
            self._level = min(self._burst, self._level + elapsed * self._per_ms)
            self._seen_ms = now_ms
        if self._level < 1.0:
            return False
        self._level -= 1.0
        return True


class AddressLimiter:
    """A token bucket per address, for at most `capacity` addresses."""

    def __init__(self, per_second: float, burst: float, capacity: int) -> None:
        self._per_second = per_second
        self._burst = burst
        self._capacity = capacity
        self._buckets: OrderedDict[str, TokenBucket] = OrderedDict()

    def __len__(self) -> int:
        return len(self._buckets)

    def take(self, address: str, now_ms: int) -> bool:
        """Take one for this address; False if it had its share."""
        bucket = self._buckets.get(address)
        if bucket is None:
            if len(self._buckets) >= self._capacity:
                self._buckets.popitem(last=False)
            bucket = self._buckets[address] = TokenBucket(self._per_second, self._burst, now_ms)
        else:
            self._buckets.move_to_end(address)
        return bucket.take(now_ms)
