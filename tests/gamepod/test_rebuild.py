"""The log is the truth: views and counts that were wiped come back from it byte for byte, on one node and on three."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from redis import Redis

from bench.interaction_load import Crowd
from core import keys
from core.clock import now_ms
from core.interactions import Action, Columns, Move, pack
from core.leaderboard import BUCKET_S, bucket_of, slot_of
from core.redis.client import Database
from core.redis.lean import LeanRedis
from core.redis.rebuild import Rebuilt, _Work, rebuild
from gamepod.flush import Flusher
from gamepod.settings import Settings
from tests.redis.backends import cluster
from tests.support import patient_database

GAME = "crowd"
MATCHES = 12
ROOT = Path(__file__).parents[2]
VIEWS = ("attack", "move", "player")
TTL_MS = 15_000  # a view's time to live begins when it is written, a rebuilt one's when Redis took in its batch
KINDS = ("attack:*", "move:*", "player:*", "activity", "counts:*", "buckets")


@pytest.fixture(scope="module", params=["valkey", "cluster"])
def url(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """One node, then a cluster of three."""
    if request.param == "valkey":
        yield request.getfixturevalue("valkey").url
        return
    with cluster(tmp_path_factory.mktemp("cluster")) as made:
        yield made


@pytest.fixture
async def data(url: str) -> AsyncIterator[Database]:
    async with patient_database(url) as database:
        await database.do("FLUSHALL")
        yield database


def nodes(url: str) -> list[Redis]:
    """A client to each primary."""
    home = Redis.from_url(url.replace("redis+cluster", "redis"), decode_responses=True)
    if "cluster" not in url:
        return [home]
    ports = [int(address.partition("@")[0].rpartition(":")[2]) for address in home.execute_command("CLUSTER NODES")]
    home.close()
    return [Redis(port=port, decode_responses=True) for port in ports]


def game_keys(client: Redis) -> list[str]:
    return [key for kind in KINDS for key in client.scan_iter(f"muster:{{{GAME}.*}}:{kind}", count=1000)]


def dump(url: str) -> tuple[dict[str, Any], dict[str, int]]:
    """What the views and the activity board hold, and the UTC ms at which they end, -1 for never."""
    found: dict[str, Any] = {}
    ends: dict[str, int] = {}
    for client in nodes(url):
        for key in game_keys(client):
            is_hash = ":buckets" not in key and ":activity" not in key
            found[key] = client.hgetall(key) if is_hash else sorted(client.zrange(key, 0, -1, withscores=True))
            ends[key] = client.pexpiretime(key)
        client.close()
    return found, ends


def wipe(url: str) -> None:
    for client in nodes(url):
        for key in game_keys(client):
            client.delete(key)
        client.close()


async def play(url: str, *, matches: int = MATCHES, ticks: int = 30) -> int:
    """A second of several matches by gamepod's own code; returns the interactions."""

    async def one(match: str) -> int:
        crowd, redis = Crowd(match, 20), LeanRedis(url)
        settings = Settings(game=GAME, match=match, join_key="k", flush_s=0.02, views_s=0.05, boards_s=0.1)
        flusher = Flusher(redis, settings, move_ttl_s=30)
        task = asyncio.create_task(flusher.run())
        for tick in range(ticks):
            flusher.add(crowd.tick(now_ms()))
            if tick % 5 == 0:
                flusher.add_states(crowd.states())
            await asyncio.sleep(0.01)
        flusher.close()
        await task
        redis.close()
        return flusher.stats.written

    return sum(await asyncio.gather(*(one(f"m-{number}") for number in range(matches))))


async def quiet_rebuild(db: Database, monkeypatch: pytest.MonkeyPatch) -> Rebuilt:
    """As `muster rebuild` a few seconds after the last batch."""
    monkeypatch.setattr("core.redis.rebuild.QUIET_S", 0.0)
    await asyncio.sleep(0.01)
    return await rebuild(db, GAME)


