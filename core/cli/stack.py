"""The whole stack on one machine: Redis, webapi, matchmaker, started in this order and stopped in reverse.

    with Stack(settings, say, stop) as stack:
        stack.watch()

It has the data folder to itself, ends what a killed run left behind, brings crashed parts back, and leaves no process.
Everything here is synchronous and on one thread: it starts programs and looks after them four times a second.
"""

from __future__ import annotations

import asyncio
import os
import re
import sys
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack, suppress
from dataclasses import replace
from typing import Final

import psutil

from core import keys
from core.cli import games, servers
from core.cli.folder import (
    REDIS,
    Program,
    StackState,
    kept_secret,
    locked,
    read_state,
    remove_state,
    write_state,
)
from core.cli.parts import Keeper, OwnRedis, Part, Service, describe
from core.cli.ports import free_port, require_free
from core.cli.rest import Rest
from core.cli.settings import LOOPBACK, StackSettings, service_env
from core.errors import Misconfigured, MusterError, Unavailable
from core.redis.client import open_database
from core.redis.embedded import EmbeddedRedis, find_server
from core.serve import EXIT_MISCONFIGURED

Say = Callable[[str], None]

START_S: Final = 30.0  # a cold laptop compiles every module first
LOOK_S: Final = 0.25
AWAIT_S: Final = 0.05
WORKERS_S: Final = 2.0  # how late a worker starts after the first game with commands


class Stopped(Exception):
    """Whoever started the stack wants it no more, before it was up."""


class Stack:
    """See the module. `say` gets sentences for people; `stop` ends it, also while it starts."""

    def __init__(self, settings: StackSettings, say: Say, stop: threading.Event, *, verbose: bool = False) -> None:
        self.settings = settings
        self.redis_url = settings.redis_url
        self.installation = ""
        self._say = say
        self._stop = stop
        self._verbose = verbose
        self._keepers: list[Keeper] = []
        self._closers = ExitStack()
        self._ready = False
        self._env: dict[str, str] = {}
        self._workers_wanted = settings.workers
        self._asked_s = 0.0  # when it was looked whether a game has commands

    def __enter__(self) -> Stack:
        """Start everything. Raises Misconfigured, Unavailable or Stopped, and then nothing runs."""
        with ExitStack() as closers:
            self._closers = closers
            self._start()
            self._closers = closers.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        """Stop everything in reverse order."""
        self._ready = False
        with suppress(OSError):
            self._write_state()
        self._closers.close()

    def watch(self) -> int:
        """Look after the parts until told to stop. Returns the exit code: 0, or 78 where a part cannot work."""
        while not self._stop.wait(LOOK_S):
            changed = False
            for keeper in self._keepers:
                said = keeper.look(time.monotonic())
                if said:
                    self._say(said)
                    changed = True
                if keeper.hopeless:
                    self._say(_last_words(keeper.part))
                    return EXIT_MISCONFIGURED
            changed |= self._start_workers(time.monotonic())
            if changed:
                self._write_state()
        return 0

    def _start(self) -> None:
        folder = self.settings.data
        self._closers.enter_context(locked(folder))
        folder.chmod(0o700)
        self.installation = f"local-{kept_secret(folder, 'installation')[:12]}"
        self._end_leftovers()
        require_free(self.settings.ports)
        self._closers.callback(remove_state, folder)
        if self.redis_url:
            asyncio.run(_ask_redis(self.redis_url))
        else:
            self._start_redis()
        self._env = env = service_env(
            self.settings,
            os.environ,
            redis_url=self.redis_url,
            secret=self.settings.secret or kept_secret(folder, "secret"),
            installation=self.installation,
        )
        (folder / "run").mkdir(mode=0o700, exist_ok=True)
        webapi = self._start_service("webapi", "webapi", env)
        # Stopped between the matchmaker, which could start another, and what they write to.
        self._closers.callback(self._stop_servers)
        matchmakers = []
        for number in range(1, self.settings.matchmakers + 1):
            # Only the first has the port that was asked for.
            port = str(self.settings.matchmaker_metrics_port if number == 1 else free_port())
            name = "matchmaker" if number == 1 else f"matchmaker-{number}"
            matchmakers.append(
                (self._start_service(name, "matchmaker", env | {"MUSTER_MATCHMAKER_METRICS_PORT": port}), port)
            )
        self._await(webapi, self.settings.url, "/readyz")
        for keeper, port in matchmakers:
            self._await(keeper, f"http://{LOOPBACK}:{port}", "/metrics")
        for sentence in games.register_all(self.settings.url, folder):
            self._say(sentence)
        self._ready = True
        self._write_state()

    def _start_workers(self, now_s: float) -> bool:
        """Start workers of delayed commands once a game has some: until then nobody needs them."""
        if not self._workers_wanted or now_s - self._asked_s < WORKERS_S:
            return False
        self._asked_s = now_s
        try:
            listed = Rest(self.settings.url).call("GET", "/v1/games")["games"]
        except MusterError:
            return False  # webapi is being started again
        if not any(game["spec"].get("commands") for game in listed):
            return False
        for number in range(1, self._workers_wanted + 1):
            port = str(self.settings.worker_metrics_port if number == 1 else free_port())
            name = "worker" if number == 1 else f"worker-{number}"
            env = self._env | {"MUSTER_WORKER_METRICS_PORT": port}
            self._start_service(name, "gamepod", env, "worker")
        self._workers_wanted = 0
        self._say("a game has delayed commands: a worker for them runs")
        return True

    def _start_redis(self) -> None:
        port = self.settings.redis_port or free_port()
        server = EmbeddedRedis(find_server(), self.settings.data / REDIS, port)
        self.redis_url = server.url
        self._keep(OwnRedis(server))

    def _start_service(self, name: str, module: str, env: dict[str, str], *args: str) -> Keeper:
        log = None if self._verbose else self.settings.data / "logs" / f"{name}.log"
        return self._keep(Service(name, (sys.executable, "-m", module, *args), env, log))

    def _keep(self, part: Part) -> Keeper:
        self._go_on()
        keeper = Keeper(part)
        self._closers.callback(part.stop)
        keeper.start(time.monotonic())
        self._keepers.append(keeper)
        self._write_state()
        return keeper

    def _await(self, keeper: Keeper, url: str, path: str) -> None:
        """Wait until a service answers there. Raises Misconfigured or Unavailable with its last words."""
        deadline = time.monotonic() + START_S
        refusal = ""
        while True:
            self._go_on()
            try:
                Rest(url).call("GET", path)
                return
            except MusterError as error:
                refusal = error.detail
            code = keeper.part.ended()
            if code is not None or time.monotonic() > deadline:
                raise _why_not_up(keeper.part, code, refusal)
            time.sleep(AWAIT_S)

    def _go_on(self) -> None:
        if self._stop.is_set():
            raise Stopped

    def _stop_servers(self) -> None:
        count = servers.stop_all(self.installation)
        if count:
            self._say(f"stopped {count} process{'es' * (count > 1)} of game servers")

    def _end_leftovers(self) -> None:
        """End what a run that was killed left behind; its Redis would share our append-only file."""
        state = read_state(self.settings.data)
        if state is None:
            return
        for program in reversed(state.programs):
            process = _still_there(program)
            if process is not None:
                self._say(f"ending {program.name} (pid {program.pid}), left behind by a run that was killed")
                servers.end([process], servers.STOP_S)
        self._stop_servers()

    @property
    def state(self) -> StackState:
        """Where the stack is, as it is written to the data folder."""
        programs = [
            Program(keeper.part.name, pid, _created_s(pid)) for keeper in self._keepers if (pid := keeper.part.pid)
        ]
        return StackState(self.settings.url, self.redis_url, self.installation, os.getpid(), self._ready, programs)

    def _write_state(self) -> None:
        write_state(self.settings.data, self.state)


