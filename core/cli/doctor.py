"""`muster doctor`: is what Muster needs there, and what to do where it is not. Reads only; changes nothing."""

from __future__ import annotations

import os
import shutil
import socket
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Final

import uvloop

from core import keys
from core.cli.doctor_data import data_findings
from core.cli.finding import SKEW_MS, Finding
from core.cli.folder import running
from core.cli.ports import holder, is_free, service
from core.cli.settings import StackSettings
from core.cli.table import table
from core.errors import MusterError
from core.misspelt import misspelt
from core.redis.client import Database, open_database
from core.redis.embedded import find_server
from core.settings import SECRET_BYTES

SLOW_MS: Final = 5.0  # of a round trip to Redis in the same network
ROUND_TRIPS: Final = 20
OLDEST: Final = (7, 0)  # of Redis, whose functions Muster is made of
FREE_BYTES: Final = 1_000_000_000
KUBE_ENV: Final = "KUBERNETES_SERVICE_HOST"


def run(settings: StackSettings, env: Mapping[str, str]) -> int:
    """Look at everything, print it; 1 where something is bad."""
    findings = list(examine(settings, env))
    print(table([(f.verdict.upper() if f.verdict == "bad" else f.verdict, f.what, f.found) for f in findings]))
    for finding in findings:
        if finding.do:
            print(f"\n{finding.what}: {finding.do}")
    return int(any(finding.verdict == "bad" for finding in findings))


def examine(settings: StackSettings, env: Mapping[str, str]) -> Iterator[Finding]:
    """All findings."""
    yield from _settings(env)
    yield from _folder(settings)
    state = running(settings.data)
    if not state:
        yield from _ports(settings)
    url = settings.redis_url or (state.redis_url if state else "")
    yield from _redis(url)
    yield from _launcher(env)


def _settings(env: Mapping[str, str]) -> Iterator[Finding]:
    wrong = [(name, meant) for name, meant in misspelt(env)]
    for name, meant in wrong:
        yield Finding(
            "settings", "bad", f"{name} is none, and does nothing", f"is {meant} meant?" if meant else "unset it"
        )
    if not wrong:
        count = sum(name.startswith("MUSTER_") for name in env)
        yield Finding("settings", "good", f"{count} of MUSTER_* are set, all are known")
    secret = env.get("MUSTER_SECRET", "")
    if secret and len(secret.encode()) < SECRET_BYTES:
        yield Finding(
            "secret",
            "bad",
            f"{len(secret.encode())} bytes",
            f"MUSTER_SECRET needs {SECRET_BYTES}: openssl rand -hex 32",
        )


def _folder(settings: StackSettings) -> Iterator[Finding]:
    there = settings.data
    while not there.exists():
        there = there.parent
    free = shutil.disk_usage(there).free
    if not os.access(there, os.W_OK):
        yield Finding("data folder", "bad", f"{there} cannot be written", "give MUSTER_DATA_DIR a folder of yours")
    elif free < FREE_BYTES:
        yield Finding("data folder", "note", f"{free // 1_000_000} MB are free", "Redis' file and the logs grow there")
    else:
        yield Finding("data folder", "good", f"{settings.data}, {free // 1_000_000_000} GB free")


def _ports(settings: StackSettings) -> Iterator[Finding]:
    for name, (port, what) in settings.ports.items():
        if is_free(port):
            yield Finding(f"port {port}", "good", f"free for {what}")
        elif ours := service(port):
            yield Finding(f"port {port}", "good", f"{what}: taken by a {ours} that runs")
        else:
            yield Finding(
                f"port {port}", "bad", f"{what}: taken by {holder(port)}", f"stop that, or set {name} to another"
            )


def _redis(url: str) -> Iterator[Finding]:
    if not url:
        yield _attempt("redis", lambda: f"none runs; `muster up` would start {find_server()}")
        return
    try:
        yield from uvloop.run(_ask(url))
    except MusterError as error:
        yield Finding("redis", "bad", error.detail, "is REDIS_URL right, does it run, does a firewall let you through?")


