"""The arena with rules of a game author's own, in a program of his: movement, combat and transports are gamepod's.

    class Hill:
        arena: dict[str, Any]  # settings, as a registration's
        def tick(self, session: Session, now_ms: int) -> None: ...  # played before each tick of the arena's own

    sys.exit(run(Hill()))

The program is a game like any other: Muster starts it as a command or an image, with a sidecar beside it, and it holds
no key and no password. Join tokens are verified, interactions written, results kept and timers judged by the sidecar.
What happens is told to it in batches; while that does not answer `WAITING` of it wait, and the newest are lost.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
from collections import deque
from collections.abc import Mapping, Sequence
from http.client import HTTPConnection, HTTPException
from typing import Any, Final, Protocol

import msgspec
import orjson

from core import trace
from core.errors import Unauthorized
from core.interactions import Attack, Happening, Interaction, Move
from core.jointoken import JoinClaims
from core.model import GivenPort, Match, MatchPlayer, Server, Timers
from core.model import Protocol as PortProtocol
from gamepod import log as logs
from gamepod.arena import Session
from gamepod.arena_game import ArenaGame
from gamepod.outcome import Outcome
from gamepod.roster import Roster
from gamepod.settings import Settings

log = logging.getLogger(__name__)

# A WebSocket port of this name tells clients, the page among them, that it speaks the arena's protocol.
PORTS: Final[dict[str, PortProtocol]] = {"udp": "udp", "tcp": "tcp", "arena": "ws"}
ANSWER_S: Final = 5.0  # for the sidecar to answer
VERIFY_S: Final = 1.0  # ... whose a token is, while the game stands still: a millisecond as a rule
TELL_S: Final = 0.05  # between two batches of interactions
BATCH: Final = 500  # the sidecar's bound
WAITING: Final = 12_000  # interactions that wait for the sidecar
LOOK_S: Final = 1.0  # between two looks at who has a seat, and who is there
NEVER_S: Final = 86_400.0  # the timers are the sidecar's: it ends us, and tells the match why
MARGIN: Final = 0.5  # of the drain time, to tell the result in


class Rules(Protocol):
    """What a game author writes."""

    arena: dict[str, Any]

    def tick(self, session: Session, now_ms: int) -> None:
        """Play the own rules of one tick. Never waits. `now_ms` is UTC."""


class Refused(Exception):
    """The sidecar said no; `status` is HTTP's."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


class Side:
    """The sidecar of this game."""

    def __init__(self, port: int) -> None:
        self._port = port

    def ask(self, method: str, path: str, body: Any = None, within_s: float = ANSWER_S) -> Any:
        """One call, which blocks. Raises Refused, OSError."""
        link = HTTPConnection("127.0.0.1", self._port, timeout=within_s)
        try:
            link.request(method, path, orjson.dumps({} if body is None else body))
            answer = link.getresponse()
            found = orjson.loads(answer.read())
        except (HTTPException, ValueError) as error:
            raise OSError(f"the sidecar answers no JSON: {error}") from None
        finally:
            link.close()
        if answer.status != 200:
            raise Refused(answer.status, str(found.get("message")))
        return found

    async def call(self, method: str, path: str, body: Any = None) -> Any:
        """The same, in a thread."""
        return await asyncio.to_thread(self.ask, method, path, body)

    def claims(self, token: str) -> JoinClaims:
        """Whose a join token is. Raises Unauthorized."""
        try:
            found = self.ask("POST", "/muster/v1/verify", {"token": token}, VERIFY_S)
        except Refused as refused:
            raise Unauthorized(str(refused), code="join-refused") from None
        except OSError:
            raise Unauthorized("the token cannot be verified now: try again", code="join-later") from None
        return JoinClaims(found["player"], "", found["name"], found["team"], found["expires_s"])


class Outbox:
    """Interactions on their way to the sidecar. Implements `gamepod.arena_game.Keeper`; states are not told."""

    def __init__(self, side: Side) -> None:
        self._side = side
        self._waiting: deque[Interaction] = deque()
        self.lost = 0

    def add(self, interactions: Sequence[Interaction], events: Sequence[Happening] = ()) -> None:
        """Take interactions in. Never waits. The sidecar has no word for `events`, but for who came and left."""
        room = WAITING - len(self._waiting)
        self._waiting.extend(interactions[:room])
        self.lost += max(0, len(interactions) - room)

    def add_states(self, states: Mapping[str, Mapping[str, Any]]) -> None:
        """The sidecar has no word for these."""

    async def run(self) -> None:
        """Tell batch after batch, until cancelled."""
        while True:
            await asyncio.sleep(TELL_S)
            await self.tell()

    async def tell(self) -> None:
        """Tell what waits. What the sidecar cannot take now waits on; what it refuses is lost, and that is logged."""
        while self._waiting:
            batch = [self._waiting.popleft() for _ in range(min(BATCH, len(self._waiting)))]
            try:
                await self._side.call("POST", "/muster/v1/interactions", {"interactions": [row_of(it) for it in batch]})
            except Refused as refused:
                if refused.status == 400:
                    log.warning("interactions are refused", extra={"rows": len(batch), "reason": str(refused)})
                    self.lost += len(batch)
                    continue
                self._waiting.extendleft(reversed(batch))
                return
            except OSError:
                self._waiting.extendleft(reversed(batch))
                return


