"""SIGKILL of every process in every phase of a match.

After each: no ticket is lost, none is in two matches, its wait is kept, its player gets to the end of a match, and no
server is left over. The stack is shared by all of them, as an installation that lives through many crashes.
"""

from __future__ import annotations

import asyncio
import os
import re
import signal
from collections.abc import Awaitable, Callable
from contextlib import suppress

import psutil
import pytest

from core import keys
from core.cli.demo import logged_by_player
from tests.e2e.conftest import HELD
from tests.seat import Seat, settle
from tests.stack import Ticket, Visit
from tests.support import eventually

SERVER = "game server"
VICTIMS = ("webapi", "owner", "other matchmaker", SERVER, "redis")
LENGTH_S = 5.0  # of a match: a crash falls well inside, and who is late on a busy machine still finds it
LONG_S = 8.0  # of one that must not be over before all are in it, and who strikes has looked for its server
KILLS_REDIS = True


def kill(pid: int) -> None:
    """End a process as the kernel would that has no memory left."""
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)


async def nothing_kept_back(here: Visit) -> None:
    """From now on Redis writes before it answers: while its disk hangs, what it answered may wait two seconds for that.

    A kill in that moment loses it, as `everysec` says, which is not what is shown here.
    """
    await here.db.do("CONFIG", "SET", "appendfsync", "always")

    async def written() -> bool:
        return re.search(r"aof_buffer_length\W+0\b", str(await here.db.do("INFO", "persistence"))) is not None

    await eventually(written)


async def kill_part(here: Visit, name: str) -> None:
    """Kill a part of the stack, and see that it was brought back."""
    if name == "redis":
        await nothing_kept_back(here)
    pid = here.stack.pid(name)
    kill(pid)

    async def back() -> bool:
        now = here.stack.pid(name)
        return now != pid and psutil.pid_exists(now)

    await eventually(back)


async def kill_servers(here: Visit, game: str, *, within_s: float = 60.0) -> None:
    """Kill every server of a game with whatever it started; the oldest process, which is the sidecar, first.

    A server that takes longer than `within_s` to be there is an AssertionError.
    """
    live = set(await here.db.do("ZRANGE", f"{keys.game(game)}:live", 0, -1))

    async def found() -> list[psutil.Process]:
        return await here.server_processes(live)

    for process in sorted(await eventually(found, within_s=within_s), key=lambda p: p.pid):
        kill(process.pid)


async def strike(here: Visit, game: str, victim: str) -> None:
    """Kill the victim."""
    if victim == SERVER:
        await kill_servers(here, game)
    elif victim in ("owner", "other matchmaker"):
        owner = await here.owner(game)
        other = "matchmaker" if owner == "matchmaker-2" else "matchmaker-2"
        await kill_part(here, owner if victim == "owner" else other)
    else:
        await kill_part(here, victim)


async def register(here: Visit, game: str, length_s: float = LENGTH_S) -> None:
    """A duel of so many seconds that survives several crashes."""
    await here.register(
        {
            "id": game,
            "teams": [{"name": name, "min_players": 1, "max_players": 1} for name in ("red", "blue")],
            "server": {"arena": {"time_limit_s": length_s, "score_limit": 0}},
            "limits": {"tries": 5},
        }
    )


def seats_of(here: Visit, tickets: list[Ticket]) -> list[Seat]:
    """One on UDP, one on WebSocket: what a datagram client and a stream client notice of a crash differs."""
    return [Seat(here, ticket, wire) for ticket, wire in zip(tickets, ("udp", "ws"), strict=True)]


async def has_state(here: Visit, tickets: list[Ticket], *states: str) -> None:
    """Wait until each ticket's state in Redis is one of these."""

    async def there() -> bool:
        return all([(await here.facts(ticket)).get("state") in states for ticket in tickets])

    await eventually(there)


async def assert_sound(here: Visit, game: str, tickets: list[Ticket], since: list[str], ended: list[str]) -> None:
    """What must be true after any crash, once the players have played to an end."""
    assert len(set(ended)) == 1, "both play the same match to its end"
    for ticket, began in zip(tickets, since, strict=True):
        facts = await here.facts(ticket)
        assert facts["state"] == "COMPLETED"
        assert facts["since_ms"] == began, "the wait is kept"
        assert facts["match"] == ended[0]
    matches = await here.matches(game)
    played = [match for match, found in matches.items() if found["state"] != "FAILED"]
    assert played == ended[:1], "a ticket is in one match that counts"
    assert matches[ended[0]]["state"] == "ENDED"
    assert await here.db.do("ZCARD", f"{keys.game(game)}:live") == 0
    assert await here.db.do("ZCARD", f"{keys.game(game)}:queue") == 0

    async def none_left() -> bool:
        return not await here.server_processes(set(matches))

    await eventually(none_left)


