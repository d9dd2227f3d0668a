"""A match as the matchmaker would write it, game servers as a launcher would start them, and clients that play."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec

from core import keys
from core.clock import new_id, now_ms
from core.interactions import Batch, Interaction, read_batch
from core.jointoken import JoinClaims, match_key, mint
from core.model import Game, GameSpec, Match, MatchPlayer, Server, Timers
from core.redis.client import Database
from tests.support import eventually

SECRET = "0123456789abcdef0123456789abcdef"
GAME = "tanks"
# Told to stop, a server has a third of its drain time for each of the things it does then; it takes what it needs.
DRAIN_S = 30
AHEAD = 16  # moves on their way at most: of those that come in one burst, after a stall, the arena takes 32


@dataclass
class Pod:
    """A running `python -m gamepod`."""

    process: subprocess.Popen[bytes]
    log: Path

    def lines(self) -> list[dict[str, Any]]:
        """What it logged so far."""
        whole, _, _ = self.log.read_text().rpartition("\n")  # it may be writing the next
        return [json.loads(line) for line in whole.splitlines() if line.startswith("{")]

    async def ended(self, within_s: float = 60.0) -> int:
        """Its exit code, once it is there."""

        async def look() -> bool:
            return self.process.poll() is not None

        await eventually(look, within_s=within_s)
        return int(self.process.returncode)

    async def said(self, event: str) -> dict[str, Any]:
        """The first line it logged with this event, once it is there."""

        async def look() -> list[dict[str, Any]]:
            assert self.process.poll() is None or any(x["event"] == event for x in self.lines()), self.log.read_text()
            return [line for line in self.lines() if line["event"] == event]

        return (await eventually(look))[0]


@dataclass
class Stage:
    """One Redis with one game, and every server started on it."""

    db: Database
    url: str
    folder: Path
    pods: list[Pod] = field(default_factory=list)

    async def match(
        self,
        server: Server,
        *,
        players: int = 2,
        teams: tuple[str, ...] = ("players",),
        timers: Timers | None = None,
        near: bool = False,
    ) -> Match:
        """A match in PLACING, written through the functions that webapi and the matchmaker call."""
        base, now = keys.game(GAME), now_ms()
        timers = timers or Timers(join_s=60, empty_s=1, drain_s=DRAIN_S)
        spec = GameSpec(server=server, players_per_match=players, timers=timers)
        game = Game(id=GAME, owner="p-owner", version=1, created_ms=now, updated_ms=now, spec=spec)
        if await self.db.do("GET", keys.registration(GAME)) is None:
            document = msgspec.json.encode(game).decode()
            await self.db.call("doc_put", keys.registration(GAME), 0, document, 0)
        seats = []
        for i in range(players):
            seat = MatchPlayer(new_id("player"), f"player {i}", teams[i % len(teams)], new_id("ticket"))
            roster = json.dumps([{"id": seat.id, "name": seat.name}])
            assert await self.db.call("ticket_create", base, seat.ticket, now, 1000, roster, "", seat.id) == ["ok", 0]
            seats.append(seat)
        token = (await self.db.call("lease_take", base, "stage", 30_000))[0]
        match = Match(new_id("match"), GAME, 1, now, seats, server, timers, tries=3, move_ttl_s=30, near=near)
        document = msgspec.json.encode(match).decode()
        tickets = [seat.ticket for seat in seats]
        for name in await self.db.do("ZRANGE", f"{base}:standbys", 0, -1):  # they live, however late they beat
            await self.db.do("HSET", keys.standby(GAME, name), "beat_ms", now_ms())
        claimed = await self.db.call("match_claim", base, token, now, now + 60_000, 100, match.id, document, *tickets)
        assert claimed[0] == "ok"
        return match

    async def standby(self, server: Server, timers: Timers | None = None) -> Match:
        """What is started before there is a match, written as the matchmaker does; `match` takes it."""
        base, now = keys.game(GAME), now_ms()
        waits = Match(
            new_id("standby"), GAME, 1, now, [], server, timers or Timers(drain_s=DRAIN_S), tries=3, move_ttl_s=30
        )
        token = (await self.db.call("lease_take", base, "stage", 30_000))[0]
        document = msgspec.json.encode(waits).decode()
        made = await self.db.call("standby_create", base, token, now, waits.id, 1, "early", 10, document)
        assert made == ["ok", "Starting"]
        return waits

    async def waits(self, standby: Match, state: str) -> dict[str, str]:
        """The hash of a server without a match, once it is in `state`."""

        async def look() -> dict[str, str] | None:
            found = dict(await self.db.do("HGETALL", keys.standby(GAME, standby.id)))
            return found if found["state"] == state else None

        return await eventually(look) or {}

    def start(self, match: Match, **env: str) -> Pod:
        """Start a game server for `match` as the process launcher would."""
        given = {
            "PATH": os.environ["PATH"],
            "MUSTER_GAME": match.game,
            "MUSTER_MATCH": match.id,
            "MUSTER_JOIN_KEY": match_key(SECRET, match.id),
            "REDIS_URL": self.url,
            "MUSTER_ADDRESS": "127.0.0.1",
            "MUSTER_SERVER": f"test/{match.id}",
            "MUSTER_RUN_DIR": str(self.folder / "run"),
            "MUSTER_SDK_PORT": "0",
            "MUSTER_SDK_GRPC_PORT": "0",
            "MUSTER_METRICS_PORT": "0",
            "MUSTER_LOG_LEVEL": "debug",
            **env,
        }
        log = self.folder / f"pod-{len(self.pods)}.log"
        with log.open("wb") as output:
            process = subprocess.Popen([sys.executable, "-m", "gamepod"], env=given, stderr=output, stdout=output)
        pod = Pod(process, log)
        self.pods.append(pod)
        return pod

    async def found(self, match: Match) -> dict[str, str]:
        """The match's hash."""
        flat = await self.db.do("HGETALL", keys.match(GAME, match.id))
        return dict(flat) if isinstance(flat, dict) else dict(zip(flat[::2], flat[1::2], strict=True))

    async def reached(self, match: Match, state: str) -> dict[str, str]:
        """The match's hash, once it is in `state`."""

        async def look() -> dict[str, str] | None:
            found = await self.found(match)
            return found if found["state"] == state else None

        found = await eventually(look)
        assert found is not None
        return found

    async def tickets(self, match: Match) -> set[str]:
        """The states of the match's tickets."""
        return {str(await self.db.do("HGET", keys.ticket(GAME, id_), "state")) for id_ in match.tickets}

    async def logged(self, match: Match) -> list[Interaction]:
        """All interactions of the match in the log, in their order."""
        return [one for batch in await self._batches(match) for one in batch.interactions]

    async def happened(self, match: Match) -> list[tuple[str, str, str]]:
        """What else is in it: (event, player, its reason or team)."""
        found = [one for batch in await self._batches(match) for one in batch.events]
        return [(one.name, one.player, one.more.get("reason", one.more.get("team"))) for one in found]

    async def _batches(self, match: Match) -> list[Batch]:
        """The match's batches, which must be numbered without a hole."""
        found = await self.db.do("XRANGE", f"{keys.shard(GAME, match.id)}:log", "-", "+")
        batches = [fields for _, fields in found]
        batches = [f if isinstance(f, dict) else dict(zip(f[::2], f[1::2], strict=True)) for f in batches]
        mine = [fields for fields in batches if fields["match"] == match.id]
        assert [int(fields["batch"]) for fields in mine] == list(range(1, len(mine) + 1))
        return [read_batch(fields["data"]) for fields in mine]

    def token(self, of: Match, seat: int = 0, *, server: str = "", **changed: Any) -> str:
        """A join token for a seat of a match, with claims changed. `server` that was there before the match."""
        player = of.players[seat]
        claims = {"player": player.id, "match": of.id, "name": player.name, "team": player.team,
                  "expires_s": int(time.time()) + 60, **changed}  # fmt: skip
        return mint(match_key(SECRET, server or of.id), JoinClaims(**claims))

    def close(self) -> None:
        for pod in self.pods:
            if pod.process.poll() is None:
                pod.process.send_signal(signal.SIGCONT)
                pod.process.kill()
            pod.process.wait()


