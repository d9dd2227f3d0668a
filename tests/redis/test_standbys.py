"""Servers without a match: one place has one process, one server one match, whatever is repeated or comes late."""

from __future__ import annotations

import json
from typing import Any

import pytest

from core import keys
from core.errors import Fenced
from tests.redis.conftest import GAME, Game
from tests.redis.steps import NOW, create, lease, register, step

WAITS = "w-1"


def document(match: str, *tickets: str, version: int = 1) -> str:
    """A match of one player a ticket."""
    players = [{"id": f"p{ticket[1:]}", "name": "", "team": "players", "ticket": ticket} for ticket in tickets]
    return json.dumps({"id": match, "players": players, "game_version": version})


async def claim(game: Game, token: int, match: str, ticket: str, *, version: int = 1, now: int = NOW + 1000) -> Any:
    text = document(match, ticket, version=version)
    return await game.call("match_claim", token, now, now + 60_000, 10, match, text, ticket)


async def started(game: Game, token: int, name: str = WAITS, *, kind: str = "early", most: int = 10) -> Any:
    """Written, as before its start."""
    return await game.call("standby_create", token, NOW, name, 1, kind, most, document(name))


async def ready(game: Game, token: int, name: str = WAITS, *, at: int = NOW + 500, kind: str = "early") -> None:
    """Started, attached by the process `s-<name>`, and ready."""
    assert (await started(game, token, name, kind=kind))[0] == "ok"
    assert (await game.call("standby_attach", name, f"s-{name}", NOW + 100, "{}"))[0] == "ok"
    assert await game.call("standby_beat", name, f"s-{name}", at, "ready") == ["ok", "Ready", ""]


async def spent(game: Game) -> dict[str, int]:
    return {name: int(n) for name, n in (await game.do("HGETALL", "supply")).items()}


async def a_game(game: Game, tickets: int = 2) -> int:
    """A game with waiting tickets t1, t2, ...; returns the fencing token."""
    await register(game)
    for number in range(1, tickets + 1):
        await create(game, f"t{number}", f"p{number}")
    return await lease(game)


async def test_a_match_takes_the_server_that_waits(game: Game) -> None:
    """The claim gives the match its server in the same step: attached already, rung for, and no other match's."""
    token = await a_game(game)
    await ready(game, token)
    assert await claim(game, token, "m1", "t1") == ["ok", WAITS, "Ready"]
    assert await claim(game, token, "m1", "t1") == ["ok", WAITS, ""]
    assert await claim(game, token, "m2", "t2") == ["ok"]
    match = await game.do("HGETALL", "match:m1")
    assert (match["state"], match["standby"], match["server"]) == ("PLACING", WAITS, f"s-{WAITS}")
    assert await game.do("LRANGE", f"bell:{WAITS}", 0, -1) == ["m1"]
    assert await game.do("ZCARD", "standbys") == 0
    assert await game.call("standby_beat", WAITS, f"s-{WAITS}", NOW + 1100, "") == ["ok", "Allocated", "m1"]
    assert (await game.call("server_attach", "m1", f"s-{WAITS}", NOW + 1200, "{}"))[0] == "ok"
    assert (await step(game, "m1", "ready", server=f"s-{WAITS}"))[:2] == ["ok", "RUNNING"]
    assert await spent(game) == {"idle_early_ms": 500, "used_early": 1, "cold": 1}


async def test_nobody_else_attaches_to_a_match_that_took_a_server(game: Game) -> None:
    """A process that was started for the match by mistake is turned away, also before the server itself came."""
    token = await a_game(game)
    await started(game, token)
    assert await claim(game, token, "m1", "t1") == ["ok", WAITS, "Starting"]
    assert await game.call("server_attach", "m1", "s-other", NOW, "{}") == ["foreign", "PLACING"]
    attached = await game.call("standby_attach", WAITS, "s-1", NOW, "{}")
    assert (attached[1], attached[3]) == ("Allocated", "m1")
    assert await game.call("server_attach", "m1", "s-other", NOW, "{}") == ["foreign", "PLACING"]
    assert (await game.call("server_attach", "m1", "s-1", NOW, "{}"))[0] == "ok"


async def test_a_place_has_one_process(game: Game) -> None:
    """A second process is turned away; the first may come again and hears how far it was."""
    token = await a_game(game)
    await ready(game, token)
    assert await game.call("standby_attach", WAITS, "s-2", NOW, "{}") == ["foreign", "Ready"]
    again = await game.call("standby_attach", WAITS, f"s-{WAITS}", NOW + 900, "{}")
    assert (again[0], again[1], again[4]) == ("ok", "Ready", str(NOW + 500))
    assert await game.call("standby_beat", WAITS, "s-2", NOW, "") == ["foreign", "Ready"]
    assert await game.call("standby_attach", "w-none", "s-2", NOW, "{}") == ["gone", ""]


