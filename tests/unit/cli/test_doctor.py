"""`muster doctor`: what is wrong is found, with what to do; what is right is not complained about."""

from __future__ import annotations

import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from core import keys
from core.cli.doctor import examine, run
from core.cli.doctor_data import data_findings
from core.cli.finding import Finding
from core.cli.settings import StackSettings
from core.clock import now_ms
from core.process import version
from core.redis.client import open_database
from core.release import Membership
from core.schema import READS, Reads
from tests.redis.backends import valkey
from tests.support import PATIENCE_S, free_port


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """That a busy machine holds Redis up for seconds is not what is to be found here: nor that it is away, nor late."""
    monkeypatch.setattr("core.redis.client.TIMEOUT_S", PATIENCE_S)
    monkeypatch.setattr("core.cli.doctor.SKEW_MS", PATIENCE_S * 1000)


@pytest.fixture(scope="module")
def redis_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A Redis as it should be."""
    with valkey(tmp_path_factory.mktemp("redis")) as url:
        yield url


def settings(folder: Path, redis_url: str = "", port: int = 0) -> StackSettings:
    """Settings on free ports."""
    ports = [port or free_port(), *(free_port() for _ in range(3))]
    return StackSettings(redis_url=redis_url, data_dir=str(folder), webapi_port=ports[0], webapi_auth_port=ports[1],
                         webapi_metrics_port=ports[2], matchmaker_metrics_port=ports[3])  # fmt: skip


def bad(settings: StackSettings, env: dict[str, str]) -> list[Finding]:
    """What it finds fault with; each comes with what to do."""
    found = [finding for finding in examine(settings, env) if finding.verdict == "bad"]
    assert all(finding.do for finding in found)
    return found


def test_all_is_well(tmp_path: Path, redis_url: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Exit code 0, and every part is named."""
    assert run(settings(tmp_path, redis_url), {}) == 0
    printed = capsys.readouterr().out
    for what in ("settings", "data folder", "port ", "redis", "clock", "append-only file", "launcher"):
        assert what in printed


def test_a_taken_port_is_named_with_its_holder(tmp_path: Path, redis_url: str) -> None:
    """And the setting that moves it."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        [finding] = bad(settings(tmp_path, redis_url, port=taken.getsockname()[1]), {})
    assert "pid" in finding.found
    assert "MUSTER_WEBAPI_PORT" in finding.do


def test_a_port_of_a_service_that_runs_is_no_trouble(tmp_path: Path, redis_url: str) -> None:
    """Looking at a stack that was started by hand: its own webapi has the page's port."""
    port = free_port()
    (tmp_path / "webapi.py").write_text(
        "import socket, time\n"
        f"s = socket.create_server(('127.0.0.1', {port}))\n"
        "print('up', flush=True)\n"
        "time.sleep(60)\n"
    )
    command = [sys.executable, "-m", "webapi"]
    with subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == b"up\n"
            found = list(examine(settings(tmp_path, redis_url, port=port), {}))
        finally:
            process.kill()
    [finding] = [one for one in found if one.what == f"port {port}"]
    assert (finding.verdict, finding.found) == ("good", "the page and the API: taken by a webapi that runs")


def test_settings_that_are_wrong(tmp_path: Path, redis_url: str) -> None:
    """A misspelt one, and a secret that is too short."""
    found = bad(settings(tmp_path, redis_url), {"MUSTER_STREAM": "7", "MUSTER_SECRET": "short"})
    assert [finding.what for finding in found] == ["settings", "secret"]
    assert "MUSTER_STREAMS" in found[0].do


def test_a_redis_that_is_away(tmp_path: Path) -> None:
    """No traceback, but what to look at."""
    [finding] = bad(settings(tmp_path, f"redis://127.0.0.1:{free_port()}"), {})
    assert finding.what == "redis"
    assert "REDIS_URL" in finding.do


async def test_a_redis_that_may_forget(tmp_path: Path, redis_url: str) -> None:
    """A policy that throws keys away is worse than a full Redis."""
    import asyncio

    async with open_database(redis_url) as db:
        await db.do("CONFIG", "SET", "maxmemory-policy", "allkeys-lru")
        try:
            [finding] = await asyncio.to_thread(bad, settings(tmp_path, redis_url), {})
        finally:
            await db.do("CONFIG", "SET", "maxmemory-policy", "noeviction")
    assert finding.what == "redis memory"


@pytest.mark.parametrize(
    ("env", "what"),
    [
        ({"MUSTER_LAUNCHER": "docker", "DOCKER_HOST": "unix:///nowhere/docker.sock"}, "docker"),
        ({"MUSTER_LAUNCHER": "kubernetes", "KUBECONFIG": ""}, "kubernetes"),
    ],
)
def test_a_launcher_without_what_it_needs(
    tmp_path: Path, redis_url: str, monkeypatch: pytest.MonkeyPatch, env: dict[str, str], what: str
) -> None:
    """No daemon at the socket, no cluster known."""
    monkeypatch.setenv("HOME", str(tmp_path))
    [finding] = bad(settings(tmp_path, redis_url), env)
    assert finding.what == what


async def test_the_version_of_the_data_and_who_runs_on_it(redis_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Services by release, and wrong clocks; mixed releases, a migration and a drain are noted; newer data is bad."""
    newer = Reads(READS.oldest, READS.newest + 1)
    async with open_database(redis_url) as db:
        one, other = Membership(db, "webapi"), Membership(db, "matchmaker", newer, "9.0.0")
        await one.join()
        await other.join()
        found = {it.what: it for it in await data_findings(db)}
        assert found["services"].verdict == "note"
        assert f"1 webapi {version()}" in found["services"].found
        assert "1 matchmaker 9.0.0" in found["services"].found
        monkeypatch.setattr("core.release.now_ms", lambda: now_ms() + 5000)
        await one.join()
        [wrong] = [it for it in await data_findings(db) if it.verdict == "bad"]
        assert f"webapi on {socket.gethostname()}: +" in wrong.found
        await db.do("HSET", keys.DRAINS, "*", "{}")
        state = f"{keys.SCHEMA}:state"
        await db.do("HSET", state, "newest", READS.newest, "oldest", READS.oldest, "place", "half")
        found = {it.what: it for it in await data_findings(db)}
        assert (found["data"].verdict, "half" in found["data"].found) == ("note", True)
        assert (found["drain"].verdict, "installation" in found["drain"].found) == ("note", True)
        await db.do("HSET", state, "newest", 9, "oldest", 9, "by", "9.0.0")
        found = {it.what: it for it in await data_findings(db)}
        assert found["data"].verdict == "bad"
        assert "run 9.0.0 or later" in found["data"].do
        await db.do("FLUSHALL")
        assert [(it.what, it.verdict) for it in await data_findings(db)] == [("data", "good")]
