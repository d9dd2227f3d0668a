"""PURE: what so many players need, from what was measured: cores, memory, replicas, and which limit comes first.

Every figure of `Costs` is of docs/benchmarks.md, by the bench that is named beside it, on one core of the machine that
is named there. Costs are of four kinds:

- fixed: what a replica, a Redis and a registered game take while nobody is there (`..._base`, `..._game`);
- of a ticket, and of a wake-up: who comes while a service still works, or gathers, shares the wake-up of who came
  before (`_tickets`), so a ticket costs the less the more come;
- of a player, who looks around, sends heartbeats, holds a stream open, begins a session;
- of a match that runs, and of what it writes: by the batch, and a little by the interaction.

What follows is arithmetic: `need` is checked against a running Muster by bench/scale.py at two rates, as far as one
machine carries; beyond that it is an extrapolation, and says so.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

GB: Final = 1e9
BUSY: Final = 0.6  # of a core: more than that and waits grow
PODS_A_NODE: Final = 110  # kubelet's default
PODS_A_CLUSTER: Final = 150_000  # Kubernetes' own word for what it is tested with
BINDS_PER_S: Final = 50.0  # pods a second that the default scheduler places: bench/fleet.py
STREAMS_A_REPLICA: Final = 5_000  # bench/connections.py
SHARD_GB: Final = 8.0  # of one Redis, so that its snapshot and a restart take seconds
NEVER: Final = 10**15  # players; more than there will be
GATHER_S: Final = 0.03  # a process that was just woken takes with it who comes within this
LOG_SHARDS: Final = 16  # of a game's log: the most Redis nodes that one game's interactions spread over


@dataclass(frozen=True, slots=True)
class Load:
    """A moment of the evening. Who is connected plays, waits for a match, or looks around; all of them in turns."""

    players: int = 10_000  # connected
    per_match: int = 10
    match_s: float = 600.0
    wait_s: float = 20.0  # for a match
    lobby_s: float = 120.0  # between two matches
    actions_hz: float = 1.0  # interactions of a player in a match that are kept; a server sees many more inputs
    flush_hz: float = 30.0  # 1 / MUSTER_FLUSH_S: how often a match may write
    reads_s: float = 30.0  # between two looks at something by who does not play
    beat_s: float = 30.0  # between two heartbeats of who has no stream open; servers tell of their own players
    new_hour: float = 1.0  # sessions begun by a player in an hour
    games: int = 1  # registered; players spread over them evenly

    @property
    def cycle_s(self) -> float:
        return self.match_s + self.wait_s + self.lobby_s

    @property
    def playing(self) -> float:
        return self.players * self.match_s / self.cycle_s

    @property
    def outside(self) -> float:
        return self.players * (self.wait_s + self.lobby_s) / self.cycle_s

    @property
    def tickets_s(self) -> float:
        return self.players / self.cycle_s

    @property
    def matches(self) -> float:
        return self.playing / self.per_match

    @property
    def starts_s(self) -> float:
        return self.tickets_s / self.per_match

    @property
    def actions_s(self) -> float:
        return self.playing * self.actions_hz

    @property
    def batches_s(self) -> float:
        """Writes to the log: one for each action of a quiet match, one for each flush of a busy one."""
        return self.matches * min(self.flush_hz, self.per_match * self.actions_hz)


@dataclass(frozen=True, slots=True)
class Costs:
    """CPU seconds, or MB, of one of each; cores of what goes on. Without a bench's name: bench/scale.py."""

    webapi_base: float = 0.005  # cores of a replica while nobody is there
    webapi_wake: float = 6.0e-3
    webapi_ticket: float = 0.8e-3  # its stream included
    webapi_stream: float = 34e-6  # cores of one that is open: bench/connections.py
    webapi_read: float = 1 / 7_160  # bench/webapi.py
    webapi_beat: float = 1 / 9_170  # bench/presence.py
    webapi_login: float = 1 / 38.8  # bench/auth.py
    webapi_mb: float = 97.0
    stream_mb: float = 0.022  # bench/connections.py
    matchmaker_base: float = 0.018  # cores of a replica while nobody is there
    matchmaker_game: float = 0.003  # cores of a game that is registered, on the replica that works it
    matchmaker_wake: float = 5.0e-3
    matchmaker_ticket: float = 0.6e-3
    matchmaker_start: float = 9.5e-3  # a pod's start and end: bench/fleet.py
    matchmaker_match: float = 10e-6  # cores of one that runs: bench/fleet.py
    matchmaker_mb: float = 98.0
    server: float = 0.01  # cores of a game server that waits for its players' inputs
    server_player: float = 2.7e-3  # cores of a player at 60 Hz: bench/gamepod.py
    server_mb: float = 29.3  # bench/gamepod.py
    server_player_mb: float = 0.063
    redis_base: float = 0.006  # cores of a Redis while nobody is there
    redis_game: float = 0.002  # cores of a game that is registered
    redis_ticket: float = 1.0e-3  # on a cluster; in one Redis that is kept busy 0.4
    redis_beat: float = 4e-6  # bench/presence.py
    redis_batch: float = 85e-6  # bench/interactions.py, views and boards included
    redis_action: float = 0.45e-6  # bench/interactions.py
    player_mb: float = 15e-3  # views, boards, presence, account: bench/interactions.py, leaderboard.py, presence.py
    batch_mb: float = 200e-6  # of the log, beside what is in it
    action_mb: float = 52e-6  # bench/interactions.py


