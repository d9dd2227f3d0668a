"""What tests of the matchmaker share: real matchmaker processes, games, tickets, and what became of them."""

from __future__ import annotations

import os
import secrets
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec
import psutil

from core import keys
from core.clock import new_id, now_ms
from core.model import Game, GameSpec, Limits, Server, TicketPlayer, Timers
from core.redis.client import Database
from tests.support import end, eventually

ROOT = Path(__file__).parents[2]
# For what is judged by the clock alone (who is silent, or never ready): whoever lives may be late by less than this.
SOON = {"MUSTER_BEAT_TIMEOUT_S": "6"}
LOOK_S = 0.2  # between two looks at all processes of the machine, which cost 20 ms
STANDIN = f"{sys.executable} {Path(__file__).with_name('standin.py')}"


def spec(mode: str = "play", *, play_s: float | None = None, **changes: Any) -> GameSpec:
    """A duel whose server is the stand-in."""
    arena: dict[str, Any] = {"mode": mode} | ({} if play_s is None else {"play_s": play_s})
    defaults: dict[str, Any] = {
        "server": Server(arena=arena),
        "players_per_match": 2,
        "timers": Timers(start_s=60, drain_s=1),
        "limits": Limits(tries=2),
    }
    return GameSpec(**(defaults | changes))


async def register(db: Database, game: str, wanted: GameSpec, *, owner: str = "", version: int = 1) -> None:
    """Register a game as webapi does."""
    now = now_ms()
    document = Game(game, owner or new_id("player"), version, now, now, wanted)
    await db.do("SET", keys.registration(game), msgspec.json.encode(document))
    await db.do("SADD", keys.GAMES, game)


async def queue(
    db: Database, game: str, *, players: int = 1, waited_s: float = 0.0, attributes: dict[str, Any] | None = None
) -> str:
    """A new ticket; `waited_s` makes it wait since then."""
    ticket = new_id("ticket")
    people = [TicketPlayer(new_id("player"), "somebody", attributes or {}) for _ in range(players)]
    since = now_ms() - int(waited_s * 1000)
    reply = await db.call(
        "ticket_create", keys.game(game), ticket, since, 1000, msgspec.json.encode(people), "", *(p.id for p in people)
    )
    assert reply[0] == "ok", reply
    await db.call("tickets_seen", keys.game(game), now_ms(), ticket)
    return ticket


async def ticket(db: Database, game: str, name: str) -> dict[str, str]:
    return dict(await db.do("HGETALL", keys.ticket(game, name)))


async def match(db: Database, game: str, name: str) -> dict[str, str]:
    return dict(await db.do("HGETALL", keys.match(game, name)))


async def status(db: Database, game: str, name: str, wanted: str, *, within_s: float = 60.0) -> dict[str, str]:
    """The ticket once it is `wanted`."""

    async def is_wanted() -> dict[str, str] | None:
        found = await ticket(db, game, name)
        return found if found.get("state") == wanted else None

    return await eventually(is_wanted, within_s=within_s)


async def over(db: Database, game: str, name: str, *, within_s: float = 60.0) -> dict[str, str]:
    """The match once it is not live."""

    async def is_over() -> dict[str, str] | None:
        found = await match(db, game, name)
        return found if found.get("state") in ("ENDED", "FAILED") else None

    return await eventually(is_over, within_s=within_s)


async def owner(db: Database, game: str) -> str:
    """The replica that holds the game's lease, '' for none."""
    row = await db.do("HMGET", f"{keys.game(game)}:lease", "owner", "until_ms")
    return str(row[0]) if row[0] and int(row[1]) > now_ms() else ""


@dataclass
class Matchmakers:
    """Matchmaker processes of one installation."""

    folder: Path
    env: dict[str, str]
    processes: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def start(self, **env: str) -> subprocess.Popen[bytes]:
        log = (self.folder / f"matchmaker-{len(self.processes)}.log").open("wb")
        process = subprocess.Popen(
            [sys.executable, "-m", "matchmaker"], env=self.env | env, cwd=ROOT, stdout=log, stderr=log
        )
        log.close()
        self.processes.append(process)
        return process

    def log(self, number: int = 0) -> str:
        return (self.folder / f"matchmaker-{number}.log").read_text()

    def servers(self, match: str = "") -> list[psutil.Process]:
        """Processes of servers of this installation, children included."""
        label = f"{self.env['MUSTER_INSTALLATION']}/{match}"
        found = []
        for process in psutil.process_iter():
            try:
                if process.environ().get("MUSTER_SERVER", "").startswith(label):
                    found.append(process)
            except (psutil.Error, OSError):
                continue
        return found

    async def gone(self, match: str = "", *, within_s: float = 60.0) -> None:
        """Wait until no server process is left."""

        async def none_left() -> bool:
            return not self.servers(match)

        await eventually(none_left, within_s=within_s, every_s=LOOK_S)

    async def server_of(self, match: str) -> psutil.Process:
        """The main process of the server of `match`, once it runs."""

        async def main() -> psutil.Process | None:
            return next((p for p in self.servers(match) if "MUSTER_JOIN_KEY" in p.environ()), None)

        return await eventually(main, every_s=LOOK_S)


@contextmanager
def matchmakers(redis_url: str, folder: Path) -> Iterator[Matchmakers]:
    """A place for matchmaker processes; they and every server of theirs are gone at the end."""
    env = {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": str(ROOT),
        "REDIS_URL": redis_url,
        "MUSTER_SECRET": secrets.token_hex(32),
        "MUSTER_INSTALLATION": f"test-{secrets.token_hex(4)}",
        "MUSTER_RUN_DIR": str(folder / "run"),
        "MUSTER_SERVER_COMMAND": STANDIN,
        "MUSTER_MATCHMAKER_METRICS_PORT": "0",
        "MUSTER_BEAT_TIMEOUT_S": "30",  # a server beats each 2 s, and on a busy machine much later
        "MUSTER_POLL_S": "0.2",
    }
    made = Matchmakers(folder, env)
    try:
        yield made
    finally:
        for process in made.processes:
            if process.poll() is None:
                process.send_signal(signal.SIGCONT)
        end(*made.processes, patience_s=10)
        for server in made.servers():
            with suppress(psutil.NoSuchProcess):  # it was just about to end
                server.kill()
