"""A whole stack for tests: `muster up` as a program, in a folder of its own on free ports, and what tests do with it.

    with running_stack(folder) as stack:
        async with stack.visit() as here:
            player = await here.guest()
            ticket = await here.post(player, "tanks")

`Visit` speaks the public API, and reads Redis and the processes for what is true behind it.
"""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import psutil
from redis import Redis

from core import keys
from core.cli import servers
from core.cli.folder import StackState, read_state, running
from core.errors import Unavailable
from core.redis.client import Database, open_database
from tests.support import eventually, free_port

ROOT = Path(__file__).parent.parent
# A busy machine starts a program in twenty seconds, and stops each part of a stack in ten.
START_S = 120.0
STOP_S = 90.0
TRIES_S = 60.0  # how long a call is repeated while a service comes back


def stack_env(folder: Path, **changes: str) -> dict[str, str]:
    """The environment of a stack in `folder` on free ports."""
    clean = {
        name: value for name, value in os.environ.items() if not name.startswith("MUSTER_") and name != "REDIS_URL"
    }
    ports = {
        name: str(free_port())
        for name in (
            "MUSTER_WEBAPI_PORT",
            "MUSTER_WEBAPI_AUTH_PORT",
            "MUSTER_WEBAPI_METRICS_PORT",
            "MUSTER_MATCHMAKER_METRICS_PORT",
            "MUSTER_WORKER_METRICS_PORT",
        )
    }
    return clean | {"MUSTER_DATA_DIR": str(folder / "data"), "PYTHONPATH": str(ROOT)} | ports | changes


def start_up(folder: Path, env: dict[str, str], command: Sequence[str] = ("up",)) -> subprocess.Popen[bytes]:
    """Start `muster up`, or another command; what it says goes to `up.log` in the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "up.log").open("ab") as log:
        return subprocess.Popen(
            [sys.executable, "-m", "core.cli", *command],
            cwd=ROOT,
            env=env,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )


@dataclass
class Stack:
    """A running `muster up`."""

    folder: Path
    env: dict[str, str]
    process: subprocess.Popen[bytes]

    @property
    def data(self) -> Path:
        return Path(self.env["MUSTER_DATA_DIR"])

    @property
    def state(self) -> StackState:
        """What it says of itself now."""
        state = read_state(self.data)
        assert state is not None, self.said()
        return state

    @property
    def url(self) -> str:
        return self.state.url

    @property
    def redis_url(self) -> str:
        return self.state.redis_url

    def pid(self, name: str) -> int:
        """Process id of a part: redis, webapi, matchmaker, matchmaker-2, worker."""
        return next(program.pid for program in self.state.programs if program.name == name)

    def said(self) -> str:
        """Everything that `muster up` told so far."""
        return (self.folder / "up.log").read_text()

    def logs(self) -> str:
        """The end of each service's log, for the message of a failed test."""
        parts = [f"== {path.name}\n{path.read_text()[-3000:]}" for path in sorted((self.data / "logs").glob("*.log"))]
        return "\n".join([self.said(), *parts])

    def await_ready(self) -> None:
        """Wait until it is up. Fails with what it said."""
        deadline = time.monotonic() + START_S
        while running(self.data) is None:
            assert self.process.poll() is None, self.said()
            assert time.monotonic() < deadline, self.said()
            time.sleep(0.05)

    def stop(self, number: signal.Signals = signal.SIGINT) -> int:
        """Stop it as a terminal would. Returns its exit code."""
        if self.process.poll() is None:
            self.process.send_signal(number)
        return self.process.wait(STOP_S)

    @asynccontextmanager
    async def visit(self) -> AsyncIterator[Visit]:
        """The API and Redis of this stack, for the length of the block."""
        async with aiohttp.ClientSession() as session, open_database(self.redis_url) as db:
            yield Visit(self, session, db)


@contextmanager
def running_stack(
    folder: Path, command: Sequence[str] = ("up",), *, forgets: bool = False, **changes: str
) -> Iterator[Stack]:
    """A stack, of `muster up` or another command, for the length of the block.

    Nothing of it is left afterwards, whatever the test did to it. One that `forgets` writes nothing to disk, where a
    busy one holds its Redis up for seconds: for tests that neither kill its Redis nor start the stack again.
    """
    env = stack_env(folder, **changes)
    stack = Stack(folder, env, start_up(folder, env, command))
    try:
        stack.await_ready()
        if forgets:
            with Redis.from_url(stack.redis_url) as redis:
                redis.config_set("appendonly", "no")
        yield stack
    finally:
        leave_nothing(stack)


def leave_nothing(stack: Stack) -> None:
    """Stop a stack, and by their ids whatever a test that failed has left of it."""
    state = read_state(stack.data)
    try:
        stack.stop()
    except subprocess.TimeoutExpired:
        stack.process.kill()
        stack.process.wait()
    if state is not None:
        for program in state.programs:
            with suppress(psutil.Error):
                process = psutil.Process(program.pid)
                if abs(process.create_time() - program.created_s) < 1.0:
                    process.kill()
        servers.stop_all(state.installation)


class Refused(AssertionError):
    """The API refused what a test took for granted."""

    def __init__(self, status: int, document: Any, call: str) -> None:
        super().__init__(f"{call}: {status} {document}")
        self.status, self.document = status, document


@dataclass(frozen=True)
class Player:
    """A guest."""

    id: str
    name: str
    token: str