class TcpPlayer:
    """A client over TCP that keeps what it was told."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer
        self.seq = 0
        self.accepted = 0
        self.ack = 0
        self.over: dict[str, Any] | None = None
        self.errors: list[str] = []
        self.trades: list[dict[str, Any]] = []
        self.items: dict[str, int] | None = None
        self.slot = -1
        self._reading: asyncio.Task[None] | None = None

    @classmethod
    async def join(cls, match: Match, found: dict[str, str], token: str) -> TcpPlayer:
        """Connect to the match's TCP port and join; the welcome or the refusal is read."""
        ports = {port["protocol"]: port["port"] for port in json.loads(found["connection"])["ports"]}
        self = cls(*await asyncio.open_connection("127.0.0.1", ports["tcp"], limit=1 << 20))
        self.send({"type": "join", "token": token})
        self._take(json.loads(await self.reader.readline()))
        self._reading = asyncio.create_task(self._read())
        return self

    def send(self, message: dict[str, Any]) -> None:
        self.writer.write(json.dumps(message).encode() + b"\n")

    def drive(self, **more: Any) -> None:
        """Send one numbered move."""
        self.seq += 1
        command = {"type": "move", "throttle": 1.0, "turn": 0.3, **more}
        self.send({"type": "input", "seq": self.seq, "commands": [command]})

    def command(self, kind: str, **fields: Any) -> None:
        """Send one numbered command."""
        self.seq += 1
        self.send({"type": "input", "seq": self.seq, "commands": [{"type": kind, **fields}]})

    async def trade(self, state: str) -> dict[str, Any]:
        """The first trade that was told to be in this state, once it was."""

        async def look() -> list[dict[str, Any]]:
            return [trade for trade in self.trades if trade["state"] == state]

        return (await eventually(look))[0]

    async def has(self, items: dict[str, int]) -> None:
        """Wait until this is what the player is told to have."""

        async def look() -> bool:
            return self.items == items

        await eventually(look)

    async def drive_for(self, moves: int, every_s: float = 0.01) -> None:
        """Send so many moves, no faster than they are taken in."""

        async def room() -> bool:
            return self.seq - self.ack < AHEAD or self.over is not None

        for _ in range(moves):
            await eventually(room, every_s=0.005)
            self.drive()
            await asyncio.sleep(every_s)

    async def settled(self) -> int:
        """How many interactions the server has accepted, once it has taken in all that was sent."""

        async def look() -> bool:
            return self.ack >= self.seq

        await eventually(look)
        return self.accepted

    async def close(self) -> None:
        self.writer.close()
        if self._reading is not None:
            self._reading.cancel()
            await asyncio.gather(self._reading, return_exceptions=True)

    async def _read(self) -> None:
        while line := await self.reader.readline():
            self._take(json.loads(line))

    def _take(self, message: dict[str, Any]) -> None:
        if message["type"] == "trade":
            self.trades.append(message)
        elif message["type"] == "inventory":
            self.items = message["items"]
        elif message["type"] in ("welcome", "snapshot"):
            self.slot = message.get("slot", self.slot)
            self.ack, self.accepted = message["ack"], message["accepted"]
        elif message["type"] == "over":
            self.over = message["result"]
        elif message["type"] == "error":
            self.errors.append(message["code"])