def row_of(it: Interaction) -> dict[str, Any]:
    """An interaction as the sidecar takes it."""
    match it:
        case Attack():
            return {"player": it.attacker, "target": it.target, "damage": it.damage, "at_s": it.at_ms / 1000}
        case Move():
            return {"player": it.player, "position": [it.lat, it.lon], "at_s": it.at_ms / 1000}
    raise ValueError(f"an arena without trade has no {type(it).__name__}")


def report_of(outcome: Outcome, roster: Roster) -> dict[str, Any]:
    """The report of a result: the scores of who stayed; everybody else has left."""
    left = set(roster.left)
    scores = {player: score for player, score in outcome.scores.items() if player in roster.seats}
    stayed = [{"player": player, "score": score} for player, score in scores.items() if player not in left]
    gone = sorted(player for player in roster.seats if player in left or player not in scores)
    return {"players": stayed, "left": gone}


def read_match(told: Mapping[str, Any], arena: dict[str, Any]) -> Match:
    """The match from GET /muster/v1/match, with the arena's settings as its server."""
    timers = msgspec.convert(told["timers"], Timers)
    timers = msgspec.structs.replace(timers, join_s=NEVER_S, empty_s=NEVER_S, length_s=NEVER_S)
    seats = [MatchPlayer(it["id"], it["name"], it["team"], "") for it in told["players"]]
    return Match(
        told["id"], told["game"], told["version"], 0, seats, Server(arena=arena), timers, 0, 0, region=told["region"]
    )


def given_ports(env: Mapping[str, str]) -> list[GivenPort]:
    """The ports of the registration by the names of `PORTS`: as many of them as there are."""
    numbers = {name: int(env.get(f"MUSTER_PORT_{name.upper()}", "0")) for name in PORTS}
    found = [GivenPort(name, PORTS[name], number, number) for name, number in numbers.items() if number]
    if not found:
        raise SystemExit(f"register ports named {', '.join(PORTS)}, as many as you want: players connect by these")
    return found


class Playing:
    """One match of an author's rules."""

    def __init__(self, rules: Rules, side: Side, env: Mapping[str, str], match: Match) -> None:
        self._side, self._match = side, match
        self._roster = Roster(match)
        self._outbox = Outbox(side)
        settings = Settings(
            game=match.game,
            match=match.id,
            join_key="the sidecar's",
            bind=env.get("MUSTER_BIND", "127.0.0.1"),
            ports=msgspec.json.encode(given_ports(env)).decode(),
        )
        self._game = ArenaGame(settings, self._roster, self._outbox, None, claims_of=side.claims, rules=rules.tick)
        self._there: set[str] = set()  # as the sidecar was told
        self._left: set[str] = set()

    async def run(self, stop: asyncio.Event) -> None:
        """Play until the match is over or `stop` is set; then tell the result."""
        game = self._game
        await game.start()
        await game.until_ready()
        await self._side.call("POST", "/ready")
        work = [asyncio.create_task(self._outbox.run()), asyncio.create_task(self._follow())]
        playing, stopped = asyncio.create_task(game.play()), asyncio.create_task(stop.wait())
        either: set[asyncio.Future[Any]] = {playing, stopped, *work}
        try:
            await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
            for broken in work:
                if broken.done():
                    broken.result()  # raises what ended it
            over = playing.done()
            outcome = playing.result() if over else await game.stop("stopped", self._match.timers.drain_s * MARGIN)
            await self._outbox.tell()
            await self._side.call("POST", "/muster/v1/report", report_of(outcome, self._roster))
        finally:
            for left in either:
                left.cancel()
            await asyncio.gather(*either, return_exceptions=True)
            await game.close()

    async def _follow(self) -> None:
        """Who has a seat, as the sidecar knows; who is there, as we do."""
        while True:
            await asyncio.sleep(LOOK_S)
            with contextlib.suppress(OSError, Refused):
                told = await self._side.call("GET", "/muster/v1/match")
                if {it["id"] for it in told["players"]} != self._roster.seats.keys():
                    match = read_match(told, self._match.server.arena or {})
                    self._game.reseat(self._roster.change(match, self._roster.number + 1))
                await self._tell_players()

    async def _tell_players(self) -> None:
        there = {player for player in self._game.gateway.connected(self._match.id) if player in self._roster.seats}
        left = set(self._roster.left)
        body = {
            "joined": sorted(there - self._there),
            "lost": sorted(self._there - there - left),
            "left": sorted(left - self._left),
        }
        if any(body.values()):
            await self._side.call("POST", "/muster/v1/players", body)
            self._there, self._left = there, left


async def play(rules: Rules, env: Mapping[str, str]) -> int:
    """One match, from Ready to its report. Returns the exit code."""
    side = Side(int(env["AGONES_SDK_HTTP_PORT"]))
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    match = read_match(await side.call("GET", "/muster/v1/match"), rules.arena)
    await Playing(rules, side, env, match).run(stop)
    return 0


def run(rules: Rules) -> int:
    """Run the program; returns its exit code."""
    game, match = os.environ.get("MUSTER_GAME", ""), os.environ["MUSTER_MATCH"]
    ids = {"game": game, "match": match, "trace": trace.given(os.environ.get(trace.ENVIRONMENT))}
    logs.setup(form="text", level="info", **ids)
    return asyncio.run(play(rules, os.environ))
