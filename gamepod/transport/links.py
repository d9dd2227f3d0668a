"""What the gateway and the transports know of each other: a client's link, its record, and what is counted."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol

from gamepod.arena.session import Session
from gamepod.arena.tank import Player
from gamepod.transport.limits import TokenBucket
from gamepod.transport.pace import Pace
from gamepod.transport.protocol import NO_JSON, NO_MESSAGE
from gamepod.transport.sight import Sight


class Link(Protocol):
    """One client's way back, as a transport offers it."""

    @property
    def datagram(self) -> bool:
        """True where messages may be lost and must fit a datagram."""

    def send(self, message: bytes) -> None:
        """Send a message that matters; a reader too slow for it is disconnected."""

    def offer(self, message: bytes) -> bool:
        """Send a snapshot, or drop it (False) when the reader is behind."""

    def close(self) -> None:
        """End the connection after what was sent."""


@dataclass(slots=True)
class GatewayStats:
    """Counters since the start, for the metrics."""

    joins: int = 0
    joins_refused: dict[str, int] = field(default_factory=dict)  # by code
    replaced: int = 0
    timed_out: int = 0
    messages: int = 0
    bad_messages: dict[str, int] = field(default_factory=lambda: {NO_JSON: 0, NO_MESSAGE: 0})  # by kind
    strangers: int = 0  # datagrams of addresses that have not joined, and were no join
    rate_limited: int = 0
    snapshots_sent: int = 0
    snapshots_dropped: int = 0


@dataclass(slots=True, eq=False)
class Client:
    """A link that has joined as a player."""

    link: Link
    match: str
    player: str
    session: Session
    record: Player
    sight: Sight
    pace: Pace
    bucket: TokenBucket
    heard_ms: int  # when the last good message came
    bad: int = 0  # malformed messages so far
    told_over: bool = False
