"""What a game may say to its sidecar and ask of it: the calls that both faces, REST and gRPC, lead to.

Everything is in memory and answers at once. Refusals are CallRefused; a call that is refused changes nothing.
"""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator, Callable
from typing import Any, NamedTuple

from core.errors import IllegalTransition
from core.model import Connection
from gamepod.sdk.answers import FAILED_PRECONDITION, INVALID_ARGUMENT, CallRefused
from gamepod.sdk.document import game_server
from gamepod.sdk.metadata import Metadata
from gamepod.sdk.server import ServerLife
from gamepod.sdk.state import ServerEvent
from gamepod.sdk.tallies import Tallies


class Identity(NamedTuple):
    """Who the server is."""

    name: str
    namespace: str
    uid: str
    created_s: int  # UTC


class Sdk:
    """One server's. Without `commands` it only tells: the built-in arena speaks for itself."""

    def __init__(
        self,
        identity: Identity,
        life: ServerLife,
        metadata: Metadata,
        tallies: Tallies,
        connection: Callable[[], Connection],
        *,
        commands: bool = True,
    ) -> None:
        self.life, self.metadata, self.tallies, self.commands = life, metadata, tallies, commands
        self._identity, self._connection = identity, connection
        self.on_change: Callable[[], None] = lambda: None  # called with each change in the tallies

    def describe(self) -> dict[str, Any]:
        """The document of GET /gameserver as it is now."""
        life, who, tallies = self.life, self._identity, self.tallies
        return game_server(
            name=who.name,
            namespace=who.namespace,
            uid=who.uid,
            created_s=who.created_s,
            state=life.state,
            connection=self._connection(),
            metadata=self.metadata,
            tallies=tallies,
            health=life.rules,
            health_watched=life.heard_s is not None and not life.rules.disabled,
            revision=life.revision,
        )

    async def watch(self) -> AsyncGenerator[dict[str, Any], None]:
        """The document now, and after changes; who reads slowly misses what was in between."""
        seen = 0
        while True:
            seen = await self.life.changes.after(seen)
            yield self.describe()

    def ready(self) -> None:
        self._apply(ServerEvent.READY_ASKED)

    def allocate(self) -> None:
        self._apply(ServerEvent.ALLOCATED)

    def shutdown(self) -> None:
        self._apply(ServerEvent.SHUTDOWN)

    def reserve(self, seconds: int) -> None:
        self._commanded()
        if seconds < 0:
            raise CallRefused(INVALID_ARGUMENT, f"seconds must be 0 or more; found {seconds}")
        try:
            self.life.reserve(seconds)
        except IllegalTransition as wrong:
            raise CallRefused(FAILED_PRECONDITION, wrong.detail) from None

    def health(self) -> None:
        self._commanded()
        self.life.heard(time.monotonic())

    def set_label(self, key: str, value: str) -> None:
        self._commanded()
        if self.metadata.set_label(key, value):
            self.life.changes.bump()

    def set_annotation(self, key: str, value: str) -> None:
        self._commanded()
        if self.metadata.set_annotation(key, value):
            self.life.changes.bump()

    def changing(self) -> Tallies:
        """The tallies, for a call that changes them."""
        self._commanded()
        return self.tallies

    def changed(self) -> None:
        """Tell the watchers of a change in the tallies."""
        self.on_change()
        self.life.changes.bump()

    def _apply(self, event: ServerEvent) -> None:
        self._commanded()
        try:
            self.life.apply(event)
        except IllegalTransition as wrong:
            raise CallRefused(FAILED_PRECONDITION, wrong.detail) from None

    def _commanded(self) -> None:
        if not self.commands:
            raise CallRefused(FAILED_PRECONDITION, "the built-in arena takes no commands")
