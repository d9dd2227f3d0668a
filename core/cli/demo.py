"""`muster demo`: bots play matches through the public API, and what they saw is compared with what Redis holds."""

from __future__ import annotations

import asyncio
import random
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final, Protocol, cast

import aiohttp
import uvloop

from core import keys
from core.cli import servers, up
from core.cli.bot import Bot, Tale
from core.cli.folder import StackState, running
from core.cli.games import DEMO_GAME, DEMO_PLAYERS
from core.cli.report import BoardLine, Report, make_report, to_json, to_text
from core.cli.rest import Rest
from core.cli.settings import StackSettings
from core.cli.stack import Stack, own_ports
from core.cli.wires import Kind
from core.errors import Unavailable
from core.interactions import actor, unpack
from core.redis.client import open_database

PER_MATCH: Final = DEMO_PLAYERS
MAX_PLAYERS: Final = 1000  # of one process of bots
WIRES: Final[tuple[Kind, ...]] = ("udp", "tcp", "ws")
RUN_S: Final = 120.0  # of all bots; a minute is usual on two cores
SETTLE_S: Final = 20.0  # a server that is over is gone by then
LOG_PAGE: Final = 500  # batches read from a log at a time
PROGRESS_S: Final = 1.0


class Reader(Protocol):
    """What reading needs of a Redis client."""

    async def do(self, *command: Any) -> Any: ...
    async def do_many(self, commands: Sequence[Sequence[Any]]) -> list[Any]: ...


def run(settings: StackSettings, players: int, *, as_json: bool) -> int:
    """Send `players` bots. Returns the exit code: 1 where something did not add up."""
    # As Ctrl-C: a stack of our own must not outlive us.
    signal.signal(signal.SIGTERM, lambda _number, _frame: sys.exit(128 + signal.SIGTERM))
    with _stack(settings) as state:
        up.say(f"{players} bots play at {state.url}")
        report = uvloop.run(_demo(state, players))
    print(to_json(report) if as_json else f"\n{to_text(report)}\n", flush=True)
    return 1 if report.problems else 0


@contextmanager
def _stack(settings: StackSettings) -> Iterator[StackState]:
    """The stack that runs in the data folder; else one of its own, with a folder that goes away."""
    found = running(settings.data)
    if found is not None:
        yield found
        return
    up.say(f"no stack runs in {settings.data_dir}: starting one for this demo")
    with tempfile.TemporaryDirectory(prefix="muster-demo-") as folder:
        stop = threading.Event()
        with Stack(own_ports(settings, folder), up.say, stop) as stack:
            watcher = threading.Thread(target=stack.watch, name="watch", daemon=True)
            watcher.start()
            try:
                yield stack.state
            finally:
                stop.set()
                watcher.join()


async def _demo(state: StackState, players: int) -> Report:
    started = time.monotonic()
    wires = [WIRES[number % len(WIRES)] for number in range(players)]
    tales = [Tale(f"bot {number + 1}", wire) for number, wire in enumerate(wires)]
    await _play(state.url, tales)
    matches = sorted({tale.match for tale in tales if tale.match})
    rest = Rest(state.url)
    listed, processes = await _settled(rest, state.installation, set(matches))
    async with open_database(state.redis_url) as db:
        logged = await logged_by_player(db, DEMO_GAME, matches)
        states = await match_states(db, DEMO_GAME, matches)
    return make_report(
        tales,
        per_match=PER_MATCH,
        states=states,
        logged=logged,
        boards={board: await _top(rest, board) for board in ("activity", "score")},
        servers_listed=listed,
        servers_running=processes,
        seconds=time.monotonic() - started,
    )


