"""A primary, its replica and three Sentinels on loopback, to be failed over."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from redis import Redis
from redis import exceptions as rx

from core.redis.embedded import EmbeddedRedis, find_server
from tests.support import free_port

NAME = "mymaster"
DOWN_MS = 1000  # of silence, before a Sentinel holds the primary for dead
CALM_MS = 600_000  # where no primary dies: one that only gets no CPU time for a while is to stay the primary
SETTLED_S = 180.0  # generous: Sentinels that get no CPU time for two seconds pause themselves for thirty, each time
TRIO = 3

# Nobody starts these again, and where a disk is busy a file of its own holds Redis up for seconds.
FORGETS = ("--appendonly", "no")


@dataclass
class Sentinel:
    """One Sentinel process; it writes what it learns into its own configuration file."""

    program: str
    folder: Path
    port: int
    password: str | None = None
    process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        command = [self.program, str(self.folder / "sentinel.conf"), "--sentinel"]
        self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
        deadline = time.monotonic() + SETTLED_S
        while not self._answers():
            assert time.monotonic() < deadline, (self.folder / "log").read_text()
            time.sleep(0.02)

    def ask(self, *command: str) -> Any:
        with Redis(port=self.port, password=self.password, decode_responses=True) as asked:
            return asked.execute_command(*command)

    def _answers(self) -> bool:
        with suppress(rx.RedisError, OSError):
            return bool(self.ask("PING"))
        return False

    def kill(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None


@dataclass
class Watched:
    """The whole of it. `primary` and `replica` are what they were at the start."""

    primary: EmbeddedRedis
    replica: EmbeddedRedis
    sentinels: list[Sentinel] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"redis+sentinel://{','.join(f'127.0.0.1:{one.port}' for one in self.sentinels)}/{NAME}/0"

    def failed_over(self) -> bool:
        """Whether all Sentinels that run name the replica, and it takes writes."""
        for one in self.sentinels:
            if one.process is not None:
                found = one.ask("SENTINEL GET-MASTER-ADDR-BY-NAME", NAME)
                if int(found[1]) != self.replica.port:
                    return False
        return role(self.replica.port) == "master"

    def fail_over(self) -> None:
        """As an operator does it: both nodes stay up and change places."""
        deadline = time.monotonic() + SETTLED_S
        while True:
            try:
                self.sentinels[0].ask("SENTINEL FAILOVER", NAME)
                return
            except rx.ResponseError as error:  # a replica that was just held up is not taken
                if "NOGOODSLAVE" not in str(error) or time.monotonic() > deadline:
                    raise
            time.sleep(0.2)

    def alert(self) -> None:
        """From now on the Sentinels hold a primary for dead that is silent for `DOWN_MS`."""
        for one in self.sentinels:
            if one.process is not None:
                one.ask("SENTINEL SET", NAME, "down-after-milliseconds", DOWN_MS)

    def wait_replicated(self) -> None:
        """Until the replica has all that the primary has acknowledged."""
        with Redis(port=self.primary.port) as primary:
            assert primary.wait(1, int(SETTLED_S * 1000)) == 1


def role(port: int) -> str:
    with suppress(rx.RedisError, OSError), Redis(port=port, decode_responses=True) as asked:
        return str(asked.execute_command("ROLE")[0])
    return ""


@contextmanager
def watched(
    folder: Path,
    *,
    program: str | None = None,
    options: Sequence[str] = (),
    password: str | None = None,
    down_ms: int = DOWN_MS,
) -> Iterator[Watched]:
    """Started, replicating, and every Sentinel knows the others and the replica.

    `options` are of each Sentinel, and `password` is what these ask for. With `CALM_MS` nothing fails over before
    `alert` is called.
    """
    program = program or find_server()
    primary = EmbeddedRedis(program, folder / "primary", free_port())
    primary.options = ["--repl-diskless-sync-delay", "0", *FORGETS]
    of = ["--replicaof", "127.0.0.1", str(primary.port), *primary.options]
    replica = EmbeddedRedis(program, folder / "replica", free_port(), of)
    made = Watched(primary, replica)
    try:
        primary.start()
        replica.start()
        for number in range(TRIO):
            own = (f"sentinel down-after-milliseconds {NAME} {down_ms}", *options)
            made.sentinels.append(_sentinel(program, folder / f"sentinel{number}", primary.port, own, password))
        _settle(made)
        yield made
    finally:
        for one in made.sentinels:
            one.kill()
        replica.kill()
        primary.kill()


def _sentinel(program: str, folder: Path, primary: int, options: Sequence[str], password: str | None) -> Sentinel:
    folder.mkdir(parents=True)
    port = free_port()
    lines = [
        f"port {port}", "bind 127.0.0.1", f"dir {folder}", f"logfile {folder / 'log'}",
        f"sentinel monitor {NAME} 127.0.0.1 {primary} 2",
        f"sentinel failover-timeout {NAME} 10000",
        *options,
    ]  # fmt: skip
    (folder / "sentinel.conf").write_text("\n".join(lines) + "\n")
    made = Sentinel(program, folder, port, password)
    made.start()
    return made


def _settle(made: Watched) -> None:
    deadline = time.monotonic() + SETTLED_S
    for one in made.sentinels:
        while not _knows_all(one):
            assert time.monotonic() < deadline, "the Sentinels did not find each other and the replica"
            time.sleep(0.05)
    made.wait_replicated()


def _knows_all(one: Sentinel) -> bool:
    flat = one.ask("SENTINEL MASTER", NAME)
    found = flat if isinstance(flat, dict) else dict(zip(flat[::2], flat[1::2], strict=True))
    return int(found["num-slaves"]) >= 1 and int(found["num-other-sentinels"]) == TRIO - 1
