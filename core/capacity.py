"""PURE: what so many players need, from what was measured: cores, memory, replicas, and which limit comes first.

Every figure of `Costs` is of docs/benchmarks.md, by the bench that is named beside it, at a steady rate (a flood costs
less each), on one core of the machine that is named there. What follows is arithmetic: `need` is checked against a
running Muster by bench/scale.py, up to what one machine carries; beyond that it is an extrapolation, and says so.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

GB: Final = 1e9
BUSY: Final = 0.6  # of a core: more than that and waits grow
PODS_A_NODE: Final = 110  # kubelet's default
PODS_A_CLUSTER: Final = 150_000  # Kubernetes' own word for what it is tested with
BINDS_PER_S: Final = 50.0  # pods a second that the default scheduler places: bench/fleet.py
STREAMS_A_REPLICA: Final = 5_000  # bench/connections.py
SHARD_GB: Final = 8.0  # of one Redis, so that its snapshot and a restart take seconds
NEVER: Final = 1e15  # players; more than there will be
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
    """CPU seconds, or MB, of one of each."""

    webapi_ticket: float = 1.078e-3  # bench/matchmaking.py, at 500 a second, its stream included
    webapi_stream: float = 34e-6  # cores of one that is open: bench/connections.py
    webapi_read: float = 1 / 7_160  # bench/webapi.py
    webapi_beat: float = 1 / 9_170  # bench/presence.py
    webapi_login: float = 1 / 38.8  # bench/auth.py
    webapi_mb: float = 97.0
    stream_mb: float = 0.022  # bench/connections.py
    matchmaker_ticket: float = 0.673e-3  # bench/matchmaking.py
    matchmaker_start: float = 9.5e-3  # a pod's start and end: bench/fleet.py
    matchmaker_match: float = 10e-6  # cores of one that runs: bench/fleet.py
    matchmaker_mb: float = 98.0
    server: float = 0.01  # cores of a game server that waits for its players' inputs
    server_player: float = 2.7e-3  # cores of a player at 60 Hz: bench/gamepod.py
    server_mb: float = 29.3  # bench/gamepod.py
    server_player_mb: float = 0.063
    redis_ticket: float = 0.405e-3  # bench/matchmaking.py
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
    players: float
    moved_by: str


def need(load: Load, costs: Costs | None = None, *, log_batches: int = 50_000) -> list[Part]:
    """What each part needs under `load`. `log_batches` is MUSTER_LOG_BATCHES."""
    c = costs or Costs()
    reads_s, beats_s = load.outside / load.reads_s, load.outside / load.beat_s
    webapi = (
        load.tickets_s * c.webapi_ticket
        + load.outside * c.webapi_stream
        + reads_s * c.webapi_read
        + beats_s * c.webapi_beat
        + load.players * load.new_hour / 3600 * c.webapi_login
    )
    replicas = max(2, math.ceil(webapi / BUSY), math.ceil(load.outside / STREAMS_A_REPLICA))
    matchmaker = _matchmaker(load, c)
    owners = max(2, math.ceil(matchmaker / BUSY))
    servers = math.ceil(load.matches)
    redis = load.tickets_s * c.redis_ticket + beats_s * c.redis_beat + _interactions(load, c)
    kept = min(LOG_SHARDS * log_batches, load.batches_s * load.match_s)
    an_action = load.actions_s / load.batches_s if load.batches_s else 0.0
    redis_gb = (load.players * c.player_mb + kept * (c.batch_mb + an_action * c.action_mb)) * 1e6 / GB
    shards = max(1, math.ceil(redis / BUSY), math.ceil(redis_gb / SHARD_GB))
    return [
        Part("webapi", webapi, (replicas * c.webapi_mb + load.outside * c.stream_mb) * 1e6 / GB, replicas, "replicas"),
        Part("matchmaker", matchmaker, owners * c.matchmaker_mb * 1e6 / GB, owners, "replicas"),
        Part("Redis", redis, redis_gb, shards, "primaries"),
        Part(
            "game servers",
            servers * c.server + load.playing * c.server_player,
            (servers * c.server_mb + load.playing * c.server_player_mb) * 1e6 / GB,
            servers,
            "pods",
        ),
    ]


def _matchmaker(load: Load, c: Costs) -> float:
    return load.tickets_s * c.matchmaker_ticket + load.starts_s * c.matchmaker_start + load.matches * c.matchmaker_match


def _interactions(load: Load, c: Costs) -> float:
    return load.batches_s * c.redis_batch + load.actions_s * c.redis_action


def limits(load: Load, costs: Costs | None = None) -> list[Limit]:
    """What ends first as players become more, the nearest first; nothing that this load does not use.

    All grow in proportion, so each is one division.
    """
    c = costs or Costs()
    redis = _interactions(load, c) + load.tickets_s * c.redis_ticket
    found = [
        Limit(
            "one Redis is busy",
            _reach(load, BUSY, redis),
            "a Redis Cluster (a game's interactions spread over 16 slots' shards), a longer MUSTER_FLUSH_S",
        ),
        Limit(
            "the default scheduler of one Kubernetes cluster places no more pods a second",
            _reach(load, BINDS_PER_S, load.starts_s),
            "longer matches, warm pools before the rush, a second cluster with a matchmaker of its own",
        ),
        Limit(
            "one Kubernetes cluster holds no more pods",
            _reach(load, PODS_A_CLUSTER, load.matches),
            "more players a match, a second cluster with a matchmaker of its own",
        ),
        Limit(
            "one game's queue keeps its owner busy: a queue has one owner at a time",
            _reach(load, BUSY, _matchmaker(load, c)),
            "regions or modes as games of their own; above some hundred tickets a second each costs a fourth",
        ),
        Limit(
            "the shards of one game's interactions are busy",
            _reach(load, LOG_SHARDS * BUSY, _interactions(load, c)),
            "a longer MUSTER_FLUSH_S, regions as games of their own",
        ),
        Limit(
            "one replica of webapi holds no more open streams",
            _reach(load, STREAMS_A_REPLICA, load.outside),
            "replicas: the chart's autoscaler adds them",
        ),
    ]
    return sorted((it for it in found if it.players < NEVER), key=lambda limit: limit.players)


def _reach(load: Load, there_is: float, used: float) -> float:
    """How many players of this kind use up what there is."""
    return load.players * there_is / used if used > 0 else NEVER


def hourly(parts: list[Part], *, core: float, memory_gb: float) -> float:
    """Price of an hour, from the price of a core's and a gigabyte's hour; cores are bought at BUSY of their use."""
    return sum(part.cores / BUSY * core + part.memory_gb * memory_gb for part in parts)
