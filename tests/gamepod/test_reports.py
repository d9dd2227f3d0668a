"""A game tells its sidecar how its players did, and that outlives the game and the sidecar."""

from __future__ import annotations

import json
import os
import signal
from typing import Any

import pytest

from core.boards import BoardStore
from core.model import MatchPlayer, Server
from core.report import MAX_REPORT_BYTES
from tests.gamepod.sdk.side import call
from tests.gamepod.stage import GAME, Stage
from tests.gamepod.test_command_match import gone, pid_of, sdk_match


def ranked(*seats: MatchPlayer, **more: Any) -> dict[str, Any]:
    """A report of players, best first."""
    return {"players": [{"player": seat.id, "rank": i + 1} for i, seat in enumerate(seats)], **more}


async def send(port: int, report: Any) -> tuple[int, Any]:
    """Report to the sidecar: status and decoded body."""
    return await call(port, "POST", "/muster/v1/report", json.dumps(report).encode())


async def test_a_report_is_kept_until_the_match_is_over(stage: Stage) -> None:
    """Between Ready and the end a game reports as often as it likes; the last one stands beside the server's result."""
    match, pod, port = await sdk_match(stage)
    one, other = match.players
    status, body = await send(port, ranked(one, other))
    assert (status, body["code"]) == (400, 9)  # nothing has been played yet
    assert await call(port, "POST", "/ready") == (200, {})
    await stage.reached(match, "RUNNING")
    for report in (ranked(one, other), ranked(other, one, map="mars")):
        assert await send(port, report) == (200, {})
    assert await call(port, "POST", "/shutdown") == (200, {})
    ended = await stage.reached(match, "ENDED")
    assert json.loads(ended["report"]) == ranked(other, one, map="mars")
    assert json.loads(ended["result"]).keys() == {"exit_code"}  # by its own handler, or before it had one
    assert await pod.ended() == 0


async def test_reported_scores_are_on_the_board_once_the_match_is_over(stage: Stage) -> None:
    """The scores of the last report count when the match ends as it should; those of one that crashed do not."""
    board = BoardStore(stage.db, GAME)
    for how, wanted in (("/shutdown", [40.5, 12.0]), ("kill", [40.5, 12.0])):
        match, pod, port = await sdk_match(stage)
        one, other = match.players
        await call(port, "POST", "/ready")
        await stage.reached(match, "RUNNING")
        for best in (90, 40.5):
            report = {"players": [{"player": one.id, "score": 12}, {"player": other.id, "score": best}]}
            assert await send(port, report) == (200, {})
        assert len((await board.view("score", count=9)).entries) == (0 if how == "/shutdown" else 2)
        if how == "kill":
            os.kill(await pid_of(pod), signal.SIGKILL)
            await stage.reached(match, "FAILED")
        else:
            await call(port, "POST", how)
            await stage.reached(match, "ENDED")
        await pod.ended()
        found = (await board.view("score", count=9)).entries
        assert [entry.score for entry in found] == wanted


async def test_a_report_outlives_its_sidecar(stage: Stage) -> None:
    """What was answered with 200 is in Redis, though everything is killed right after."""
    match, pod, port = await sdk_match(stage)
    await call(port, "POST", "/ready")
    await stage.reached(match, "RUNNING")
    assert await send(port, ranked(*match.players)) == (200, {})
    pod.process.kill()
    assert json.loads((await stage.found(match))["report"]) == ranked(*match.players)
    await gone(await pid_of(pod))


async def test_a_wrong_report_is_refused_in_words(stage: Stage) -> None:
    """A report that leaves something open is refused with what is missing, and nothing is kept."""
    match, _, port = await sdk_match(stage)
    await call(port, "POST", "/ready")
    await stage.reached(match, "RUNNING")
    one, other = match.players
    wrong: list[tuple[Any, str]] = [
        (ranked(one), other.id),
        (ranked(one, other, left=["p-eve"]), "p-eve"),
        ({"players": [{"player": one.id}, {"player": other.id}]}, "rank"),
        ({"winner": one.id}, "players"),
        ([], "object"),
    ]
    for report, word in wrong:
        status, body = await send(port, report)
        assert (status, body["code"]) == (400, 3), body
        assert word in body["message"]
    large = ranked(one, other, padding="x" * MAX_REPORT_BYTES)
    assert (await send(port, large))[0] == 413
    assert "report" not in await stage.found(match)


@pytest.mark.parametrize("body", [{"players": []}, None])
async def test_the_arena_reports_by_itself(stage: Stage, body: Any) -> None:
    """Nobody on the host can tell how a match of the built-in arena went."""
    match = await stage.match(Server(arena={}))
    pod = stage.start(match)
    await stage.reached(match, "RUNNING")
    port = (await pod.said("attached"))["sdk_port"]
    assert (await send(port, body))[0] == 400
    assert "report" not in await stage.found(match)