@dataclass(frozen=True)
class Ticket:
    """A posted ticket and whose it is."""

    game: str
    id: str
    player: Player

    @property
    def path(self) -> str:
        return f"/v1/tickets/{self.game}/{self.id}"


class PatientRedis:
    """Reads of Redis for tests that kill it: asked again until it is back."""

    def __init__(self, db: Database) -> None:
        self._db = db

    async def do(self, *command: Any) -> Any:
        """A plain command's reply. Raises Unavailable where Redis stays away."""
        return (await self.do_many([command]))[0]

    async def do_many(self, commands: Sequence[Sequence[Any]]) -> list[Any]:
        """Replies in order."""
        deadline = time.monotonic() + TRIES_S
        while True:
            try:
                return await self._db.do_many(commands)
            except Unavailable:
                if time.monotonic() > deadline:
                    raise
            await asyncio.sleep(0.1)


class Visit:
    """See the module."""

    def __init__(self, stack: Stack, session: aiohttp.ClientSession, db: Database) -> None:
        self.stack, self.db = stack, PatientRedis(db)
        self.url, self.installation = stack.url, stack.state.installation
        self._session = session
        self._developer = ""

    async def call(self, method: str, path: str, body: Any = None, *, token: str = "") -> Any:
        """A call's answer. Asked again while the service is away; raises Refused for anything else."""
        deadline = time.monotonic() + TRIES_S
        while True:
            try:
                return await self.once(method, path, body, token=token)
            except Refused as refused:
                if refused.status != 503 or time.monotonic() > deadline:
                    raise
            except (OSError, aiohttp.ClientError):
                if time.monotonic() > deadline:
                    raise
            await asyncio.sleep(0.1)

    async def once(self, method: str, path: str, body: Any = None, *, token: str = "") -> Any:
        """A single try of a call. Raises Refused, OSError, aiohttp.ClientError."""
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        async with self._session.request(method, self.url + path, json=body, headers=headers) as response:
            content = await response.read()
            is_json = "json" in response.content_type
            document = await response.json(content_type=None) if is_json and content else content.decode()
            if response.status >= 400:
                raise Refused(response.status, document, f"{method} {path}")
            return document

    async def developer(self) -> str:
        """Access token of a developer account, made at the first call."""
        if not self._developer:
            name = f"studio-{os.urandom(4).hex()}"
            body = {"name": name, "password": "a long password", "role": "developer"}
            self._developer = (await self.call("POST", "/v1/accounts", body))["access_token"]
        return self._developer

    async def register(self, game: dict[str, Any]) -> str:
        """Register a game (`id` and spec); returns its id."""
        await self.call("POST", "/v1/games", game, token=await self.developer())
        return str(game["id"])

    async def guest(self, name: str = "guest") -> Player:
        """A new guest."""
        made = await self.call("POST", "/v1/guests", {"name": name})
        return Player(made["player"], name, made["access_token"])

    async def post(self, player: Player, game: str) -> Ticket:
        """Post a ticket. Where the answer to a first try was lost, the refusal of the second names the ticket."""
        try:
            made = await self.call("POST", "/v1/tickets", {"game": game}, token=player.token)
        except Refused as refused:
            if refused.status != 409 or not refused.document.get("ticket"):
                raise
            return Ticket(game, refused.document["ticket"], player)
        return Ticket(game, made["id"], player)

    async def read(self, ticket: Ticket) -> Any:
        """The ticket as its player sees it now."""
        return await self.call("GET", ticket.path, token=ticket.player.token)

    async def wait(self, ticket: Ticket, *statuses: str, within_s: float = 60.0) -> Any:
        """The ticket as soon as it has one of these statuses (COMPLETED where none is named)."""
        wanted = statuses or ("COMPLETED",)

        async def there() -> Any:
            found = await self.read(ticket)
            return found if found["status"] in wanted else None

        return await eventually(there, within_s=within_s)

    # ---- what is true behind the API

    async def facts(self, ticket: Ticket) -> dict[str, str]:
        """The ticket's hash in Redis."""
        return dict(await self.db.do("HGETALL", keys.ticket(ticket.game, ticket.id)))

    async def match(self, game: str, match: str) -> dict[str, str]:
        """The match's hash in Redis."""
        return dict(await self.db.do("HGETALL", keys.match(game, match)))

    async def matches(self, game: str) -> dict[str, dict[str, str]]:
        """Every match of a game that Redis knows."""
        prefix = keys.match(game, "")
        found: dict[str, dict[str, str]] = {}
        cursor: Any = 0
        while True:
            cursor, names = await self.db.do("SCAN", cursor, "MATCH", f"{prefix}*", "COUNT", 1000)
            for name in names:
                found[name.removeprefix(prefix)] = dict(await self.db.do("HGETALL", name))
            if int(cursor) == 0:
                return found

    async def server_processes(self, matches: set[str]) -> list[psutil.Process]:
        """Processes on this host that belong to servers of these matches."""
        found = await asyncio.to_thread(servers.find, self.installation)
        wanted = {f"{self.installation}/{match}" for match in matches}
        marked = []
        for process in found:
            with suppress(psutil.Error):
                if process.environ().get(servers.MARK) in wanted:
                    marked.append(process)
        return marked

    async def owner(self, game: str) -> str:
        """Name of the matchmaker (as in `Stack.pid`) that holds the game's lease now."""

        async def holder() -> str:
            owner = str(await self.db.do("HGET", f"{keys.game(game)}:lease", "owner") or "")
            programs = self.stack.state.programs
            return next((p.name for p in programs if f"-{p.pid}-" in owner), "")

        return await eventually(holder)
