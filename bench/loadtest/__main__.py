"""`python -m bench.loadtest`, or `make load`: load a Muster, one of its own or any other, and report what it did."""

from __future__ import annotations

import asyncio
import json
import os
import secrets
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import click
import uvloop

from bench.harness import say
from bench.loadtest import report
from bench.loadtest.bots import Crowd
from bench.loadtest.samples import Sampler
from core.cli.folder import StackState
from core.cli.rest import Rest
from core.cli.settings import StackSettings
from core.cli.stack import Stack, own_ports
from core.errors import MusterError
from core.settings import from_env

USERS_FILE: Final = Path(__file__).with_name("api_users.py")
LOBBY: Final = "load-lobby"
LOBBY_PLAYERS: Final = 200  # of a match in the lobby: more than wait there at once, for nobody joins it
LOCUST_END_S: Final = 30.0  # after its time, to write its files
MAX_USERS: Final = 5_000  # of one locust process
MAX_BOTS: Final = 1_000  # of this process


@click.command()
@click.option("--url", default="", help="A Muster that runs; without one a stack of its own is started.")
@click.option("--users", default=60, show_default=True, type=click.IntRange(0, MAX_USERS), help="locust's, of the API.")
@click.option("--bots", default=30, show_default=True, type=click.IntRange(0, MAX_BOTS), help="That play matches.")
@click.option("--seconds", default=60, show_default=True, type=click.IntRange(5, 86_400))
@click.option("--out", default=".cache/load", show_default=True, type=click.Path(path_type=Path, file_okay=False))
@click.option("--token", envvar="MUSTER_TOKEN", default="", help="A developer's, to register the lobby with --url.")
def main(url: str, users: int, bots: int, seconds: int, out: Path, token: str) -> None:
    """Load a Muster with users of its API and bots that play, and write OUT/report.html with plots."""
    out.mkdir(parents=True, exist_ok=True)
    try:
        with _muster(url) as (where, state):
            _lobby(where, token)
            found = uvloop.run(_run(where, state, users=users, bots=bots, seconds=seconds, out=out))
    except MusterError as error:
        raise click.ClickException(str(error)) from error
    (out / "report.html").write_text(found.page())
    (out / "report.json").write_text(json.dumps(found.figures() | {"problems": found.problems}, indent=2) + "\n")
    click.echo(found.text())
    say(f"plots: {out / 'report.html'}")
    sys.exit(1 if found.problems else 0)


@contextmanager
def _muster(url: str) -> Iterator[tuple[str, StackState | None]]:
    """What is loaded: the Muster at `url`, or a stack of its own that takes any number of guests from one address."""
    if url:
        yield url.rstrip("/"), None
        return
    os.environ.setdefault("MUSTER_SIGNUPS_ADDRESS", "1000000")  # all come from here
    os.environ.setdefault("MUSTER_OPEN_DEVELOPERS", "true")
    say("starting a stack of its own")
    with tempfile.TemporaryDirectory(prefix="muster-load-") as folder:
        stop = threading.Event()
        with Stack(own_ports(from_env(StackSettings, os.environ), folder), say, stop) as stack:
            watcher = threading.Thread(target=stack.watch, name="watch", daemon=True)
            watcher.start()
            try:
                yield stack.state.url, stack.state
            finally:
                stop.set()
                watcher.join()


def _lobby(url: str, token: str) -> None:
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


async def _run(url: str, state: StackState | None, *, users: int, bots: int, seconds: int, out: Path) -> report.Found:
    crowd, sampler = Crowd(url, bots), Sampler(url, state)
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


if __name__ == "__main__":
    main()
