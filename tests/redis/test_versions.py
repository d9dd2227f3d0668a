"""game_put, canary_put, canary_end: versions of a game, each step whole, each repeat recognised."""

from __future__ import annotations

import json
from typing import Any

import pytest

from core.errors import Fenced
from tests.redis.conftest import Game
from tests.redis.steps import NOW, create, lease, step


def doc(version: int, image: str = "x") -> str:
    return json.dumps({"id": "g", "version": version, "spec": {"accepting": True, "image": image}})


async def put(game: Game, expected: int, version: int, *, most: int = 20, instead: str = "", image: str = "x") -> Any:
    return await game.call("game_put", expected, doc(version, image), most, NOW + version, instead)


async def try_out(game: Game, expected: int, candidate: str, percent: float = 10) -> Any:
    return await game.call("canary_put", expected, candidate, percent, 20, NOW)


async def current(game: Game) -> int:
    return int(json.loads(await game.do("GET", "game"))["version"])


async def kept(game: Game) -> list[int]:
    return sorted(int(name) for name in await game.do("HKEYS", "versions") if name.isdigit())


async def over(game: Game) -> dict[str, Any]:
    return dict(json.loads(await game.do("HGET", "versions", "over")))


async def played(game: Game, token: int, number: int, version: int, event: str, reason: str) -> None:
    """A match of this version that ended so."""
    match, ticket, player = f"m{number}", f"t{number}", f"p{number}"
    await create(game, ticket, player, now=NOW + number)
    seat = {"id": player, "name": "", "team": "players", "ticket": ticket}
    document = json.dumps({"id": match, "players": [seat], "game_version": version})
    assert await game.call("match_claim", token, NOW, NOW + 60_000, 100, match, document, ticket) == ["ok"]
    assert (await game.call("server_attach", match, "s1", NOW, "{}"))[0] == "ok"
    if reason != "never_ready":
        assert (await step(game, match, "ready", server="s1"))[0] == "ok"
    assert (await step(game, match, event, reason=reason, most=1))[0] == "ok"


async def test_each_version_is_written_once(game: Game) -> None:
    """A repeat is recognised, a stale one refused, a number never skipped; the last ones are kept."""
    assert await put(game, 0, 1) == ["ok", 0]
    assert await put(game, 0, 1) == ["ok", 0]
    assert await put(game, 0, 1, image="other") == ["stale", 1]
    assert await put(game, 1, 3) == ["stale", 1]
    for version in range(2, 6):
        assert await put(game, version - 1, version, most=3) == ["ok", 0]
    assert (await current(game), await kept(game)) == (5, [3, 4, 5])


async def test_an_older_registration_becomes_a_version(game: Game) -> None:
    """One that was written before versions were kept is one of them at its next change."""
    await game.do("SET", "game", doc(7, "old"))
    assert await put(game, 7, 8) == ["ok", 0]
    assert await kept(game) == [7, 8]
    assert json.loads(await game.do("HGET", "versions", "7"))["spec"]["image"] == "old"


async def test_a_canary_is_promoted(game: Game) -> None:
    """One at a time, with a number of its own; the current one stays until then and cannot be changed beside it."""
    await put(game, 0, 1)
    assert await try_out(game, 2, doc(2)) == ["stale", 1]
    assert await try_out(game, 1, "") == ["none", 0]
    assert await try_out(game, 1, doc(3)) == ["stale", 1]
    assert await try_out(game, 1, doc(2), 10) == ["ok", 2]
    assert await try_out(game, 1, doc(2), 10) == ["ok", 2]
    assert await try_out(game, 1, doc(3)) == ["canary", 2]
    assert await try_out(game, 1, "", 50) == ["ok", 2]
    assert await game.do("HGET", "canary", "percent") == "50"
    assert await put(game, 1, 3) == ["canary", 2]
    assert (await current(game), await kept(game)) == (1, [1, 2])
    for _ in range(2):
        assert await game.call("canary_end", 2, "promoted", "", NOW) == ["ok", "promoted"]
    assert (await current(game), await game.do("EXISTS", "canary")) == (2, 0)
    assert await put(game, 2, 3) == ["ok", 0]


async def test_a_canary_ends_once(game: Game) -> None:
    """Aborted, it cannot be promoted by who was slower; its number is used up; a roll-back ends one."""
    await put(game, 0, 1)
    await try_out(game, 1, doc(2))
    assert await game.call("canary_end", 9, "aborted", "", NOW) == ["none", 0]
    assert await game.call("canary_end", 2, "aborted", "by hand", NOW) == ["ok", "aborted"]
    assert await game.call("canary_end", 2, "promoted", "", NOW) == ["ok", "aborted"]
    assert (await current(game), await over(game)) == (
        1,
        {"version": 2, "how": "aborted", "why": "by hand", "at_ms": NOW},
    )
    assert await put(game, 1, 2) == ["stale", 1]
    await try_out(game, 1, doc(3))
    assert await put(game, 1, 4, instead="rolled back") == ["ok", 0]
    assert (await current(game), (await over(game))["version"], await game.do("EXISTS", "canary")) == (4, 3, 0)


async def test_only_the_owner_of_the_lease_stops_a_canary(game: Game) -> None:
    """A matchmaker that lost the game has no say any more."""
    await put(game, 0, 1)
    await try_out(game, 1, doc(2))
    token = await lease(game)
    with pytest.raises(Fenced):
        await game.call("canary_end", 2, "stopped", "why", NOW, token + 1)
    assert await game.call("canary_end", 2, "stopped", "why", NOW, token) == ["ok", "stopped"]


async def test_what_came_of_matches_is_counted_by_version(game: Game) -> None:
    """Made, ready, ended and failed by reason; a canary keeps what was before; dropped versions lose theirs."""
    await put(game, 0, 1)
    token = await lease(game)
    await played(game, token, 1, 1, "finish", "exited")
    await played(game, token, 2, 1, "fail", "never_ready")
    await try_out(game, 1, doc(2))
    await played(game, token, 3, 2, "fail", "crashed")
    counted = {"1:created": "2", "1:ready": "1", "1:finish:exited": "1", "1:fail:never_ready": "1"}
    before = json.loads(await game.do("HGET", "canary", "before"))
    assert before == counted
    found = await game.do("HGETALL", "outcomes")
    found = found if isinstance(found, dict) else dict(zip(found[::2], found[1::2], strict=True))
    assert found == counted | {"2:created": "1", "2:ready": "1", "2:fail:crashed": "1"}
    assert await put(game, 1, 3, most=1, instead="x") == ["ok", 0]
    assert await game.do("EXISTS", "outcomes") == 0
    assert await kept(game) == [3]


async def test_a_removed_game_leaves_no_version(game: Game) -> None:
    """Registered anew it begins with 1."""
    await put(game, 0, 1)
    await put(game, 1, 2)
    await try_out(game, 2, doc(3))
    assert (await game.call("game_remove"))[0] == "ok"
    assert [await game.do("EXISTS", key) for key in ("versions", "canary", "outcomes")] == [0, 0, 0]
    assert await put(game, 0, 1) == ["ok", 0]