async def play_through(
    here: Visit, game: str, hurt: Callable[[list[Seat]], Awaitable[None]], length_s: float = LENGTH_S
) -> None:
    """Two players queue and play; `hurt` strikes meanwhile; then everything must be sound."""
    await register(here, game, length_s)
    tickets = [await here.post(await here.guest(name), game) for name in ("ann", "bob")]
    since = [(await here.facts(ticket))["since_ms"] for ticket in tickets]
    seats = seats_of(here, tickets)
    playing = [asyncio.create_task(seat.play()) for seat in seats]
    try:
        await hurt(seats)
    except BaseException:
        for task in playing:
            task.cancel()
        raise
    ended = await settle(playing)
    await assert_sound(here, game, tickets, since, ended)


@pytest.mark.parametrize("victim", [victim for victim in VICTIMS if victim != SERVER])
async def test_crash_while_a_ticket_waits(here: Visit, game_id: str, victim: str) -> None:
    """A ticket that waits for an opponent is still waiting after the crash, since the same moment, and is matched."""
    await register(here, game_id)
    first = await here.post(await here.guest("ann"), game_id)
    await has_state(here, [first], "SEARCHING")
    began = (await here.facts(first))["since_ms"]
    await strike(here, game_id, victim)
    assert (await here.read(first))["status"] in ("QUEUED", "SEARCHING")
    second = await here.post(await here.guest("bob"), game_id)
    since = [began, (await here.facts(second))["since_ms"]]
    seats = seats_of(here, [first, second])
    ended = await settle([asyncio.create_task(seat.play()) for seat in seats])
    await assert_sound(here, game_id, [first, second], since, ended)


@pytest.mark.parametrize("victim", VICTIMS)
async def test_crash_while_a_match_is_placed(here: Visit, game_id: str, victim: str) -> None:
    """The match whose server was starting is played, or its tickets are in another one; never in both."""

    held = here.stack.folder / HELD / game_id
    held.touch()

    async def hurt(seats: list[Seat]) -> None:
        await has_state(here, [seat.ticket for seat in seats], "PLACING")
        await strike(here, game_id, victim)
        held.unlink()

    await play_through(here, game_id, hurt)


@pytest.mark.parametrize("victim", VICTIMS)
async def test_crash_while_a_match_is_played(here: Visit, game_id: str, victim: str) -> None:
    """Players play on where only the control plane or Redis crashed, and are matched anew where their server did."""

    async def hurt(seats: list[Seat]) -> None:
        await asyncio.gather(*(seat.playing.wait() for seat in seats))
        await strike(here, game_id, victim)

    await play_through(here, game_id, hurt, LONG_S if victim == SERVER else LENGTH_S)


@pytest.mark.parametrize("victim", VICTIMS)
async def test_crash_while_a_match_ends(here: Visit, game_id: str, victim: str) -> None:
    """The moment the players are told that it is over: the match has ended, or it is played again to its end."""

    async def hurt(seats: list[Seat]) -> None:
        await seats[0].over.wait()
        if victim != SERVER:
            await strike(here, game_id, victim)
            return
        with suppress(AssertionError):  # a server that was quicker is gone already
            await kill_servers(here, game_id, within_s=1.0)

    await play_through(here, game_id, hurt)


async def test_players_in_a_match_do_not_notice_the_control_plane_crash(here: Visit, game_id: str) -> None:
    """With webapi and both matchmakers killed at once, a running match goes on to its end in one piece."""

    async def hurt(seats: list[Seat]) -> None:
        await asyncio.gather(*(seat.playing.wait() for seat in seats))
        await asyncio.gather(*(kill_part(here, name) for name in ("webapi", "matchmaker", "matchmaker-2")))
        await asyncio.gather(*(seat.over.wait() for seat in seats))
        assert [len(seat.entered) for seat in seats] == [1, 1]

    await play_through(here, game_id, hurt, LONG_S)


async def test_interactions_survive_a_crash_of_redis_in_play(here: Visit, game_id: str) -> None:
    """What the server accepted while Redis was gone is in the log afterwards, once."""
    told: list[Seat] = []

    async def hurt(seats: list[Seat]) -> None:
        told.extend(seats)
        await asyncio.gather(*(seat.playing.wait() for seat in seats))
        await kill_part(here, "redis")

    await play_through(here, game_id, hurt, LONG_S)
    match = told[0].entered[-1]
    assert await logged_by_player(here.db, game_id, [match]) == {s.ticket.player.id: s.accepted[match] for s in told}
