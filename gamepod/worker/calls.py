"""Packs that a URL executes: one signed POST for many players, each with the state and the packs that wait.

    {"game": "village", "jobs": [{"player": "p-...", "state": {...}, "packs": [
        {"seq": 7, "balance": 1, "commands": [{"name": "build", "at_ms": 1790000000000, "args": {"what": "mill"}}]}]}]}

is answered with one result per job, in order: how many packs are done, the state after them, and, where a command of
the next one failed, which and why. What is not answered so is nobody's error: the packs wait, and are sent again later.

    {"results": [{"done": 1, "state": {...}}, {"done": 0, "failed": {"index": 0, "code": "refused", "detail": "poor"}}]}
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Annotated, Any, Final

import msgspec
from msgspec import Meta, Struct

from core.clock import new_id
from core.outbound import Outbound, Refused, signed
from core.packs import DETAIL_MOST, STATE_BYTES, StoredPack, read_pack
from gamepod.worker.execute import Done, Failed, Job

ANSWER_BYTES: Final = 4_194_304


class _Failed(Struct, frozen=True):
    index: Annotated[int, Meta(ge=0)]
    code: Annotated[str, Meta(pattern="^[a-z][a-z0-9-]{0,31}$")] = "refused"
    detail: str = ""


class _Result(Struct, frozen=True):
    done: Annotated[int, Meta(ge=0)]
    state: dict[str, Any] | None = None
    failed: _Failed | None = None


class _Answer(Struct, frozen=True):
    results: list[_Result]


_answer: Final = msgspec.json.Decoder(_Answer)


class Calls:
    """Calls games' URLs."""

    def __init__(self, outbound: Outbound, within_s: float) -> None:
        self._outbound, self._within_s = outbound, within_s

    async def run(self, game: str, url: str, key: bytes, players: Sequence[str], jobs: Sequence[Job]) -> list[Done]:
        """What came of each job."""
        packs = [[read_pack(text) for text in job.packs] for job in jobs]
        body = msgspec.json.encode({"game": game, "jobs": list(map(_job, players, jobs, packs))})
        try:
            headers = signed(key, new_id("event"), int(time.time()), body)
            answer = await self._outbound.post(url, body, headers, within_s=self._within_s, most=ANSWER_BYTES)
            results = _answer.decode(answer).results
            if len(results) != len(jobs):
                raise Refused(f"it answered {len(results)} results to {len(jobs)} jobs")
        except (Refused, msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            what = str(error) if isinstance(error, Refused) else f"its answer is not understood: {error}"
            return [Done(0, 0, 0, b"", None, f"the handler's URL: {what}"[:DETAIL_MOST]) for _ in jobs]
        return [_done(result, of) for result, of in zip(results, packs, strict=True)]


def _job(player: str, job: Job, packs: list[StoredPack]) -> dict[str, Any]:
    return {
        "player": player,
        "state": msgspec.Raw(job.state.encode()),
        "packs": [
            {
                "seq": pack.seq,
                "balance": pack.balance,
                "commands": [{"name": name, "at_ms": at_ms, "args": args} for name, at_ms, args in pack.commands],
            }
            for pack in packs
        ],
    }


def _done(result: _Result, packs: list[StoredPack]) -> Done:
    wrong = _wrong(result, packs)
    if wrong:
        return Done(0, 0, 0, b"", None, f"the handler's URL: {wrong}")
    ran = packs[: result.done]
    state = msgspec.json.encode(result.state) if ran else b""
    if len(state) > STATE_BYTES:
        return Done(0, 0, 0, b"", None, f"the handler's URL: a state has at most {STATE_BYTES} bytes")
    failed = None
    if result.failed is not None:
        name = packs[result.done].commands[result.failed.index][0]
        failed = Failed(result.failed.index, name, result.failed.code, result.failed.detail[:DETAIL_MOST])
    last_ms = ran[-1].commands[-1][1] if ran else 0
    return Done(len(ran), sum(len(pack.commands) for pack in ran), last_ms, state, failed)


def _wrong(result: _Result, packs: list[StoredPack]) -> str:
    """What is wrong with a result, or ''."""
    if result.done > len(packs):
        return f"of {len(packs)} packs it says that {result.done} are done"
    if result.done and result.state is None:
        return "a result with done packs has no state"
    if result.failed is None:
        return "" if result.done else "a result has neither done packs nor a failed command"
    if result.done == len(packs) or result.failed.index >= len(packs[result.done].commands):
        return "the failed command is none of the next pack"
    return ""
