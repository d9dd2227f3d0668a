"""One load test: a Muster, a lobby in it, locust and bots beside each other, samples meanwhile."""

from __future__ import annotations

import asyncio
import os
import secrets
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from bench.harness import say
from bench.loadtest import report
from bench.loadtest.bots import Crowd
from bench.loadtest.samples import Sampler
from core.cli.folder import StackState
from core.cli.rest import Rest
from core.cli.settings import StackSettings
from core.cli.stack import Stack, own_ports
from core.settings import from_env

USERS_FILE: Final = Path(__file__).with_name("api_users.py")
LOBBY: Final = "load-lobby"
LOBBY_PLAYERS: Final = 200  # of a match in the lobby: more than wait there at once, for nobody joins it
LOCUST_END_S: Final = 30.0  # after its time, to write its files


@contextmanager
def muster(url: str, data: Path | None = None) -> Iterator[tuple[str, StackState | None]]:
    """What is loaded: the Muster at `url`, or a stack of its own that takes any number of guests from one address.

    `data` is the folder of its data, by default one that goes away.
    """
    if url:
        yield url.rstrip("/"), None
        return
    os.environ.setdefault("MUSTER_SIGNUPS_ADDRESS", "1000000")  # all come from here
    os.environ.setdefault("MUSTER_OPEN_DEVELOPERS", "true")
    say("starting a stack of its own")
    with tempfile.TemporaryDirectory(prefix="muster-load-") as folder:
        stop = threading.Event()
        settings = own_ports(from_env(StackSettings, os.environ), str(data or folder))
        with Stack(settings, say, stop) as stack:
            watcher = threading.Thread(target=stack.watch, name="watch", daemon=True)
            watcher.start()
            try:
                yield stack.state.url, stack.state
            finally:
                stop.set()
                watcher.join()


def lobby(url: str, token: str) -> None:
    """Register the game in which locust's users queue, unless it is there. Raises Answer for a refusal."""
    rest = Rest(url, token)
    if any(game["id"] == LOBBY for game in rest.call("GET", "/v1/games")["games"]):
        return
    if not token:
        who = {"name": f"load-{secrets.token_hex(4)}", "password": secrets.token_hex(12), "role": "developer"}
        rest.token = rest.call("POST", "/v1/accounts", who)["access_token"]
    team = {"name": "all", "min_players": LOBBY_PLAYERS, "max_players": LOBBY_PLAYERS}
    game = {"id": LOBBY, "name": "Load test's lobby", "teams": [team], "server": {"arena": {}}}
    rest.call("POST", "/v1/games", game)


async def run_load(
    url: str,
    state: StackState | None,
    *,
    users: int,
    bots: int,
    seconds: int,
    out: Path,
    others: Mapping[str, int] | None = None,
) -> report.Found:
    """Load `url` for so long. `others` are more processes to watch: name -> process id."""
    crowd, sampler = Crowd(url, bots), Sampler(url, state, others or {})
    say(f"{users} users of the API and {bots} bots for {seconds} s at {url}")
    sampling = asyncio.create_task(sampler.run())
    progress = asyncio.create_task(_progress(crowd, sampler))
    locust = await _start_locust(url, users, seconds, out / "locust") if users else None
    try:
        await crowd.play(seconds)
        if locust is not None:
            async with asyncio.timeout(seconds + LOCUST_END_S):
                await locust.wait()
    finally:
        for task in (sampling, progress):
            task.cancel()
        await asyncio.gather(sampling, progress, return_exceptions=True)
        if locust is not None and locust.returncode is None:
            locust.kill()
            await locust.wait()
    api = report.Api.read(out / "locust") if users else report.Api([], [], [])
    return report.Found(f"Load test: {users} users, {bots} bots, {seconds} s", api, crowd, sampler)


async def _start_locust(url: str, users: int, seconds: int, prefix: Path) -> asyncio.subprocess.Process:
    """Locust in a process of its own: it patches sockets, which asyncio does without."""
    for old in prefix.parent.glob(f"{prefix.name}_*.csv"):
        old.unlink()
    command: list[Any] = [
        sys.executable, "-m", "locust", "-f", USERS_FILE, "--headless", "--host", url, "--users", users,
        "--spawn-rate", max(1, users // 5), "--run-time", f"{seconds}s", "--stop-timeout", "5",
        "--csv", prefix, "--csv-full-history", "--only-summary", "--skip-log",
    ]  # fmt: skip
    with prefix.with_suffix(".log").open("wb") as log:
        return await asyncio.create_subprocess_exec(
            *map(str, command), stdout=log, stderr=subprocess.STDOUT, env=os.environ | {"MUSTER_LOAD_LOBBY": LOBBY}
        )


async def _progress(crowd: Crowd, sampler: Sampler) -> None:
    while True:
        await asyncio.sleep(10)
        if sampler.samples:
            last = sampler.samples[-1]
            cores = sum(last.cores.values())
            say(
                f"{last.at_s:5.0f} s: {last.matches} matches live, {last.waiting} tickets wait, "
                f"{len(crowd.played)} bots have played, {len(crowd.failures)} failed, {cores:.2f} cores used"
            )
