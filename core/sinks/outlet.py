"""What a broker is to us: it takes messages, and says when it has them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from core.sinks.catalogue import Message


class Outlet(Protocol):
    """A connection to a broker. Not used by two tasks at once."""

    name: str  # of the reader of the logs, and in metrics
    most: int  # messages of one send: even a slow broker takes as many within its time-out

    async def open(self) -> None:
        """Connect. Raises Unavailable."""

    async def send(self, messages: Sequence[Message]) -> None:
        """Return when the broker has acknowledged all; those of one key are in their order.

        Raises Unavailable: then some may have arrived, and all are to be sent again.
        """

    async def close(self) -> None:
        """Let go of the connection, whatever its state."""
