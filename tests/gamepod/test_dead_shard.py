"""One node of a real cluster dies or freezes: whoever is on the others notices nothing, and it catches up."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from redis import Redis
from redis.crc import key_slot
from redis.exceptions import RedisError

from core import keys
from core.clock import now_ms
from core.interactions import Move, unpack
from core.redis.embedded import EmbeddedRedis
from core.redis.lean import LeanRedis
from gamepod.flush import Flusher
from gamepod.settings import Settings
from tests.redis.backends import NODES, SLOTS, cluster_nodes
from tests.support import eventually

pytestmark = pytest.mark.slow

GAME = "tanks"
PLAYERS = [f"p-{number}" for number in range(48)]
Look = Callable[[], Awaitable[bool]]


def node_of(base: str) -> int:
    """Which of the nodes has the keys of `base`, as `backends` shares the slots out."""
    slot = key_slot(base.encode())
    return next(n for n in range(NODES) if SLOTS * n // NODES <= slot < SLOTS * (n + 1) // NODES)


def match_on(node: int) -> str:
    """A match whose log is on this node."""
    return next(match for i in range(99) if node_of(keys.shard(GAME, match := f"m-{i}")) == node)


def end(node: EmbeddedRedis) -> None:
    node.kill()


def freeze(node: EmbeddedRedis) -> None:
    assert node.process is not None
    node.process.send_signal(signal.SIGSTOP)


def relieve(node: EmbeddedRedis) -> None:
    if node.process is None:
        node.start()
    else:
        node.process.send_signal(signal.SIGCONT)


class Scene:
    """A match that writes to the cluster, and what can be seen of it on each node."""

    def __init__(self, nodes: list[EmbeddedRedis], match: str) -> None:
        self.nodes, self.match, self.rounds, self.made = nodes, match, 0, 0
        self.redis = LeanRedis(f"redis+cluster://127.0.0.1:{nodes[0].port}")
        settings = Settings(game=GAME, match=match, join_key="k", flush_s=0.01, views_s=0.02, boards_s=0.05)
        self.task: asyncio.Task[None] | None = None
        self.flusher = Flusher(self.redis, settings, move_ttl_s=60, near=True)

    def round(self) -> None:
        """Everybody moves, to a latitude that is the number of the round."""
        self.rounds += 1
        moves = [
            Move(f"{self.match}-{self.made + i}", now_ms() + self.rounds, player, self.rounds, 2.0)
            for i, player in enumerate(PLAYERS, 1)
        ]
        self.made += len(moves)
        self.flusher.add(moves)

    def shown(self, but: int | None = None) -> Look:
        """Whether every view shows the last round; those on the node `but` are not looked at."""
        return self._looks(lambda redis, name: redis.hget(name, "lat") == f"{self.rounds:.1f}", but)

    def _looks(self, right: Callable[[Redis, str], bool], but: int | None) -> Look:
        async def look() -> bool:
            if self.task is not None and self.task.done():
                self.task.result()  # what it came to grief over
            for number, node in enumerate(self.nodes):
                bases = [(keys.shard(GAME, player), player) for player in PLAYERS]
                mine = [f"{base}:move:{player}" for base, player in bases if node_of(base) == number]
                assert mine
                if number != but:
                    try:
                        with Redis(port=node.port, decode_responses=True) as redis:
                            if not all(right(redis, name) for name in mine):
                                return False
                    except RedisError:  # back, and not yet sure of the others
                        return False
            return True

        return look

    async def counted(self) -> bool:
        """Whether the board counts every round once."""
        try:
            with Redis(port=self.nodes[node_of(keys.boards(GAME))].port, decode_responses=True) as redis:
                board = redis.zrange(f"{keys.boards(GAME)}:activity", 0, -1, withscores=True)
        except RedisError:
            return False
        return {row[0]: row[1] for row in board} == dict.fromkeys(PLAYERS, self.rounds)

    def logged(self) -> list[str]:
        """The ids in the log."""
        with Redis(port=self.nodes[node_of(keys.shard(GAME, self.match))].port, decode_responses=True) as redis:
            rows = redis.xrange(f"{keys.shard(GAME, self.match)}:log")
        return [one.id for _, fields in rows for one in unpack(fields["data"])]


@pytest.mark.parametrize(
    ("trouble", "dead", "log"),
    [(end, 1, 0), (freeze, 1, 0), (end, 0, 1), (end, 2, 0), (freeze, 2, 1)],
    ids=["killed", "frozen", "the-first-killed", "boards-killed", "boards-frozen"],
)
async def test_the_other_shards_go_on(
    tmp_path: Path, trouble: Callable[[EmbeddedRedis], None], dead: int, log: int
) -> None:
    """Log, views and boards of the nodes that live are written on; the dead one's views follow once it is back."""
    boards_live = node_of(keys.boards(GAME)) != dead
    with cluster_nodes(tmp_path, "--cluster-require-full-coverage", "no") as nodes:
        scene = Scene(nodes, match_on(log))
        task = scene.task = asyncio.create_task(scene.flusher.run())
        scene.round()
        await eventually(scene.shown())
        await eventually(scene.counted)
        trouble(nodes[dead])
        for _ in range(5):
            scene.round()
            await eventually(scene.shown(but=dead))
        assert scene.flusher.stats.away_since_s is not None
        assert len(scene.logged()) == scene.made
        if boards_live:
            await eventually(scene.counted)
        relieve(nodes[dead])
        await eventually(scene.shown())
        await eventually(scene.counted)
        scene.flusher.close()
        await task
        assert scene.flusher.stats.away_since_s is None
        assert sorted(scene.logged()) == sorted(f"{scene.match}-{n}" for n in range(1, scene.made + 1))
        scene.redis.close()