@dataclass(frozen=True, slots=True)
class Part:
    """What one part of the system needs; `count` of `unit`, each at most BUSY of a core where it has only one."""

    name: str
    cores: float
    memory_gb: float
    count: int
    unit: str


@dataclass(frozen=True, slots=True)
class Limit:
    """Something that ends: reached at so many `players` of this kind, and what moves it."""

    name: str
    players: int
    moved_by: str


@dataclass(frozen=True, slots=True)
class Least:
    """How many there are of each, even where fewer would do."""

    webapi: int = 2
    matchmaker: int = 2
    redis: int = 1


def need(
    load: Load, costs: Costs | None = None, *, log_batches: int = 50_000, least: Least | None = None
) -> list[Part]:
    """What each part needs under `load`. `log_batches` is MUSTER_LOG_BATCHES."""
    c, there = costs or Costs(), least or Least()
    streams = math.ceil(load.outside / STREAMS_A_REPLICA)
    replicas, webapi = _spread(lambda number: _webapi(load, c, number), c.webapi_base, max(there.webapi, streams))
    owners, matchmaker = _spread(lambda number: _matchmaker(load, c, number), c.matchmaker_base, there.matchmaker)
    servers = math.ceil(load.matches)
    redis = _redis(load, c)
    kept = min(LOG_SHARDS * log_batches, load.batches_s * load.match_s)
    an_action = load.actions_s / load.batches_s if load.batches_s else 0.0
    redis_gb = (load.players * c.player_mb + kept * (c.batch_mb + an_action * c.action_mb)) * 1e6 / GB
    shards = max(there.redis, _count(redis, c.redis_base), math.ceil(redis_gb / SHARD_GB))
    return [
        Part(
            "webapi",
            replicas * c.webapi_base + webapi,
            (replicas * c.webapi_mb + load.outside * c.stream_mb) * 1e6 / GB,
            replicas,
            "replicas",
        ),
        Part(
            "matchmaker",
            owners * c.matchmaker_base + matchmaker,
            owners * c.matchmaker_mb * 1e6 / GB,
            owners,
            "replicas",
        ),
        Part("Redis", shards * c.redis_base + redis, redis_gb, shards, "primaries"),
        Part(
            "game servers",
            servers * c.server + load.playing * c.server_player,
            (servers * c.server_mb + load.playing * c.server_player_mb) * 1e6 / GB,
            servers,
            "pods",
        ),
    ]


def _count(work: float, base: float) -> int:
    """How many it takes, each with its own `base`, for none to be busier than it may be."""
    return math.ceil(work / (BUSY - base))


def _spread(work: Callable[[int], float], base: float, least: int) -> tuple[int, float]:
    """How many it takes where so many have so much `work`, and how much: the more there are, the more are woken."""
    number = least
    while (more := _count(work(number), base)) > number:
        number = more
    return number, work(number)


