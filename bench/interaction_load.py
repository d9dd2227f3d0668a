"""Load of bench/interactions.py: processes that are game servers but for the game, and one that reads what they do.

A server's matches are written by the code of gamepod (`Flusher`, `LeanRedis`, a connection each). Made up is the
game: per tick and player a `Move`, an `Attack` or an `Action`, as the arena makes them, and each player's state.
`python -m bench.interaction_load <JSON of Plan>` runs one and prints what it measured as JSON.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
import time
from dataclasses import asdict, dataclass, field
from itertools import chain, islice, repeat
from typing import Any, Literal

import uvloop
from redis.asyncio import Redis

from core import keys
from core.api import connect
from core.clock import iso, now_ms
from core.interactions import Action, Attack, Interaction, Move, actor, numbered
from core.redis.lean import LeanRedis
from core.serve import calm_collector
from gamepod.flush import Flusher
from gamepod.settings import Settings

TICK_HZ = 60
ATTACK_EVERY = 10  # interactions of a player: the tenth is an attack, one in a hundred an action, the others are moves
TARGET_TICKS = 60  # a player attacks another for a second, then somebody else
CATCH_UP = 6  # late ticks played in one turn
FLAT_OUT = 2_000  # interactions that wait in a match that is written as fast as Redis takes them
FLAT_TICKS = 20  # made in one turn: a batch of 100 players, then
PLAIN_PIPELINE = 1_000  # commands in a pipeline of the plain way


@dataclass
class Plan:
    """What one process does. Times are of time.monotonic(), which all processes of a machine share."""

    mode: Literal["write", "plain", "read"]
    url: str
    game: str
    matches: list[str] = field(default_factory=list)
    players: int = 100  # in each match
    paced: bool = True  # a tick each 1/60 s; else as fast as it goes
    begin_s: float = 0.0  # of what is measured; before it everything warms up
    end_s: float = 0.0
    journal: str = ""  # file that is told of acknowledged interactions; '' for none
    reads_hz: float = 50.0


class Crowd:
    """The players of one match."""

    def __init__(self, match: str, players: int) -> None:
        self.match = match
        self.players = [f"p-{match[2:]}-{i:03}" for i in range(players)]
        self._lats = [48.85 + i / 9973 for i in range(players)]
        self._lons = [2.29 + i / 7919 for i in range(players)]
        self.ticks = 0
        self.made_s = 0.0  # CPU of making up what they do
        self._ids = numbered(match)

    def play(self, ticks: int, at_ms: int) -> list[Interaction]:
        """What everybody does in some ticks."""
        start_s = time.thread_time()
        made = list(chain.from_iterable([self.tick(at_ms) for _ in range(ticks)]))
        self.made_s += time.thread_time() - start_s
        return made

    def tick(self, at_ms: int) -> list[Interaction]:
        """What everybody does in one tick."""
        self.ticks += 1
        players, tick = self.players, self.ticks
        shift, ahead = tick / 1e6, 1 + tick // TARGET_TICKS % (len(players) - 1)
        ids = list(islice(self._ids, len(players)))
        lats, lons = [lat + shift for lat in self._lats], [lon - shift for lon in self._lons]
        made: list[Interaction] = list(map(Move, ids, repeat(at_ms), players, lats, lons))
        some = slice(-tick % ATTACK_EVERY, None, ATTACK_EVERY)
        targets = players[-ahead:] + players[:-ahead]
        made[some] = map(Attack, ids[some], repeat(at_ms), players[some], targets[some], repeat(12.5))
        for i in range(-tick % 100, len(players), 100):
            made[i] = Action(ids[i], at_ms, players[i], "emote")
        return made

    def states(self) -> dict[str, dict[str, Any]]:
        """Everybody's state, with the fields of the arena's."""
        tick = self.ticks
        return {
            player: {
                "hit_points": 100.0 - (i + tick) % 90,
                "mana": (tick / 7 + i) % 100,
                "stamina": (tick / 3 + i) % 100,
                "interaction": "move",
                "damage_dealt": tick * 1.25,
                "target": self.players[i - 1],
                "lat": 48.85 + i / 9973 + tick / 1e6,
                "lon": 2.29 + i / 7919 - tick / 1e6,
                "last_actions": ["move", "attack:" + self.players[i - 1], "move"],
                "score": tick // 60,
                "kills": tick // 600,
                "deaths": tick // 900,
            }
            for i, player in enumerate(self.players)
        }


class Writer:
    """One match and its flusher."""

    def __init__(self, plan: Plan, match: str) -> None:
        self.crowd = Crowd(match, plan.players)
        self.redis = LeanRedis(plan.url)
        kept = {"log_batches": int(os.environ["MUSTER_LOG_BATCHES"])} if "MUSTER_LOG_BATCHES" in os.environ else {}
        settings = Settings(game=plan.game, match=match, join_key="bench", redis_url=plan.url, **kept)
        self.flusher = Flusher(self.redis, settings, move_ttl_s=30)
        self.states_s = settings.views_s  # the arena tells its flusher states so often
        self._paced = plan.paced

    async def play(self, start_s: float, over: asyncio.Event) -> None:
        """Ticks from `start_s` until it is `over`; those that are late are caught up with."""
        due_s, states_s = start_s, start_s
        while not over.is_set():
            now_s = time.monotonic()
            if self._paced:
                # A piece at a time: whoever is far behind must not keep the flushers from writing.
                for _ in range(CATCH_UP):
                    if due_s > now_s:
                        break
                    self.flusher.add(self.crowd.play(1, now_ms()))
                    due_s += 1 / TICK_HZ
            elif self.flusher.backlog.interactions < FLAT_OUT:
                self.flusher.add(self.crowd.play(FLAT_TICKS, now_ms()))
            else:
                due_s = now_s + 0.005
            if now_s >= states_s:
                states_s = now_s + self.states_s
                self.flusher.add_states(self.crowd.states())
            await asyncio.sleep(max(0.0, due_s - time.monotonic()))


async def write(plan: Plan) -> dict[str, Any]:
    """Play all matches; what was acknowledged between `begin_s` and `end_s`, and what it cost this process.

    SIGTERM is an earlier end.
    """
    over = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, over.set)
    writers = [Writer(plan, match) for match in plan.matches]
    flushing = [asyncio.create_task(writer.flusher.run()) for writer in writers]
    start_s = time.monotonic()
    # Matches do not begin in the same millisecond.
    share_s = 0.5 / max(1, len(writers))
    playing = [asyncio.create_task(w.play(start_s + i * share_s, over)) for i, w in enumerate(writers)]
    telling = asyncio.create_task(_tell(plan.journal, writers)) if plan.journal else None
    before = await _at(plan.begin_s, over, writers)
    after = await _at(plan.end_s, over, writers)
    over.set()
    await asyncio.gather(*playing)
    for writer in writers:
        writer.flusher.close()
    await asyncio.gather(*flushing)
    if telling is not None:
        telling.cancel()
        _journal(plan.journal, writers)
    for writer in writers:
        writer.redis.close()
    return {
        "wall_s": after["at_s"] - before["at_s"],
        "cpu_s": after["cpu_s"] - before["cpu_s"],
        "made_s": after["made_s"] - before["made_s"],
        "written": after["written"] - before["written"],
        "acks": [b - a for a, b in zip(before["acks"], after["acks"], strict=True)],
        "accepted_in_all": sum(w.flusher.backlog.accepted for w in writers),
        "written_in_all": sum(w.flusher.stats.written for w in writers),
        "dropped": sum(w.flusher.backlog.dropped for w in writers),
        "failures": sum(w.flusher.stats.failures for w in writers),
    }


async def _at(when_s: float, over: asyncio.Event, writers: list[Writer]) -> dict[str, Any]:
    try:
        async with asyncio.timeout(max(0.0, when_s - time.monotonic())):
            await over.wait()
    except TimeoutError:
        pass
    stats = [writer.flusher.stats for writer in writers]
    acks = [sum(column) for column in zip(*(one.acks for one in stats), strict=True)]
    written = sum(one.written for one in stats)
    made_s = sum(writer.crowd.made_s for writer in writers)
    return {
        "at_s": time.monotonic(), "cpu_s": time.process_time(), "made_s": made_s, "written": written, "acks": acks,
    }  # fmt: skip


async def _tell(path: str, writers: list[Writer]) -> None:
    """Keep the journal: after a kill it says what had been acknowledged, and nothing more."""
    while True:
        _journal(path, writers)
        await asyncio.sleep(0.005)


def _journal(path: str, writers: list[Writer]) -> None:
    lines = [
        json.dumps([w.crowd.match, w.flusher.stats.written, w.flusher.backlog.accepted, now_ms()]) for w in writers
    ]
    with open(path, "a") as file:
        file.write("\n".join(lines) + "\n")


async def plain(plan: Plan) -> dict[str, Any]:
    """The same interactions with a hash and a sorted-set member each, in pipelines, by redis-py on this event loop."""
    crowds = [Crowd(match, plan.players) for match in plan.matches]
    client = Redis.from_url(plan.url)
    board = f"{keys.boards(plan.game)}:plain"
    pipe, done, before = client.pipeline(transaction=False), 0, (0.0, 0.0, 0, 0.0)
    while (now_s := time.monotonic()) < plan.end_s:
        if not before[0] and now_s >= plan.begin_s:
            before = (now_s, time.process_time(), done, sum(crowd.made_s for crowd in crowds))
        for crowd in crowds:
            for one in crowd.play(1, now_ms()):
                base, at = keys.shard(plan.game, actor(one)), iso(one.at_ms)
                if isinstance(one, Move):
                    fields = {"id": one.id, "lat": one.lat, "lon": one.lon, "at": at}
                    pipe.hset(f"{base}:move:{one.player}", mapping=fields)
                elif isinstance(one, Attack):
                    fields = {"id": one.id, "damage": one.damage, "at": at}
                    pipe.hset(f"{base}:attack:{one.attacker}:{one.target}", mapping=fields)
                else:
                    pipe.hset(f"{base}:action:{one.player}", mapping={"id": one.id, "what": one.what, "at": at})
                pipe.zadd(board, {one.id: one.at_ms})
                done += 1
            if len(pipe) >= PLAIN_PIPELINE:
                await pipe.execute()
    await pipe.execute()
    await client.aclose()
    return {
        "wall_s": time.monotonic() - before[0],
        "cpu_s": time.process_time() - before[1],
        "made_s": sum(crowd.made_s for crowd in crowds) - before[3],
        "written": done - before[2],
    }


async def read(plan: Plan) -> dict[str, Any]:
    """Ask for the first hundred of the board and for a player's hash in turn, at a steady pace; ms each took."""
    took: dict[str, list[float]] = {"top 100": [], "player hash": []}
    found = {"top 100": 0, "player hash": 0}
    late: list[float] = []
    players = [player for match in plan.matches for player in Crowd(match, plan.players).players]
    async with connect(plan.url, game=plan.game) as muster:
        due_s, number = time.monotonic(), 0
        while due_s < plan.end_s:
            due_s += 1 / plan.reads_hz
            await asyncio.sleep(max(0.0, due_s - time.monotonic()))
            late_ms = max(0.0, time.monotonic() - due_s) * 1000
            due_s = max(due_s, time.monotonic() - 1 / plan.reads_hz)  # what was missed is not asked at once
            number += 1
            kind = "top 100" if number % 2 else "player hash"
            start_s = time.perf_counter()
            if number % 2:
                answer: Any = await muster.get_leaderboard(top=100)
            else:
                answer = await muster.read(f"player:{players[number * 7919 % len(players)]}")
            if start_s and time.monotonic() >= plan.begin_s:
                took[kind].append(round((time.perf_counter() - start_s) * 1000, 2))
                found[kind] += bool(answer)
                late.append(round(late_ms, 2))
    return {"took": took, "found": found, "late": late}


def main() -> None:
    """Run the plan in the first argument."""
    plan = Plan(**json.loads(sys.argv[1]))
    calm_collector()
    made = uvloop.run({"write": write, "plain": plain, "read": read}[plan.mode](plan))
    print(json.dumps(made), flush=True)


def argv(plan: Plan) -> list[str]:
    """The command of a process that runs `plan`."""
    return [sys.executable, "-m", "bench.interaction_load", json.dumps(asdict(plan))]


if __name__ == "__main__":
    main()
