"""Redis is killed, frozen or out of disk in the middle of a match: it plays on; nothing is lost or doubled."""

from __future__ import annotations

import asyncio
import json
import re
import resource
import signal
import urllib.request
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from pathlib import Path

import pytest

from core import keys
from core.errors import Unavailable
from core.model import Match, Server, Timers
from core.redis.embedded import EmbeddedRedis, find_server
from tests.gamepod.stage import DRAIN_S, GAME, Pod, Stage, TcpPlayer
from tests.support import eventually, free_port, patient_database

pytestmark = pytest.mark.slow

ARENA = Server(arena={})


@pytest.fixture
async def own(tmp_path: Path) -> AsyncIterator[tuple[EmbeddedRedis, Stage]]:
    """A Valkey of this test's own, to be ill-treated, and a stage on it."""
    # A program that may run out of "disk": the limit of a file's size is set later, and met with an error.
    program = tmp_path / "valkey"
    program.write_text(f"#!/bin/sh\ntrap '' XFSZ\nexec {find_server()} \"$@\"\n")
    program.chmod(0o755)
    server = EmbeddedRedis(str(program), tmp_path / "redis", free_port())
    server.start()
    async with patient_database(server.url) as db:
        stage = Stage(db, server.url, tmp_path)
        yield server, stage
        stage.close()
    if server.process is not None:
        server.process.send_signal(signal.SIGCONT)
    server.kill()


Trouble = Callable[[EmbeddedRedis], None]


def kill(redis: EmbeddedRedis) -> None:
    redis.kill()


def start(redis: EmbeddedRedis) -> None:
    redis.start()


def freeze(redis: EmbeddedRedis) -> None:
    pid_of(redis, signal.SIGSTOP)


def thaw(redis: EmbeddedRedis) -> None:
    pid_of(redis, signal.SIGCONT)


def pid_of(redis: EmbeddedRedis, number: signal.Signals) -> None:
    assert redis.process is not None
    redis.process.send_signal(number)


def fill_disk(redis: EmbeddedRedis) -> None:
    """From now on the append-only file can grow by a few bytes only, as on a disk that is full."""
    size = max(file.stat().st_size for file in (redis.folder / "appendonlydir").iterdir())
    limit_file_size(redis, size + 100)


def file_of(redis: EmbeddedRedis) -> Path:
    """What the append-only file grows by."""
    return max((redis.folder / "appendonlydir").glob("*.incr.aof"))


async def size_on_file(stage: Stage, redis: EmbeddedRedis) -> int:
    """How long the append-only file is with all that Redis has done so far: a slow disk makes it wait in memory."""

    async def written_down() -> bool:
        return re.search(r"aof_buffer_length\W+0\b", str(await stage.db.do("INFO", "persistence"))) is not None

    await eventually(written_down)
    return file_of(redis).stat().st_size


def crash_back_to(redis: EmbeddedRedis, size: int) -> None:
    """Crash with all that was written behind `size` still in memory: so it ends where the disk was slow."""
    redis.kill()
    with file_of(redis).open("r+b") as file:
        file.truncate(size)
    redis.start()


def free_disk(redis: EmbeddedRedis) -> None:
    limit_file_size(redis, resource.RLIM_INFINITY)


def limit_file_size(redis: EmbeddedRedis, limit: int) -> None:
    assert redis.process is not None
    resource.prlimit(redis.process.pid, resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))


async def one_player(
    stage: Stage, server: Server = ARENA, *, drain_s: float = DRAIN_S, **env: str
) -> tuple[Match, Pod, TcpPlayer]:
    match = await stage.match(server, players=1, timers=Timers(join_s=60, empty_s=60, drain_s=drain_s))
    pod = stage.start(match, **env)
    player = await TcpPlayer.join(match, await stage.reached(match, "RUNNING"), stage.token(match))
    return match, pod, player


async def written(stage: Stage, match: Match, wanted: int) -> None:
    """`wanted` interactions are in the log, each once, and the activity board counts as many."""

    async def look() -> bool:
        with suppress(Unavailable):
            score = await stage.db.do("ZSCORE", f"{keys.boards(GAME)}:activity", match.players[0].id)
            return len(await stage.logged(match)) >= wanted and float(score or 0) >= wanted
        return False

    await eventually(look)
    logged = await stage.logged(match)
    assert len(logged) == len({one.id for one in logged}) == wanted
    assert float(await stage.db.do("ZSCORE", f"{keys.boards(GAME)}:activity", match.players[0].id)) == wanted


@pytest.mark.parametrize(
    ("trouble", "relief", "away_s"),
    [(kill, start, 1.0), (freeze, thaw, 3.0), (fill_disk, free_disk, 1.5)],
    ids=["killed", "frozen", "disk-full"],
)
async def test_the_match_plays_on_and_nothing_is_lost_or_doubled(
    own: tuple[EmbeddedRedis, Stage], trouble: Trouble, relief: Trouble, away_s: float
) -> None:
    """Whatever is accepted before, during and after the trouble is in the log and on the board exactly once."""
    redis, stage = own
    match, pod, player = await one_player(stage)
    await player.drive_for(40)
    trouble(redis)
    await player.drive_for(100, away_s / 100)
    assert await player.settled() == 140  # the player notices nothing
    relief(redis)
    await player.drive_for(40)
    accepted = await player.settled()
    assert accepted == 180
    await written(stage, match, accepted)
    assert (await pod.said("Redis is away: the match plays on"))["level"] == "warning"
    assert (await pod.said("Redis is back: everything that was kept is written"))["dropped"] == 0
    pod.process.terminate()
    assert (await stage.reached(match, "ENDED"))["reason"] == "stopped"
    assert await pod.ended() == 0
    await player.close()