def _tickets(load: Load, wake: float, ticket: float, processes: int) -> float:
    """Cores of tickets that spread evenly over `processes`.

    Who comes within GATHER_S of a wake-up has none of his own: of many a second, few wake anybody.
    """
    wakes_s = load.tickets_s / (1 + load.tickets_s / processes * GATHER_S)
    return wakes_s * wake + load.tickets_s * ticket


def _webapi(load: Load, c: Costs, replicas: int) -> float:
    """Cores beside the replicas' base."""
    return (
        _tickets(load, c.webapi_wake, c.webapi_ticket, replicas)
        + load.outside * c.webapi_stream
        + load.outside / load.reads_s * c.webapi_read
        + load.outside / load.beat_s * c.webapi_beat
        + load.players * load.new_hour / 3600 * c.webapi_login
    )


def _matchmaker(load: Load, c: Costs, replicas: int) -> float:
    """Cores beside the replicas' base."""
    return (
        load.games * c.matchmaker_game
        + _tickets(load, c.matchmaker_wake, c.matchmaker_ticket, replicas)
        + load.starts_s * c.matchmaker_start
        + load.matches * c.matchmaker_match
    )


def _redis(load: Load, c: Costs) -> float:
    """Cores beside the nodes' base."""
    return (
        load.games * c.redis_game
        + load.tickets_s * c.redis_ticket
        + load.outside / load.beat_s * c.redis_beat
        + _interactions(load, c)
    )


def _interactions(load: Load, c: Costs) -> float:
    return load.batches_s * c.redis_batch + load.actions_s * c.redis_action


def limits(load: Load, costs: Costs | None = None) -> list[Limit]:
    """What ends first as players become more, the nearest first; nothing that this load does not use.

    Of one game, whatever number of them `load` has.
    """
    c = costs or Costs()
    one = dataclasses.replace(load, games=1)
    found = [
        Limit(
            "one Redis is busy",
            _reach(one, BUSY, lambda it: c.redis_base + _redis(it, c)),
            "a Redis Cluster (a game's interactions spread over 16 slots' shards), a longer MUSTER_FLUSH_S",
        ),
        Limit(
            "the default scheduler of one Kubernetes cluster places no more pods a second",
            _reach(one, BINDS_PER_S, lambda it: it.starts_s),
            "longer matches, warm pools before the rush, a second cluster with a matchmaker of its own",
        ),
        Limit(
            "one Kubernetes cluster holds no more pods",
            _reach(one, PODS_A_CLUSTER, lambda it: it.matches),
            "more players a match, a second cluster with a matchmaker of its own",
        ),
        Limit(
            "one game's queue keeps its owner busy: a queue has one owner at a time",
            _reach(one, BUSY, lambda it: c.matchmaker_base + _matchmaker(it, c, 1)),
            "regions or modes as games of their own",
        ),
        Limit(
            "the shards of one game's interactions are busy",
            _reach(one, LOG_SHARDS * BUSY, lambda it: LOG_SHARDS * c.redis_base + _interactions(it, c)),
            "a longer MUSTER_FLUSH_S, regions as games of their own",
        ),
        Limit(
            "one replica of webapi holds no more open streams",
            _reach(one, STREAMS_A_REPLICA, lambda it: it.outside),
            "replicas: the chart's autoscaler adds them",
        ),
    ]
    return sorted((it for it in found if it.players < NEVER), key=lambda limit: limit.players)


def _reach(load: Load, there_is: float, use: Callable[[Load], float]) -> int:
    """The most players of this kind who use no more than there is; NEVER where so many do not. `use` never falls."""
    fits, too_many = 0, 1
    while use(dataclasses.replace(load, players=too_many)) <= there_is:
        fits, too_many = too_many, 2 * too_many
        if fits >= NEVER:
            return NEVER
    while too_many - fits > 1:
        half = (fits + too_many) // 2
        if use(dataclasses.replace(load, players=half)) <= there_is:
            fits = half
        else:
            too_many = half
    return fits


def hourly(parts: list[Part], *, core: float, memory_gb: float) -> float:
    """Price of an hour, from the price of a core's and a gigabyte's hour; cores are bought at BUSY of their use."""
    return sum(part.cores / BUSY * core + part.memory_gb * memory_gb for part in parts)
