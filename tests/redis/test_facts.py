"""What happens to a match is in the game's log once, in the step that made it true."""

from __future__ import annotations

import json
from typing import Any

from tests.redis.conftest import Game
from tests.redis.steps import NOW, claim, create, duel, lease, register, step


async def facts(game: Game) -> list[dict[str, Any]]:
    """All facts of the game, oldest first."""
    rows = await game.do("XRANGE", "log", "-", "+")
    found = [
        fields if isinstance(fields, dict) else dict(zip(fields[::2], fields[1::2], strict=True)) for _, fields in rows
    ]
    assert {row["batch"] for row in found} <= {"0"}
    return [json.loads(row["data"]) for row in found]


async def test_a_session_is_told_from_its_beginning_to_its_end(game: Game) -> None:
    """Made, ready, over; a repeat of a step tells nothing again."""
    await duel(game)
    await step(game, "m1", "finish", server="s1", reason="score")
    await step(game, "m1", "finish", server="s1", reason="score")
    made, created, removed = await facts(game)
    assert [one["event"] for one in (made, created, removed)] == [
        "new_match_created",
        "session_created",
        "session_removed",
    ]
    assert [(one["id"], one["match"]) for one in (created, removed)] == [
        ("session_created-m1", "m1"), ("session_removed-m1", "m1")
    ]  # fmt: skip
    assert [player["id"] for player in made["players"]] == ["p1", "p2"]
    assert created["server"] == "s1"
    assert (removed["outcome"], removed["reason"], removed["at_ms"]) == ("ENDED", "score", NOW + 500)


async def test_a_match_that_never_began_has_failed(game: Game) -> None:
    """Its server did not come, or its players did not accept."""
    await duel(game, ready=False)
    await step(game, "m1", "fail", reason="never_ready")
    assert [one["event"] for one in await facts(game)] == ["new_match_created", "match_failed"]
    assert (await facts(game))[-1]["reason"] == "never_ready"


async def test_a_proposal_that_is_turned_down_has_failed(game: Game) -> None:
    """One of those who were asked says no."""
    await register(game)
    for number in (1, 2):
        await create(game, f"t{number}", f"p{number}", now=NOW + number)
    await claim(game, await lease(game), "m1", "t1", "t2", ask_s=30)
    await step(game, "m1", "fail", reason="acceptance_timed_out")
    assert [one["event"] for one in await facts(game)] == ["new_match_created", "match_failed"]


async def test_facts_that_name_an_erased_player_are_taken_out(game: Game) -> None:
    """Others stay, and what a reader has yet to carry away; a step looks at so many, and tells where it stopped."""
    await duel(game)
    await step(game, "m1", "finish", server="s1", reason="score")
    assert await game.call("reader_join", "sink", "oldest") == ["0-0", 0]
    assert await game.call("facts_forget", "p1", "-", 500) == [0, ""]
    rows = await game.do("XRANGE", "log", "-", "+")
    await game.call("reader_commit", "sink", rows[0][0])
    assert await game.call("facts_forget", "p", "-", 1) == [0, rows[0][0]]
    assert await game.call("facts_forget", "p1", "-", 500) == [1, ""]
    assert [one["event"] for one in await facts(game)] == ["session_created", "session_removed"]
    assert await game.call("facts_forget", "p1", "-", 500) == [0, ""]