async def test_what_was_wiped_comes_back_byte_for_byte(
    url: str, data: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After a load every attack, position, player hash and count is rebuilt as it was, with the time it had left."""
    written = await play(url)
    before, ends_before = dump(url)
    assert {key.split(":")[2] for key in before} == {"attack", "move", "player", "activity", "buckets", "counts"}
    wipe(url)
    assert dump(url) == ({}, {})
    done = await quiet_rebuild(data, monkeypatch)
    after, ends_after = dump(url)
    assert after == before
    for key, end in ends_before.items():
        assert (ends_after[key] > 0) == (end > 0)
        assert abs(ends_after[key] - end) < TTL_MS
    assert (done.interactions, done.broken, done.left) == (written, 0, 0)
    assert done.views >= sum(key.split(":")[2] in VIEWS for key in before)
    again = await quiet_rebuild(data, monkeypatch)
    assert (again.counts, dump(url)[0]) == (0, before)


async def test_wrong_counts_are_corrected(url: str, data: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """A count too many, one too few, and a player who never acted: the board is what the log says."""
    await play(url, matches=2, ticks=5)
    before, _ = dump(url)
    boards, slot = keys.boards(GAME), slot_of(now_ms())
    wrong = (("p-0-001", 7), ("p-1-002", -2), ("nobody", 3))
    rows = [value for player, n in wrong for value in (player, bucket_of(slot, player), n, "")]
    await data.call("boards_add", boards, "", 0, 0, *rows)
    done = await quiet_rebuild(data, monkeypatch)
    after, _ = dump(url)
    for found in (before, after):
        del found[f"{boards}:buckets"]  # a bucket that was emptied stays listed until it leaves the window
    assert after == before
    assert done.counts == 3


async def test_beside_running_matches(url: str, data: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """While matches write, views are right in the end whoever wrote last; the bucket they count in is left alone."""
    monkeypatch.setattr("core.redis.rebuild.QUIET_S", 60.0)  # they are over by the last rebuild where those take long
    playing = asyncio.create_task(play(url, matches=4, ticks=60))
    await asyncio.sleep(0.3)
    done = [await rebuild(data, GAME) for _ in range(3)]
    written = await playing
    assert done[-1].left >= 1
    after, _ = dump(url)
    total = sum(score for _, score in after[f"{keys.boards(GAME)}:activity"])
    assert total == written
    states = [fields for key, fields in after.items() if ":player:" in key]
    assert len(states) == 80
    # Every view is the last of its log.
    last: dict[str, str] = {}
    for match in range(4):
        crowd = Crowd(f"m-{match}", 20)
        for _ in range(60):
            for one in crowd.tick(0):
                if isinstance(one, Move):
                    last[f"{keys.shard(GAME, one.player)}:move:{one.player}"] = one.id
    assert {key: fields["id"] for key, fields in after.items() if ":move:" in key} == last


async def append(db: Database, match: str, number: int, at_ms: int, player: str, keep: int) -> None:
    payload = pack(Columns([Action(f"{match}-{number}", at_ms, player, "x" * 3_000)]))
    await db.call("log_append", keys.shard(GAME, match), match, number, 1, payload, keep)


async def test_a_trimmed_log_never_lowers_counts(url: str, data: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a bucket whose beginning is not in the log any more nobody knows less than the board does."""
    now = now_ms()
    boards, slot = keys.boards(GAME), slot_of(now)
    bucket = bucket_of(slot, "alice")
    for number in range(1, 21):
        await append(data, "m-1", number, now, "alice", 5)
    rows = ("alice", bucket, 20, "", "bob", bucket_of(slot, "bob"), 2, "")
    await data.call("boards_add", boards, "", 0, 0, *rows)
    done = await quiet_rebuild(data, monkeypatch)
    assert (done.raised, done.set, done.counts) == (1, 0, 0)
    await data.do("DEL", f"{boards}:activity", f"{boards}:counts:{bucket}")
    assert (await quiet_rebuild(data, monkeypatch)).raised == 1
    assert float(await data.do("ZSCORE", f"{boards}:activity", "alice")) == 5


async def count(db: Database, player: str, bucket: int, n: int) -> None:
    await db.call("boards_add", keys.boards(GAME), "", 0, 0, player, bucket, n, "")


async def score(db: Database, player: str) -> float:
    return float(await db.do("ZSCORE", f"{keys.boards(GAME)}:activity", player) or 0)


async def test_a_late_count_of_a_trimmed_time_is_not_counted_again(url: str, data: Database) -> None:
    """What was logged late, of a bucket that can only be raised, is on the board already, however often we rebuild."""
    now = now_ms()
    at_ms = now - 5 * BUCKET_S * 1000
    bucket = bucket_of(slot_of(at_ms), "alice")
    for number, taken_in_ms in enumerate((at_ms, at_ms + 1, now - 2 * BUCKET_S * 1000), 1):
        payload = pack([Action(f"m-1-{number}", at_ms, "alice", "x")])
        row = ("match", "m-1", "batch", number, "count", 1, "data", payload)
        await data.do("XADD", f"{keys.shard(GAME, 'm-1')}:log", f"{taken_in_ms}-0", *row)
    await data.do("XTRIM", f"{keys.shard(GAME, 'm-1')}:log", "MAXLEN", 2)
    await count(data, "alice", bucket, 3)
    for _ in range(2):
        assert (await rebuild(data, GAME)).raised == 1
        assert await score(data, "alice") == 3


async def test_who_begins_to_play_while_counts_are_read_loses_none(
    url: str, data: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A game that was quiet when the rebuild began is asked again before anything is set by what was read."""
    now = now_ms()
    await append(data, "m-1", 1, now, "alice", 100)
    await count(data, "alice", bucket_of(slot_of(now), "alice"), 5)
    real = _Work._missing

    async def busy(self: _Work, *args: Any, **more: Any) -> dict[str, int]:
        await append(data, "m-2", 1, now, "bob", 100)
        await count(data, "bob", bucket_of(slot_of(now), "bob"), 1)
        return await real(self, *args, **more)

    monkeypatch.setattr(_Work, "_missing", busy)
    done = await quiet_rebuild(data, monkeypatch)
    assert (done.set, done.counts) == (0, 0)
    assert done.left >= 1
    assert (await score(data, "alice"), await score(data, "bob")) == (5, 1)


async def test_a_correction_that_is_sent_again_counts_once(
    url: str, data: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The client repeats a call whose reply was lost."""

    class Repeating(Database):
        async def call(self, function: str, base: str, *args: Any) -> Any:
            await super().call(function, base, *args)
            return await super().call(function, base, *args)

    now = now_ms()
    await append(data, "m-1", 1, now, "alice", 100)
    await count(data, "bob", bucket_of(slot_of(now), "bob"), 7)
    await quiet_rebuild(Repeating(data._client), monkeypatch)
    assert (await score(data, "alice"), await score(data, "bob")) == (1, 0)


async def test_a_position_whose_time_ran_out_during_a_long_rebuild_is_not_written(
    url: str, data: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is left of its time is counted from when it is written."""
    payload = pack([Move("m-1-1", now_ms(), "alice", 1.0, 2.0)])
    await data.call("log_append", keys.shard(GAME, "m-1"), "m-1", 1, 1, payload, 100)
    clock = iter([0.0])
    monkeypatch.setattr("core.redis.rebuild.time", SimpleNamespace(monotonic=lambda: next(clock, 40.0)))
    await quiet_rebuild(data, monkeypatch)
    assert await data.do("EXISTS", f"{keys.shard(GAME, 'alice')}:move:alice") == 0


async def test_late_interactions_old_ones_and_broken_entries(
    url: str, data: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was logged late counts in the bucket of its time; what left the window, or is no batch, does not."""
    now = now_ms()
    bucket = bucket_of(slot_of(now), "alice")
    for number, age_s in enumerate((0, 3 * BUCKET_S, 3 * BUCKET_S, 2 * 86_400), 1):
        await append(data, "m-1", number, now - age_s * 1000, "alice", 100)
    await data.call("log_append", keys.shard(GAME, "m-2"), "m-2", 1, 1, b"[1,2]", 100)
    done = await quiet_rebuild(data, monkeypatch)
    assert (done.broken, done.interactions) == (1, 4)
    boards = keys.boards(GAME)
    assert int(await data.do("HGET", f"{boards}:counts:{bucket - 3 * BUCKET_S}", "alice")) == 2
    assert float(await data.do("ZSCORE", f"{boards}:activity", "alice")) == 3


async def test_a_hot_game_spreads_over_all_nodes(url: str, data: Database) -> None:
    """Logs by match and views by player: the keys of one game fall on many slots, and on every node."""
    await play(url, matches=40, ticks=3)
    per_node, slots = [], set()
    for client in nodes(url):
        mine = list(client.scan_iter(f"muster:{{{GAME}.*", count=1000))
        per_node.append(len(mine))
        slots |= {client.execute_command("CLUSTER KEYSLOT", key) for key in mine} if "cluster" in url else set(mine)
        client.close()
    assert all(count > 50 for count in per_node)
    assert len(per_node) == (3 if "cluster" in url else 1)
    assert len(slots) >= keys.SHARDS


async def test_the_command(valkey: Any, db: Database, tmp_path: Path) -> None:
    """`muster rebuild` says what it did; a wrong name and a missing Redis are told."""
    await play(valkey.url, matches=2, ticks=5)
    env = {**os.environ, "REDIS_URL": valkey.url, "MUSTER_DATA_DIR": str(tmp_path), "PYTHONPATH": str(ROOT)}

    def muster(*args: str, **more: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "core.cli", "rebuild", *args]
        return subprocess.run(command, env=env | more, capture_output=True, text=True, check=False, cwd=tmp_path)

    done = await asyncio.to_thread(muster, GAME)
    assert done.returncode == 0, done.stderr
    assert "200 interactions in" in done.stdout
    assert "nothing in its log" in (await asyncio.to_thread(muster, "other")).stdout
    wrong = await asyncio.to_thread(muster, "No Game")
    assert (wrong.returncode, "no id of a game" in wrong.stderr) == (1, True)
    away = await asyncio.to_thread(lambda: muster(GAME, REDIS_URL=""))
    assert (away.returncode, "REDIS_URL" in away.stderr or "which Redis" in away.stderr) == (78, True)