async def test_redis_dies_again_and_again(own: tuple[EmbeddedRedis, Stage]) -> None:
    """Several crashes at whatever moment of a flush leave the log without hole or double."""
    redis, stage = own
    match, _, player = await one_player(stage)
    await size_on_file(stage, redis)  # the match itself is not what is lost
    driving = asyncio.create_task(player.drive_for(400))
    for _ in range(4):
        await asyncio.sleep(0.37)
        redis.kill()
        await asyncio.sleep(0.2)
        await asyncio.to_thread(redis.start)
    await driving
    await written(stage, match, await player.settled())
    await player.close()


@pytest.mark.parametrize("more", [40, 0], ids=["playing-on", "at-the-end"])
async def test_what_redis_acknowledged_and_lost_is_written_again(own: tuple[EmbeddedRedis, Stage], more: int) -> None:
    """A Redis that comes back without the last of what it acknowledged gets it again: by the next flush, or the last.

    With `everysec` the file is written up to two seconds late while an fsync is under way, and replies do not wait.
    """
    redis, stage = own
    match, pod, player = await one_player(stage)
    await player.drive_for(40)
    await written(stage, match, await player.settled())
    size = await size_on_file(stage, redis)
    await player.drive_for(60)
    await written(stage, match, 100)
    pod.process.send_signal(signal.SIGSTOP)  # or it would write again what we want to see missing
    crash_back_to(redis, size)
    assert len(await stage.logged(match)) == 40
    pod.process.send_signal(signal.SIGCONT)
    await player.drive_for(more)
    if not more:
        pod.process.terminate()
        assert (await stage.reached(match, "ENDED"))["reason"] == "stopped"
        assert await pod.ended() == 0
    await written(stage, match, 100 + more)
    assert (await pod.said("Redis has lost what it had acknowledged: it is written again"))["again"] > 0
    await player.close()


async def test_at_the_bound_of_the_buffer_the_newest_are_dropped_and_counted(own: tuple[EmbeddedRedis, Stage]) -> None:
    """What fits the bound is written when Redis is back, the rest is counted in log and metrics."""
    redis, stage = own
    match, pod, player = await one_player(stage, MUSTER_BUFFER_INTERACTIONS="50")
    await player.drive_for(20)
    await written(stage, match, await player.settled())
    await size_on_file(stage, redis)
    redis.kill()
    await player.drive_for(120, 0.005)
    accepted = await player.settled()
    redis.start()
    dropped = (await pod.said("Redis is back: everything that was kept is written"))["dropped"]
    assert dropped >= 120 - 50
    await written(stage, match, accepted - dropped)
    port = (await pod.said("attached"))["metrics_port"]
    page = await asyncio.to_thread(lambda: urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics").read().decode())
    assert f"muster_interactions_dropped_total {dropped}\n" in page
    assert (await pod.said("the buffer is full: interactions are dropped until Redis is back"))["level"] == "error"
    await player.close()


async def test_a_result_waits_for_redis(own: tuple[EmbeddedRedis, Stage]) -> None:
    """A match that ends while Redis is away is told when it is back, after its last interaction."""
    redis, stage = own
    match, pod, player = await one_player(stage, Server(arena={"time_limit_s": 6}))
    await size_on_file(stage, redis)  # the match itself is not what is lost
    redis.kill()
    await player.drive_for(30)

    async def over() -> bool:
        return player.over is not None

    await eventually(over)
    redis.start()
    ended = await stage.reached(match, "ENDED")
    assert json.loads(ended["result"])["players"][0]["interactions"] == 30
    assert len(await stage.logged(match)) == 30
    assert await pod.ended() == 0
    await player.close()


async def test_the_end_does_not_wait_for_ever(own: tuple[EmbeddedRedis, Stage]) -> None:
    """Where Redis stays away, a stopped server ends within its drain time, and says what was lost."""
    redis, stage = own
    _, pod, player = await one_player(stage, drain_s=2)
    redis.kill()
    await player.drive_for(30)
    assert await player.settled() == 30
    pod.process.terminate()
    assert await pod.ended() == 4
    assert (await pod.said("Redis stayed away: interactions are lost"))["interactions"] == 30
    await player.close()


async def test_ready_waits_for_redis(own: tuple[EmbeddedRedis, Stage]) -> None:
    """A server that finds no Redis asks on for a while: a restart at the wrong moment costs nobody the match."""
    redis, stage = own
    match = await stage.match(ARENA)
    await size_on_file(stage, redis)  # the match itself is not what is lost
    redis.kill()
    pod = stage.start(match)
    await asyncio.sleep(0.5)
    assert pod.process.poll() is None
    redis.start()
    await stage.reached(match, "RUNNING")
