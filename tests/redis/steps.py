"""Steps that tests of the Redis functions are made of: one game, tickets, a match."""

from __future__ import annotations

import json
from typing import Any

from tests.redis.conftest import Game

NOW = 1_763_700_000_000
OWNER = "replica-1"


def people(*ids: str) -> str:
    """A ticket's document."""
    return json.dumps([{"id": player} for player in ids])


async def register(game: Game, **spec: Any) -> None:
    """Put a registration as far as the functions read it."""
    await game.do("SET", "game", json.dumps({"version": 1, "spec": {"accepting": True} | spec}))


async def create(game: Game, ticket: str, *players: str, now: int = NOW, most: int = 100) -> Any:
    return await game.call("ticket_create", ticket, now, most, people(*players), "", *players)


async def lease(game: Game, owner: str = OWNER, *, lease_ms: int = 60_000) -> int:
    """Take the game's lease; returns the fencing token."""
    token, _, _ = await game.call("lease_take", owner, lease_ms, 0)
    return int(token)


async def claim(
    game: Game, token: int, match: str, *tickets: str, live_most: int = 10, now: int = NOW + 100, ask_s: float = 0
) -> Any:
    """Claim tickets of one player, for `t1` p1, or of several: `t1+p5`. With `ask_s` they are asked first."""
    players = [
        {"id": player, "name": "", "team": "players", "ticket": ticket}
        for ticket, _, others in (name.partition("+") for name in tickets)
        for player in (f"p{ticket[1:]}", *others.split("+"))
        if player
    ]
    document = json.dumps({"id": match, "players": players, "acceptance_timeout_s": ask_s or None})
    tickets = tuple(dict.fromkeys(player["ticket"] for player in players))
    return await game.call("match_claim", token, now, now + 60_000, live_most, match, document, *tickets)


async def step(game: Game, match: str, event: str, *, server: str = "", reason: str = "", most: int = 3) -> Any:
    """Move a match as a server, or as the control plane judging by no facts."""
    kept = '{"address": "a"}' if event == "ready" else ""
    return await game.call("match_step", match, event, NOW + 500, server, reason, kept, NOW + 10_000, most)


async def duel(game: Game, *, ready: bool = True) -> int:
    """Players p1 and p2 in match m1 on server s1, which is RUNNING if `ready`. Returns the fencing token."""
    await register(game)
    for number in (1, 2):
        await create(game, f"t{number}", f"p{number}", now=NOW + number)
    token = await lease(game)
    assert await claim(game, token, "m1", "t1", "t2") == ["ok"]
    assert (await game.call("server_attach", "m1", "s1", NOW + 200, "{}"))[0] == "ok"
    if ready:
        assert (await step(game, "m1", "ready", server="s1"))[0] == "ok"
    return token