async def test_the_ready_one_comes_first_then_the_oldest(game: Game) -> None:
    """A match takes a server that is ready before one that starts, and of those the one that waits longest."""
    token = await a_game(game, 4)
    await started(game, token, "w-early")
    await ready(game, token, "w-late", at=NOW + 700)
    await ready(game, token, "w-first", at=NOW + 600)
    took = [await claim(game, token, f"m{n}", f"t{n}") for n in (1, 2, 3, 4)]
    assert [reply[1:2] for reply in took] == [["w-first"], ["w-late"], ["w-early"], []]


async def test_only_of_its_version_and_with_signs_of_life(game: Game) -> None:
    """A server of another version of the registration is left alone, and so is a ready one that does not beat."""
    token = await a_game(game)
    await ready(game, token)
    assert await claim(game, token, "m1", "t1", version=2) == ["ok"]
    assert await claim(game, token, "m2", "t2", now=NOW + 5501) == ["ok"]
    assert await game.do("HGET", f"standby:{WAITS}", "state") == "Ready"


async def test_what_is_a_matchs_is_not_ended(game: Game) -> None:
    """To end a server is refused once a match took it, by whoever asks; one that ended is taken by no match."""
    token = await a_game(game)
    await ready(game, token)
    await ready(game, token, "w-2", kind="warm")
    assert await claim(game, token, "m1", "t1") == ["ok", WAITS, "Ready"]
    assert await game.call("standby_end", WAITS, "", NOW, "unneeded", "", token) == ["allocated", "m1"]
    assert await game.call("standby_end", WAITS, f"s-{WAITS}", NOW, "stopped", "") == ["allocated", "m1"]
    assert await game.call("standby_end", "w-2", "s-else", NOW, "stopped", "") == ["foreign", "Ready"]
    assert await game.call("standby_end", "w-2", "", NOW + 2500, "unneeded", "", token) == ["ok", "Shutdown"]
    assert await game.call("standby_end", "w-2", "", NOW + 9000, "unneeded", "", token) == ["over", "Shutdown"]
    assert await claim(game, token, "m2", "t2") == ["ok"]
    assert await game.call("standby_beat", "w-2", "s-w-2", NOW, "") == ["over", "Shutdown"]
    assert await game.call("standby_end", "w-none", "", NOW, "unneeded", "", token) == ["gone", ""]
    counted = await spent(game)
    assert (counted["unused_warm"], counted["idle_warm_ms"]) == (1, 2000)


async def test_bounds_and_fencing(game: Game) -> None:
    """No more are made than allowed, a repeat makes no second one, and only the lease's holder makes, gives or ends."""
    token = await a_game(game)
    assert await started(game, token, most=1) == ["ok", "Starting"]
    assert await started(game, token, most=1) == ["ok", "Starting"]
    assert await started(game, token, "w-2", most=1) == ["full", 1]
    for name, args in (
        ("standby_create", (NOW, "w-3", 1, "early", 10, "{}")),
        ("standby_allocate", (NOW, "m1")),
    ):
        with pytest.raises(Fenced):
            await game.call(name, token + 1, *args)
    with pytest.raises(Fenced):
        await game.call("standby_end", WAITS, "", NOW, "unneeded", "", token + 1)


async def test_a_match_without_a_server_takes_one_later(game: Game) -> None:
    """Once its players accepted a match takes a waiting server, once; never beside one that it has."""
    token = await a_game(game)
    assert await claim(game, token, "m1", "t1") == ["ok"]
    assert await game.call("standby_allocate", token, NOW, "m1") == ["ok", "", ""]
    await ready(game, token)
    await ready(game, token, "w-2")
    assert await game.call("standby_allocate", token, NOW + 600, "m1") == ["ok", WAITS, "Ready"]
    assert await game.call("standby_allocate", token, NOW + 600, "m1") == ["ok", WAITS, ""]
    assert await claim(game, token, "m2", "t2") == ["ok", "w-2", "Ready"]
    assert await game.call("standby_allocate", token, NOW, "none") == ["changed", ""]


async def test_ready_that_comes_too_late_tells_the_match(game: Game) -> None:
    """A server taken while it started hears its match when it says that it is ready."""
    token = await a_game(game)
    await started(game, token)
    await game.call("standby_attach", WAITS, "s-1", NOW, "{}")
    assert await claim(game, token, "m1", "t1") == ["ok", WAITS, "Starting"]
    assert await game.call("standby_beat", WAITS, "s-1", NOW + 1200, "ready") == ["ok", "Allocated", "m1"]


async def test_a_removed_game_leaves_no_server_waiting(game: Game) -> None:
    """With its registration go the servers that wait: each hears so at its next beat."""
    token = await a_game(game, 0)
    await ready(game, token)
    assert (await game.call("game_remove"))[0] == "ok"
    assert await game.call("standby_beat", WAITS, f"s-{WAITS}", NOW, "") == ["over", "Shutdown"]
    assert await game.do("EXISTS", "standbys") == 0
    assert keys.standby(GAME, WAITS).endswith(f":standby:{WAITS}")
