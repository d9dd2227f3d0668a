"""Commands of players, from the broker to the servers of their matches, in order, and each once.

A command goes into the inbox of its match in Redis (core/redis/lua/inbox_put.lua), which its server looks into; it is
acknowledged when the server has answered, or goes to the dead-letter queue. What was executed is known by its message
id, so whatever dies in between, and however often the broker hands a message out, it is executed once.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Awaitable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from core import keys
from core.clock import now_ms
from core.errors import Invalid, MusterError
from core.intake.lanes import WINDOW, Lane
from core.intake.link import Link, Taken
from core.intake.messages import DONE, Command, read_command, reason_of
from core.log import get
from core.redis.client import Arg, Database, function_call

SOONEST_S: Final = 0.005  # between two looks for answers
SHARE: Final = 0.1  # of the time since the last one: so long is the next look put off
LATEST_S: Final = 0.1
IDLE_S: Final = 1.0
# A command that names no match is of the one its player is in. Handed out again, it may have been executed in the one
# before, unless the match is older than this: longer than any message stays taken.
YOUNG_MS: Final = 120_000
STATES: Final = {
    "gone": ("unknown-match", "the game has no such match, or it was over a day ago"),
    "early": ("not-begun", "the match's server is not ready"),
    "over": ("match-over", "the match is over"),
    "deaf": ("takes-no-commands", "the servers of this game are Agones' alone"),
}
FORGOTTEN: Final = "no-answer Redis forgot it in a fail-over: it may have been taken and executed"
log = get("intake.commands")

Where = tuple[str, str]  # game and match


@dataclass(slots=True)
class Item:
    """A command on its way."""

    taken: Taken
    command: Command
    id: str


class Commands:
    """Works one link (`core.intake.link.Work`)."""

    def __init__(self, db: Database, answer_s: float) -> None:
        self._db, self._answer_s = db, answer_s
        self._away = False

    async def __call__(self, link: Link) -> None:
        """Until the link is lost. Raises Unavailable."""
        lanes: dict[Where, Lane[Item]] = {}
        incoming: list[Item] = []
        name = os.urandom(6).hex()
        while True:
            for taken in link.take():
                if (item := await self._read(link, taken, name)) is not None:
                    incoming.append(item)
            incoming = await self._sort(link, incoming, lanes)
            await self._put(link, lanes)
            await self._look(link, lanes)
            await self._end_overdue(link, lanes)
            now = time.monotonic()
            lanes = {where: lane for where, lane in lanes.items() if not lane.idle or now < lane.closed_until_s}
            await self._rest(link, lanes, stuck=bool(incoming))

    async def _read(self, link: Link, taken: Taken, name: str) -> Item | None:
        try:
            command = read_command(taken.body, taken.id)
        except Invalid as error:
            await link.dead(taken, error.code, error.detail)
            return None
        if taken.again and not command.id:
            await link.dead(taken, "unknown-repeat", "it was handed out before, and has neither message_id nor `id`")
            return None
        return Item(taken, command, command.id or f"{name}-{taken.tag}")

    async def _sort(self, link: Link, items: Sequence[Item], lanes: dict[Where, Lane[Item]]) -> list[Item]:
        """Put each into its match's lane. Returns, in their order, those whose match Redis could not say."""
        who = list(dict.fromkeys((i.command.game, i.command.player) for i in items if not i.command.match))
        found = await self._ask([("HGET", f"{keys.game(game)}:playing", player) for game, player in who])
        matches = dict(zip(who, found, strict=True))
        late, left = set[str](), list[Item]()
        for item in items:
            game, match, player = item.command[:3]
            if not match:
                reply = matches[game, player]
                match = "" if isinstance(reply, MusterError) else reply or ""
                if game in late or isinstance(reply, MusterError):
                    late.add(game)
                    left.append(item)
                    continue
                if not match:
                    await link.dead(item.taken, *await self._no_match(game))
                    continue
                if item.taken.again and await self._is_young(game, match):
                    detail = f"handed out before, maybe for a match before {match}; name the match to be sure"
                    await link.dead(item.taken, "unknown-repeat", detail)
                    continue
            lanes.setdefault((game, match), Lane()).waiting.append(item)
        return left

    async def _no_match(self, game: str) -> tuple[str, str]:
        if await self._is_game(game):
            return "no-match", "this player has a seat in no running match of the game"
        return "unknown-game", "no such game is registered"

    async def _is_game(self, game: str) -> bool:
        return bool((await self._ask([("EXISTS", keys.registration(game))]))[0])

    async def _is_young(self, game: str, match: str) -> bool:
        ready = (await self._ask([("HGET", keys.match(game, match), "ready_ms")]))[0]
        return not isinstance(ready, str) or now_ms() - int(ready) < YOUNG_MS

    async def _put(self, link: Link, lanes: dict[Where, Lane[Item]]) -> None:
        """Hand over what has room; refuse what need not wait for a silent server."""
        now = time.monotonic()
        for lane in lanes.values():
            silent = ("no-answer", "the match's server is silent, and others wait before this one")
            await _all(link.dead(item.taken, *silent) for item in lane.refused(now))
        calls = [(where, room) for where, lane in lanes.items() if (room := lane.room())]
        replies = await self._ask(
            [
                function_call(
                    "inbox_put", keys.game(game), match, WINDOW, *(x for i in room for x in (i.id, i.command.text))
                )
                for (game, match), room in calls
            ]
        )
        for (where, room), reply in zip(calls, replies, strict=True):
            if isinstance(reply, MusterError):
                continue
            lane, (state, *answers) = lanes[where], reply
            known = next((i for i, answer in enumerate(answers) if not answer), len(room))
            lane.was_put(known, time.monotonic())
            if state != "ok" and known < len(room):
                reason = STATES[state]
                if state == "gone" and not await self._is_game(where[0]):
                    reason = ("unknown-game", "no such game is registered")
                await link.dead(lane.waiting.popleft().taken, *reason)

    async def _look(self, link: Link, lanes: dict[Where, Lane[Item]]) -> None:
        """Settle what was answered."""
        asked = [(where, lane) for where, lane in lanes.items() if lane.put]
        replies = await self._ask([("HMGET", _told(where), *(i.id for i in lane.put)) for where, lane in asked])
        for (_, lane), reply in zip(asked, replies, strict=True):
            if isinstance(reply, MusterError):
                lane.heard_s = time.monotonic()  # nobody could hear
                continue
            await self._settle(link, lane, [FORGOTTEN if answer is None else answer for answer in reply])

    async def _settle(self, link: Link, lane: Lane[Item], answers: Sequence[str]) -> None:
        """Settle those of `lane.put` whose answer is the last word."""
        over = [(item, answer) for item, answer in zip(lane.put, answers, strict=True) if _decided(answer)]
        if not over:
            return
        lane.heard_s = time.monotonic()
        lane.put = [item for item, answer in zip(lane.put, answers, strict=True) if not _decided(answer)]
        await _all(
            link.done(item.taken) if answer == DONE else link.dead(item.taken, *reason_of(answer))
            for item, answer in over
        )

    async def _end_overdue(self, link: Link, lanes: dict[Where, Lane[Item]]) -> None:
        """Take back what a silent server has not taken; whoever sent it hears of it."""
        for (game, match), lane in lanes.items():
            now = time.monotonic()
            if not lane.overdue(now, self._answer_s):
                continue
            state = (await self._ask([("HGET", keys.match(game, match), "state")]))[0]
            if isinstance(state, MusterError):
                lane.heard_s = now
                continue
            why = f"no-answer the match's server said nothing for {self._answer_s:g} s"
            if state != "RUNNING":
                why = "match-over the match is over"
            ids = [item.id for item in lane.put]
            (reply,) = await self._ask([function_call("inbox_drop", keys.game(game), match, why, *ids)])
            if isinstance(reply, MusterError):
                continue
            lane.close(now, self._answer_s)
            taken = "no-answer taken by the match's server, which did not answer: it may have been executed"
            await self._settle(link, lane, [taken if answer == "taken" else answer or FORGOTTEN for answer in reply])

    async def _rest(self, link: Link, lanes: dict[Where, Lane[Item]], *, stuck: bool) -> None:
        now = time.monotonic()
        waits = [now - lane.heard_s for lane in lanes.values() if lane.put]
        if waits:
            pause_s = min(max(SOONEST_S, min(waits) * SHARE), LATEST_S)
        else:
            pause_s = LATEST_S if stuck or any(lane.waiting for lane in lanes.values()) else IDLE_S
        try:
            async with asyncio.timeout(pause_s):
                await link.rung.wait()
        except TimeoutError:
            return
        await asyncio.sleep(SOONEST_S)  # what comes together goes together

    async def _ask(self, commands: Sequence[Sequence[Arg]]) -> list[Any]:
        """Replies of Redis, with a MusterError in the place of each that failed."""
        if not commands:
            return []
        try:
            found = await self._db.run_many(commands)
        except MusterError as error:
            found = [error] * len(commands)
        failed = next((reply for reply in found if isinstance(reply, MusterError)), None)
        if failed is not None and not self._away:
            log.warning("Redis is away; messages wait in the broker", error=failed.detail)
        self._away = failed is not None
        return found


def _told(where: Where) -> str:
    return f"{keys.game(where[0])}:inbox:{where[1]}:told"


def _decided(answer: str) -> bool:
    return answer != "taken" and not answer.startswith("waits ")


async def _all(work: Any) -> None:
    """Settle together. Raises the first error."""
    tasks: list[Awaitable[None]] = list(work)
    await asyncio.gather(*tasks)