async def _ask(url: str) -> list[Finding]:
    findings: list[Finding] = []
    async with open_database(url) as db:
        await db.do("PING")  # connecting is not what is measured
        began = time.perf_counter()
        for _ in range(ROUND_TRIPS):
            await db.do("EXISTS", keys.GAMES)
        trip_ms = (time.perf_counter() - began) * 1000 / ROUND_TRIPS
        findings.append(Finding(
            "redis", "good" if trip_ms < SLOW_MS else "note", f"answers in {trip_ms:.2f} ms",
            "" if trip_ms < SLOW_MS else "put Redis nearer: each step of a match is a round trip",
        ))  # fmt: skip
        findings.append(await _clock(db))
        findings += await _kind(db)
        findings += await data_findings(db)
    return findings


async def _clock(db: Database) -> Finding:
    before = time.time()
    seconds, micros = await db.do("TIME")
    skew_ms = (int(seconds) + int(micros) / 1e6 - (before + time.time()) / 2) * 1000
    if abs(skew_ms) < SKEW_MS:
        return Finding("clock", "good", f"{skew_ms:+.0f} ms beside that of Redis")
    return Finding("clock", "bad", f"{skew_ms:+.0f} ms beside that of Redis", "run NTP on both hosts")


async def _kind(db: Database) -> list[Finding]:
    info = {name: str(value) for name, value in dict(await db.do("INFO")).items()}  # which redis-py has parsed
    version = info["redis_version"]
    number = tuple(int(part) for part in version.split(".")[:2])
    named = f"{'valkey ' + info['valkey_version'] if 'valkey_version' in info else 'redis ' + version}"
    findings = [
        Finding("redis version", "good", named) if number >= OLDEST
        else Finding("redis version", "bad", named, "Muster needs the functions of Redis 7.0 or Valkey")
    ]  # fmt: skip
    if (policy := info["maxmemory_policy"]) != "noeviction":
        findings.append(Finding("redis memory", "bad", f"policy {policy}: it may throw accounts away",
                                "CONFIG SET maxmemory-policy noeviction"))  # fmt: skip
    if info["aof_enabled"] != "1":
        findings.append(Finding("redis on disk", "note", "no append-only file", "accounts end with it: appendonly yes"))
    elif {info["aof_last_write_status"], info["aof_last_bgrewrite_status"]} != {"ok"}:
        findings.append(Finding("redis on disk", "bad", "its append-only file cannot be written", "is its disk full?"))
    else:
        findings.append(Finding("redis on disk", "good", "append-only file"))
    return findings


def _launcher(env: Mapping[str, str]) -> Iterator[Finding]:
    launcher = env.get("MUSTER_LAUNCHER", "process")
    if launcher == "docker":
        yield _attempt("docker", lambda: _connects(env.get("DOCKER_HOST", "unix:///var/run/docker.sock")))
    elif launcher == "kubernetes":
        if KUBE_ENV in env or env.get("KUBECONFIG") or os.path.exists(os.path.expanduser("~/.kube/config")):
            yield Finding("kubernetes", "good", "an address is known; `helm test` looks further")
        else:
            yield Finding(
                "kubernetes", "bad", "neither in a pod nor a kubeconfig", "set KUBECONFIG, or run in the cluster"
            )
    else:
        yield Finding("launcher", "good", f"{launcher}: servers are processes of this machine")


def _connects(address: str) -> str:
    if not address.startswith("unix://"):
        return f"{address} (not tried)"
    with socket.socket(socket.AF_UNIX) as probe:
        probe.settimeout(2.0)
        probe.connect(address.removeprefix("unix://"))
    return f"{address} answers"


def _attempt(what: str, look: Callable[[], str]) -> Finding:
    try:
        return Finding(what, "good", look())
    except MusterError as error:
        return Finding(what, "bad", error.detail, "see there")
    except OSError as error:
        return Finding(what, "bad", str(error), "does it run, and may this user reach it?")