def own_ports(settings: StackSettings, data_dir: str) -> StackSettings:
    """The same settings for a second stack beside another: free ports, a folder and a Redis of its own."""
    return replace(
        settings,
        redis_url="",
        data_dir=data_dir,
        webapi_port=free_port(),
        webapi_auth_port=free_port(),
        webapi_metrics_port=free_port(),
        matchmaker_metrics_port=free_port(),
        worker_metrics_port=free_port(),
        redis_port=0,
    )


async def _ask_redis(url: str) -> None:
    """Raise Unavailable at once where the Redis of the user does not answer, instead of services that wait for it."""
    async with open_database(url) as db:
        try:
            await db.do("EXISTS", keys.GAMES)
        except Unavailable as error:
            raise Unavailable(f"{error.detail} (setting: REDIS_URL)") from error


def _created_s(pid: int) -> float:
    try:
        return psutil.Process(pid).create_time()
    except psutil.Error:
        return 0.0


def _still_there(program: Program) -> psutil.Process | None:
    try:
        process = psutil.Process(program.pid)
        same = abs(process.create_time() - program.created_s) < 1.0
        return process if same and servers.is_alive(process) else None
    except psutil.Error:
        return None


def _why_not_up(part: Part, code: int | None, refusal: str) -> MusterError:
    words = _last_words(part)
    if code == EXIT_MISCONFIGURED:
        # What it told about the setting is ours to tell, or was shown in this terminal.
        told = re.search(r"muster: (.*) \(setting: (\w+)\)$", words)
        detail, name = (told[1], told[2]) if told else ("it cannot work like this", "named above")
        return Misconfigured(f"{part.name}: {detail}", setting=name)
    how = f"does not get ready ({refusal})" if code is None else f"ended with {describe(code)}"
    return Unavailable(f"{part.name} {how}\n{words}".rstrip())


def _last_words(part: Part) -> str:
    return part.last_words() if isinstance(part, Service) else ""