async def _play(url: str, tales: Sequence[Tale]) -> None:
    """Let every bot play one match, and tell how it goes."""
    connector = aiohttp.TCPConnector(limit=0)  # each waiting bot holds a connection
    timeout = aiohttp.ClientTimeout(total=RUN_S)
    async with aiohttp.ClientSession(connector=connector, timeout=timeout) as session:
        bots = [
            # Half of them wait on a stream, half by long polls; what a bot does depends on its name only.
            Bot(url, DEMO_GAME, tale, session, random.Random(tale.name), streams=number % 2 == 0)  # noqa: S311
            for number, tale in enumerate(tales)
        ]
        tasks = [asyncio.create_task(bot.run()) for bot in bots]
        progress = asyncio.create_task(_progress(tales))
        try:
            await asyncio.wait(tasks, timeout=RUN_S)
        finally:
            for task in (*tasks, progress):
                task.cancel()
            await asyncio.gather(*tasks, progress, return_exceptions=True)
    for tale in tales:
        if not tale.over and not tale.failure:
            tale.failure = f"not over after {RUN_S:g} s"


async def _progress(tales: Sequence[Tale]) -> None:
    """A line a second; on a terminal it stays one line."""
    started = time.monotonic()
    same_line = sys.stderr.isatty()
    while True:
        playing = sum(1 for tale in tales if tale.playing_s and not tale.over)
        line = (
            f"  {time.monotonic() - started:4.0f} s   queued {sum(1 for t in tales if t.posted_s):4}   "
            f"playing {playing:4}   over {sum(1 for t in tales if t.over):4}   "
            f"interactions {sum(t.accepted for t in tales):7,}"
        )
        print(f"\r{line}" if same_line else line, end="" if same_line else "\n", file=sys.stderr, flush=True)
        try:
            await asyncio.sleep(PROGRESS_S)
        except asyncio.CancelledError:
            if same_line:
                print(file=sys.stderr)
            raise


async def _settled(rest: Rest, installation: str, matches: set[str]) -> tuple[int, int]:
    """Servers of these matches that the API lists and that run as processes, when both are 0 or patience ends."""
    deadline = time.monotonic() + SETTLE_S
    while True:
        overview = await asyncio.to_thread(rest.call, "GET", "/v1/overview")
        listed = sum(1 for server in overview["servers"] if server.get("match") in matches)
        running_here = len(await asyncio.to_thread(servers.matches, installation) & matches)
        if (listed, running_here) == (0, 0) or time.monotonic() > deadline:
            return listed, running_here
        await asyncio.sleep(0.25)


async def _top(rest: Rest, board: str) -> list[BoardLine]:
    found = await asyncio.to_thread(rest.call, "GET", f"/v1/games/{DEMO_GAME}/boards/{board}?top=5")
    return [BoardLine(line["rank"], line.get("name") or line["player"], line["score"]) for line in found["entries"]]


async def match_states(db: Reader, game: str, matches: Sequence[str]) -> dict[str, str]:
    """State by match; MISSING for one that Redis does not know. Raises Unavailable."""
    found = await db.do_many([("HGET", keys.match(game, match), "state") for match in matches])
    return {match: state or "MISSING" for match, state in zip(matches, found, strict=True)}


async def logged_by_player(db: Reader, game: str, matches: Sequence[str]) -> dict[str, int]:
    """Interactions in the log by the player who did them, of these matches only. Raises Unavailable."""
    wanted = set(matches)
    counts: dict[str, int] = {}
    for base in {keys.shard(game, match) for match in matches}:
        last = "-"
        while True:
            page = cast(list[Any], await db.do("XRANGE", f"{base}:log", last, "+", "COUNT", LOG_PAGE))
            for _, fields in page:
                if fields["match"] in wanted:
                    batch = unpack(fields["data"])
                    if len(batch) != int(fields["count"]):
                        raise Unavailable(f"a batch of {fields['match']} says {fields['count']} but holds {len(batch)}")
                    for one in batch:
                        counts[actor(one)] = counts.get(actor(one), 0) + 1
            if len(page) < LOG_PAGE:
                break
            last = f"({page[-1][0]}"
    return counts
