"""How every launcher behaves, as one table: each launcher's tests run all of it on a rig of their own.

A behaviour is a function of a rig, which opens launchers whose servers run a program of Python given as its source.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from typing import Any, Final, Protocol

import pytest

from core.clock import new_id, now_ms
from core.model import Match, MatchPlayer, Server, Timers
from matchmaker.launch.base import Changed, Launcher, LaunchRefused, LaunchRetryable, Seen
from tests.support import eventually

# Ends with 5 when it is asked to.
SLEEP: Final = "import signal, sys, time; signal.signal(15, lambda *_: sys.exit(5)); print('here'); time.sleep(300)"
# Says that it is there, and will not go for SIGTERM.
STUBBORN: Final = "import signal, time; signal.signal(15, signal.SIG_IGN); print('here'); time.sleep(300)"
LAST_WORDS: Final = "import sys; print('last words'); sys.exit(7)"


class Rig(Protocol):
    """Launchers of one kind on real parts."""

    refused: Server  # what this kind never starts

    def open(
        self, program: str = SLEEP, *, changed: Changed = ..., max_servers: int = 16, starts: int = 8
    ) -> AbstractAsyncContextManager[Launcher]:
        """A launcher of an installation of its own; its servers are gone at the end."""

    def another(self, first: Launcher) -> Launcher:
        """A second launcher of the same installation, as another matchmaker would have it."""

    async def kill(self, server: Seen) -> None:
        """End a server from outside, as the kernel would."""


def a_match(**server: Any) -> Match:
    """A match to launch; its server is the built-in arena unless told otherwise."""
    seats = [MatchPlayer(new_id("player"), "", "players", new_id("ticket"))]
    made = Server(**(server or {"arena": {}}))
    return Match(new_id("match"), "duel", 1, now_ms(), seats, made, Timers(), 3, 30)


async def ended(made: Launcher, match: str) -> Seen:
    """What is known of a server once it has ended."""

    async def it_has() -> Seen | None:
        server = (await made.seen()).get(match)
        return server if server and server.ended else None

    return await eventually(it_has)


async def said(made: Launcher, match: str, words: list[str]) -> None:
    """Wait until the server of `match` has said this."""

    async def it_has() -> bool:
        return await made.tail(match) == words

    await eventually(it_has)


async def start_is_idempotent(rig: Rig) -> None:
    """Starting the server of a match twice starts one."""
    async with rig.open() as made:
        room, wanted = made.room(), a_match()
        await made.start(wanted)
        first = (await made.seen())[wanted.id]
        await made.start(wanted)
        assert (await made.seen())[wanted.id].since_ms == first.since_ms
        assert made.room() == room - 1


async def an_end_is_told_at_once(rig: Rig) -> None:
    """When a server ends its match is named once, and its exit code and last words are known."""
    told: list[tuple[str, str]] = []
    async with rig.open(LAST_WORDS, changed=lambda game, match: told.append((game, match))) as made:
        wanted = a_match()
        await made.start(wanted)

        async def heard() -> bool:
            return bool(told)

        await eventually(heard)  # nobody asks for it
        server = (await made.seen())[wanted.id]
        assert (server.ended, server.exit_code) == (True, 7)
        assert await made.tail(wanted.id) == ["last words"]
        assert told == [("duel", wanted.id)]


async def a_killed_server_is_told(rig: Rig) -> None:
    """A server that is killed from outside is told like any that ends, with the signal as its exit code."""
    told: list[tuple[str, str]] = []
    async with rig.open(changed=lambda game, match: told.append((game, match))) as made:
        wanted = a_match()
        await made.start(wanted)
        await said(made, wanted.id, ["here"])
        await rig.kill((await made.seen())[wanted.id])

        async def heard() -> bool:
            return told == [("duel", wanted.id)]

        await eventually(heard)
        assert (await made.seen())[wanted.id].exit_code == -9


async def another_launcher_sees_the_same_servers(rig: Rig) -> None:
    """A second matchmaker adopts the servers of the first, starts none again, ends them, and both see it."""
    async with rig.open() as first:
        wanted = a_match()
        await first.start(wanted)
        await said(first, wanted.id, ["here"])
        second = rig.another(first)

        async def adopted() -> bool:
            return wanted.id in await second.seen()

        await eventually(adopted)
        assert (await second.seen())[wanted.id].game == "duel"
        await second.start(wanted)
        await first.seen()
        assert second.room() == first.room()
        assert second.host == first.host
        await second.stop(wanted.id, 60.0)
        assert (await ended(first, wanted.id)).exit_code == 5
        assert (await ended(second, wanted.id)).exit_code in (5, None)
        await second.close(stop_servers=False)


async def servers_outlive_their_launcher(rig: Rig) -> None:
    """Closed, a launcher leaves its servers alone, unless it is told to stop them: then all have ended."""
    async with rig.open() as first:
        wanted = a_match()
        await first.start(wanted)
        await said(first, wanted.id, ["here"])
        await first.close(stop_servers=False)
        second = rig.another(first)

        async def adopted() -> bool:
            return wanted.id in await second.seen()

        await eventually(adopted)
        await second.close(stop_servers=True)
        third = rig.another(first)
        server = (await third.seen()).get(wanted.id)
        assert server is None or server.ended
        await third.close(stop_servers=False)


async def a_stubborn_server_is_killed_after_its_grace(rig: Rig) -> None:
    """A server that ignores SIGTERM is killed when its grace is over, and asked only once meanwhile."""
    async with rig.open(STUBBORN) as made:
        wanted = a_match()
        await made.start(wanted)
        await said(made, wanted.id, ["here"])
        await made.stop(wanted.id, 0.1)
        assert (await made.seen())[wanted.id].stopping
        await made.stop(wanted.id, 0.1)
        assert (await ended(made, wanted.id)).exit_code == -9


async def what_is_unknown_is_ignored(rig: Rig) -> None:
    """A match without a server here has nothing to stop, to settle or to say."""
    async with rig.open() as made:
        await made.stop("m-unknown", 1.0)
        made.settled("m-unknown")
        assert await made.tail("m-unknown") == []
        assert not await made.seen()


async def starts_are_bounded(rig: Rig) -> None:
    """A start waits while as many as are allowed have not settled; a settled or ended one makes room."""
    async with rig.open(starts=1) as made:
        first, second, third = a_match(), a_match(), a_match()
        await made.start(first)
        waiting = asyncio.create_task(made.start(second))
        await asyncio.sleep(0.05)
        assert second.id not in await made.seen()
        made.settled(first.id)
        made.settled(first.id)
        await waiting
        waiting = asyncio.create_task(made.start(third))
        await asyncio.sleep(0.05)
        seen = await made.seen()
        assert third.id not in seen
        await rig.kill(seen[second.id])
        await waiting


async def servers_are_bounded(rig: Rig) -> None:
    """Where as many servers run as are allowed, another is put off; one that has ended makes room."""
    async with rig.open(max_servers=1) as made:
        first = a_match()
        await made.start(first)
        assert made.room() == 0
        with pytest.raises(LaunchRetryable, match="MUSTER_MAX_SERVERS"):
            await made.start(a_match())
        await rig.kill((await made.seen())[first.id])
        await ended(made, first.id)
        assert made.room() == 1


async def what_is_refused_holds_no_place(rig: Rig) -> None:
    """What can never be started is refused as often as it is asked for, and takes no room."""
    async with rig.open(starts=1) as made:
        room = made.room()
        for _ in range(3):
            with pytest.raises(LaunchRefused):
                await made.start(a_match(image=rig.refused.image, command=rig.refused.command))
        assert made.room() == room
        await made.start(a_match())


BEHAVIOURS: Final[list[Callable[[Rig], Awaitable[None]]]] = [
    start_is_idempotent,
    an_end_is_told_at_once,
    a_killed_server_is_told,
    another_launcher_sees_the_same_servers,
    servers_outlive_their_launcher,
    a_stubborn_server_is_killed_after_its_grace,
    what_is_unknown_is_ignored,
    starts_are_bounded,
    servers_are_bounded,
    what_is_refused_holds_no_place,
]

every_behaviour = pytest.mark.parametrize("behaviour", BEHAVIOURS, ids=lambda behaviour: behaviour.__name__)
