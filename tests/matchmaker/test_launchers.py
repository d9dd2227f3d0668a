"""The launchers of this host by themselves: real processes, and none at all."""

from __future__ import annotations

import os
import secrets
import shlex
import signal
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import psutil
import pytest

from core.clock import now_ms
from core.doorbell import open_doorbell
from core.model import Limits, MatchPlayer, Server
from core.redis.client import Database
from matchmaker.launch.base import Changed, Launcher, LaunchRefused, Seen
from matchmaker.launch.instant import InstantLauncher
from matchmaker.launch.process import ProcessLauncher
from matchmaker.settings import ProcessSettings
from tests.matchmaker.launcher_behaviour import SLEEP, Rig, a_match, ended, every_behaviour
from tests.matchmaker.support import match, over, queue, register, spec, status
from tests.support import eventually


def running(source: str) -> str:
    """The command line that runs a program of Python."""
    return f"{sys.executable} -uc {shlex.quote(source)}"


class ProcessRig:
    """Process launchers for the shared table of behaviour."""

    refused = Server(image="example/game")

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    @asynccontextmanager
    async def open(
        self, program: str = SLEEP, *, changed: Changed = lambda game, match: None, **changes: Any
    ) -> AsyncIterator[ProcessLauncher]:
        """A process launcher whose servers are gone at the end."""
        async with launcher(self._folder, running(program), changed, **changes) as made:
            yield made

    def another(self, first: Launcher) -> ProcessLauncher:
        """A second launcher of the same installation."""
        assert isinstance(first, ProcessLauncher)
        return ProcessLauncher(first._settings, secret="s" * 32, redis_url="redis://nowhere", changed=lambda *_: None)

    async def kill(self, server: Seen) -> None:
        """SIGKILL to the main process."""
        os.kill(server.pid, signal.SIGKILL)


@asynccontextmanager
async def launcher(
    folder: Path,
    command: str = "",
    changed: Changed = lambda game, match: None,
    **changes: Any,
) -> AsyncIterator[ProcessLauncher]:
    """A process launcher whose servers are gone at the end."""
    command = command or running(SLEEP)
    settings = replace(
        ProcessSettings(installation=f"test-{secrets.token_hex(4)}", run_dir=str(folder), server_command=command),
        **changes,
    )
    made = ProcessLauncher(settings, secret="s" * 32, redis_url="redis://nowhere", changed=changed)
    try:
        yield made
    finally:
        for server in (await made.seen()).values():
            if not server.ended:
                os.killpg(server.pid, signal.SIGKILL)
        await made.close(stop_servers=True)


@every_behaviour
async def test_the_process_launcher_behaves_as_every_launcher(
    tmp_path: Path, behaviour: Callable[[Rig], Awaitable[None]]
) -> None:
    """Each line of the table of behaviour holds for processes."""
    await behaviour(ProcessRig(tmp_path))


async def test_an_adopted_server_keeps_its_exit_code_to_itself(tmp_path: Path) -> None:
    """Whose child it is not, a launcher learns of its end, but not its exit code."""
    rig = ProcessRig(tmp_path)
    async with rig.open() as first:
        wanted = a_match()
        await first.start(wanted)
        second = rig.another(first)

        async def adopted() -> bool:
            return wanted.id in await second.seen()

        await eventually(adopted)
        await rig.kill((await second.seen())[wanted.id])
        assert (await ended(first, wanted.id)).exit_code == -signal.SIGKILL
        assert (await ended(second, wanted.id)).exit_code is None
        await second.close(stop_servers=False)


@pytest.mark.parametrize(
    ("command", "server", "says"),
    [
        (running(SLEEP), {"image": "example/game"}, "not images"),
        (running(SLEEP), {"command": ["serve"]}, "MUSTER_ALLOW_COMMANDS"),
        ("/nonexistent/server", {"arena": {}}, "MUSTER_SERVER_COMMAND"),
        ("/etc/hostname", {"arena": {}}, "MUSTER_SERVER_COMMAND"),
    ],
)
async def test_refused(tmp_path: Path, command: str, server: dict[str, Any], says: str) -> None:
    """What can never be started is refused with the reason, and holds no place."""
    async with launcher(tmp_path, command, starts=1) as made:
        for _ in range(3):
            with pytest.raises(LaunchRefused, match=says):
                await made.start(a_match(**server))
        assert made.room() == ProcessSettings().max_servers


async def test_a_server_is_a_process_of_its_own(tmp_path: Path) -> None:
    """It leads its own session, writes to its log, and has none of our descriptors."""
    leaked = os.dup2(0, 250, inheritable=True)  # as whoever started us may have left one open
    async with launcher(tmp_path) as made:
        wanted = a_match()
        await made.start(wanted)
        os.close(leaked)
        process = psutil.Process((await made.seen())[wanted.id].pid)
        assert os.getsid(process.pid) == process.pid
        numbers = {int(fd) for fd in os.listdir(f"/proc/{process.pid}/fd")}
        assert leaked not in numbers
        files = [os.readlink(f"/proc/{process.pid}/fd/{fd}") for fd in range(3)]
        assert files == ["/dev/null", *[str(tmp_path / f"{wanted.id}.log")] * 2]

        async def measured() -> bool:
            return (await made.seen())[wanted.id].rss_bytes > 1_000_000

        await eventually(measured)


@pytest.mark.parametrize("nice", [0, 7])
async def test_a_server_goes_behind_the_services_on_a_full_host(tmp_path: Path, nice: int) -> None:
    """By the setting, and as a session too, where Linux shares its cores out by session first."""
    async with launcher(tmp_path, nice=nice) as made:
        wanted = a_match()
        await made.start(wanted)
        pid = (await made.seen())[wanted.id].pid
        assert os.getpriority(os.PRIO_PROCESS, pid) == nice
        group = Path(f"/proc/{pid}/autogroup")
        if group.exists() and os.geteuid() == 0:  # others may be told to try again later
            assert group.read_text().split()[-1] == str(nice)


async def test_the_instant_launcher(db: Database) -> None:
    """It says to Redis what a server would: ready at once, finished soon after."""
    await register(db, "duel", spec(limits=Limits(tries=1)))
    ticket = await queue(db, "duel")
    wanted = msgspec.structs.replace(a_match(), players=[MatchPlayer("p", "", "players", ticket)])
    token, _, _ = await db.call("lease_take", "muster:{duel}", "test", 60_000, 0)
    document = msgspec.json.encode(wanted)
    await db.call("match_claim", "muster:{duel}", token, now_ms(), now_ms(), 9, wanted.id, document, ticket)
    async with open_doorbell(db) as bell:
        made = InstantLauncher(db, bell)
        await made.start(wanted)
        await status(db, "duel", ticket, "COMPLETED")
        assert (await match(db, "duel", wanted.id))["state"] == "RUNNING"
        assert made.room() < 10_000
        assert (await over(db, "duel", wanted.id))["reason"] == "finished"
        await made.close(stop_servers=True)
