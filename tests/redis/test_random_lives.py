"""Whatever happens in whatever order: no ticket is lost, none is in two live matches, and no player waits twice."""

from __future__ import annotations

import json
import random
from dataclasses import dataclass, field
from typing import Any

import pytest

from core.lifecycle import LIVE_MATCH, OPEN_TICKET, WAITING_TICKET
from tests.redis.conftest import Game
from tests.redis.steps import NOW, create, lease, register

STEPS = 150
PLAYERS = 8
IN_A_MATCH = {"REQUIRES_ACCEPTANCE", "PLACING"}


@dataclass
class World:
    """What was made so far, and how often each thing happened. `chance` decides what happens next."""

    game: Game
    chance: random.Random
    token: int
    now: int = NOW
    tickets: dict[str, list[str]] = field(default_factory=dict)  # their players
    matches: list[str] = field(default_factory=list)
    happened: set[str] = field(default_factory=set)

    async def happen(self) -> str:
        """One event of any kind, for any ticket or match, whatever its state."""
        self.now += self.chance.randrange(2000)
        kinds = (self.queue, self.queue, self.queue, self.claim, self.claim, self.accept, self.accept, self.accept,
                 self.accept, self.end, self.serve, self.serve, self.fail)  # fmt: skip
        return await self.chance.choice(kinds)()

    async def queue(self) -> str:
        name = f"t{len(self.tickets)}"
        players = self.chance.sample([f"p{i}" for i in range(PLAYERS)], self.chance.choice((1, 1, 2)))
        if (reply := await create(self.game, name, *players, now=self.now))[0] == "ok":
            self.tickets[name] = players
        return f"queue {name} {players}: {reply}"

    async def claim(self) -> str:
        """Mostly of tickets that wait, as a matchmaker does; sometimes of any, as one whose mirror is old."""
        pool = list(self.tickets) if self.chance.random() < 0.2 else list(await self.game.scores("queue"))
        names = self.chance.sample(pool, min(len(pool), self.chance.choice((2, 2, 3))))
        if not names:
            return "nobody waits"
        match = f"m{len(self.matches)}"
        players = [{"id": player, "ticket": name} for name in names for player in self.tickets[name]]
        ask_s = self.chance.choice((None, 30, 30))
        document = json.dumps({"id": match, "players": players, "acceptance_timeout_s": ask_s})
        reply = await self.game.call(
            "match_claim", self.token, self.now, self.now + 1, 99, match, document, *names
        )  # fmt: skip
        if reply == ["ok"]:
            self.matches.append(match)
        return f"claim {match} {names} {ask_s}: {reply}"

    async def accept(self) -> str:
        if not (name := await self._ticket()):
            return "nobody"
        player = self.chance.choice(self.tickets[name])
        return f"accept {name} {player}: {await self.game.call('ticket_accept', name, player, self.now, '')}"

    async def end(self) -> str:
        if not (name := await self._ticket()):
            return "nobody"
        event = self.chance.choice(("cancelled", "rejected", "rejected", "timed_out", "vanished", "unfit"))
        args = self.now if event == "vanished" else ""
        return f"{event} {name}: {await self.game.call('ticket_end', name, event, self.now, event, args, '')}"

    async def serve(self) -> str:
        """A server attaches, or says that it is ready, or that the match is over."""
        match = self._match()
        event = self.chance.choice(("ready", "ready", "finish"))
        first = await self.game.call("server_attach", match, f"s{match}", self.now, "{}")
        args = (match, event, self.now, f"s{match}", "finished", "{}", self.now, 3)
        return f"{event} {match}: {first[0]}, {await self.game.call('match_step', *args)}"

    async def fail(self) -> str:
        """The control plane judges by what it read a while ago."""
        match, state = self._match(), self.chance.choice(("REQUIRES_ACCEPTANCE", "PLACING", "RUNNING"))
        beat = (await self.game.hash(f"match:{match}")).get("beat_ms", "")
        args: tuple[Any, ...] = (match, "fail", self.now, "", "why", "", 0, 3, self.token, state, beat)
        return f"fail {match} as {state}: {await self.game.call('match_step', *args)}"

    async def _ticket(self) -> str:
        """Mostly an open one."""
        pool = list(self.tickets) if self.chance.random() < 0.2 else list((await self.game.hash("open")).values())
        return self.chance.choice(pool or [""])

    def _match(self) -> str:
        return self.chance.choice(self.matches[-4:] or ["m-none"])


async def check(world: World) -> None:
    """The invariants, as they stand in Redis."""
    game = world.game
    queue, live = set(await game.scores("queue")), set(await game.scores("live"))
    states = {name: (await game.hash(f"ticket:{name}")) for name in world.tickets}
    world.happened.update(ticket["state"] for ticket in states.values())
    of: dict[str, str] = {}
    for match in world.matches:
        found = await game.hash(f"match:{match}")
        assert (match in live) == (found["state"] in LIVE_MATCH), match
        if match not in live:
            continue
        for seat in json.loads(found["doc"])["players"]:
            assert of.setdefault(seat["ticket"], match) == match, "in two live matches"
        wanted = {"RUNNING": "COMPLETED"}.get(found["state"], found["state"])
        for ticket in {seat["ticket"] for seat in json.loads(found["doc"])["players"]}:
            assert (states[ticket]["state"], states[ticket]["match"]) == (wanted, match)
    for name, ticket in states.items():
        assert (name in queue) == (ticket["state"] in WAITING_TICKET), name
        assert ticket["state"] not in IN_A_MATCH or name in of, f"{name} is lost"
    assert queue == set(await game.scores("alive"))
    opened = [(player, name) for name, players in world.tickets.items() for player in players
              if states[name]["state"] in OPEN_TICKET]  # fmt: skip
    assert await game.hash("open") == dict(opened)
    assert len(opened) == len(dict(opened)), "a player waits twice"


@pytest.mark.parametrize("seed", [0, 2, 3, 4])  # each of these sees every state that is asked for below
async def test_random_lives(game: Game, seed: int) -> None:
    """After each of many random events, claims, answers and verdicts among them, the invariants hold."""
    await register(game, limits={"cancels": 1000})
    world = World(game, random.Random(seed), await lease(game))
    history = []
    for _ in range(STEPS):
        history.append(await world.happen())
        try:
            await check(world)
        except AssertionError as error:
            raise AssertionError("\n".join([*history[-20:], str(error)])) from error  # what led to it
    assert world.happened >= {"SEARCHING", "REQUIRES_ACCEPTANCE", "PLACING", "COMPLETED", "CANCELLED"}
