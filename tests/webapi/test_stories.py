"""What happened to a match and a player, what was counted and flagged, and who may see and do what about it."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import quote

import pytest

from core import keys
from core.clock import now_ms
from core.interactions import Attack, Happening, Move, pack
from core.redis.client import Database
from tests.support import eventually
from tests.webapi.support import PASSWORD, Api, claim, end, make_ready, open_api

JSON = dict[str, Any]


@pytest.fixture
async def admin(redis_url: str, api: Api) -> str:
    """An access token of an admin."""

    async with open_api(redis_url, admin_name="Root", admin_password=PASSWORD) as other:

        async def ready() -> bool:
            return (await other.ask("GET", "/readyz")).status == 200

        await eventually(ready)
    answer = await api.ask("POST", "/v1/login", {"name": "root", "password": PASSWORD})
    return str(answer.body["access_token"])


async def played(api: Api, db: Database, *names: str) -> tuple[str, list[JSON]]:
    """A match of these that runs; its id and its players."""
    players = [await api.guest(name) for name in names]
    tickets = [await api.ticket(player) for player in players]
    match = await claim(db, "tanks", *tickets)
    await make_ready(db, "tanks", match)
    return match, players


async def log(db: Database, match: str, players: list[JSON]) -> None:
    """What the match's server logs: who comes, moves, harms and leaves."""
    at, (one, two) = now_ms(), [player["player"] for player in players]
    rows = [
        Move(f"{match}-1", at, one, 1.0, 1.0),
        Attack(f"{match}-2", at, one, two, 20.0),
        Attack(f"{match}-3", at, one, two, 5.5),
    ]
    events = [
        Happening("player_joined_session", 0, at, one, {"team": "players"}),
        Happening("player_left_session", 3, at + 5, two, {"reason": "left"}),
    ]
    batch = pack(rows, events=events)
    assert (await db.call("log_append", keys.shard("tanks", match), match, 1, 3, batch, 1000))[0] == "ok"


async def test_the_story_of_a_match(api: Api, db: Database) -> None:
    """From its tickets to its end, in order, with names; what there is much of is summed up by player."""
    developer = await api.game()
    match, players = await played(api, db, "Ann <b>", "Bob")
    other, _ = await played(api, db, "Cy", "Di")
    await log(db, match, players)
    await end(db, "tanks", match)
    told = await api.ask("GET", f"/v1/matches/tanks/{match}/story", token=developer["access_token"])
    assert (told.status, told.body["state"], told.body["partial"]) == (200, "ENDED", False)
    events = told.body["events"]
    names = [one["event"] for one in events]
    assert names[-1] in ("session_removed", "player_left_session")
    assert set(names) == {
        "ticket_created", "ticket_matched", "ticket_placed", "new_match_created", "session_created",
        "player_joined_session", "player_left_session", "played", "session_removed",
    }  # fmt: skip
    assert [one["at"] for one in events] == sorted(one["at"] for one in events)
    assert {one.get("match", match) for one in events} == {match} != {other}
    [sum_] = [one for one in events if one["event"] == "played"]
    assert sum_["detail"] == {"tank_moved": 1, "tank_took_damage": 2, "damage": 25.5}
    assert (sum_["player"], sum_["name"]) == (players[0]["player"], "Ann <b>")


async def test_a_story_ends_with_its_match(api: Api, db: Database) -> None:
    """What comes of the tickets of a match that failed, and of its players, is told in the next one's story."""
    developer = await api.game()
    players = [await api.guest(name) for name in ("Ann", "Bob")]
    tickets = [await api.ticket(player) for player in players]
    failed = await claim(db, "tanks", *tickets)
    await end(db, "tanks", failed, "fail", "never_ready")
    await db.call("ticket_end", keys.game("tanks"), tickets[1]["id"], "cancelled", now_ms() + 5, "cancelled", "", "")
    next_one = await claim(db, "tanks", tickets[0])
    await make_ready(db, "tanks", next_one)
    for presence in (now_ms() - 60_000, now_ms() + 60_000):  # online before, and online after
        base = keys.presence(keys.presence_number(players[1]["player"]))
        session = json.dumps(["tanks", presence, presence + 1000])
        await db.do("RPUSH", f"{base}:sessions:{players[1]['player']}", session)

    async def story(match: str) -> list[tuple[str, str]]:
        told = await api.ask("GET", f"/v1/matches/tanks/{match}/story", token=developer["access_token"])
        return [(one["event"], one.get("match", "")) for one in told.body["events"]]

    first = await story(failed)
    assert sorted(first) == sorted(
        2 * [("ticket_created", ""), ("ticket_matched", failed), ("ticket_requeued", failed)]
        + [("new_match_created", failed), ("match_failed", failed)]
    )
    second = await story(next_one)
    assert ("ticket_placed", next_one) in second
    assert ("ticket_cancelled", "") not in first + second
    assert ("ticket_requeued", failed) in second  # how its ticket came to it


async def test_the_story_of_a_player(api: Api, db: Database, admin: str) -> None:
    """His tickets and matches in a game; for admins how he came in, in all games."""
    developer = await api.game()
    match, players = await played(api, db, "Ann", "Bob")
    await played(api, db, "Cy", "Di")
    await log(db, match, players)
    ann = players[0]["player"]
    told = await api.ask("GET", f"/v1/games/tanks/players/{ann}/story", token=developer["access_token"])
    assert (told.body["name"], told.body["matches"]) == ("Ann", [match])
    names = [one["event"] for one in told.body["events"]]
    assert names.count("ticket_placed") == names.count("session_created") == names.count("player_joined_session") == 1
    assert "player_left_session" not in names  # that was Bob

    async def came_in() -> list[JSON]:
        story = await api.ask("GET", f"/v1/players/{ann}/story", token=admin)
        return [one for one in story.body["events"] if one["event"] == "guest_made"]

    [made] = await eventually(came_in)
    assert made["detail"]["via"] == "rest"


async def test_counts_and_flags_are_shown(api: Api, db: Database, admin: str) -> None:
    """By the minute, the latest last; flags the latest first, of one game or of all."""
    developer = await api.game()
    minute = now_ms() // 60_000
    base = keys.counted_base("tanks")
    flags: list[str] = []
    for n, name in enumerate(("impossible_speed", "impossible_damage")):
        about = {
            "id": f"{name}-1",
            "event": name,
            "at_ms": 60_000 * minute + n,
            "game": "tanks",
            "match": "m",
            "player": "p",
        }
        flags += [f"{name}-1", str(minute), "m", json.dumps({**about, "metres": 80})]
    ten = minute - minute % 10
    counts = [str(ten), f"{minute % 10}:tank_moved", "3", str(ten), f"{minute % 10}:damage", "2.5"]
    await db.call("analytics_add", base, 1, 3600, 1, 2, "c", "", "1-1", *counts, *flags)
    await db.call("analytics_begin", keys.counted_base(""), "redis")
    token = developer["access_token"]
    told = await api.ask("GET", "/v1/games/tanks/analytics?minutes=5", token=token)
    assert (told.body["source"], told.body["counting"]) == ("redis", False)
    assert {name: sum(values) for name, values in told.body["counts"].items()} == {
        "tank_moved": 3,
        "damage": 2.5,
        "flags": 2,
    }
    assert {len(values) for values in told.body["counts"].values()} == {5}
    for path, who in (("/v1/games/tanks/flags", token), ("/v1/flags", admin)):
        shown = (await api.ask("GET", path, token=who)).body["flags"]
        assert [(one["event"], one["game"], one["about"]) for one in shown] == [
            ("impossible_damage", "tanks", {"metres": 80}), ("impossible_speed", "tanks", {"metres": 80}),
        ]  # fmt: skip
    assert (await api.ask("GET", "/v1/games/tanks/analytics?minutes=0", token=token)).problem == "invalid"
    assert (await api.ask("GET", "/v1/flags?limit=501", token=admin)).problem == "invalid"


async def test_where_nobody_counts_it_is_said(api: Api, db: Database, admin: str) -> None:
    """No flags mean something only while somebody looks for them: whether somebody does, and when somebody last did."""
    token = (await api.game())["access_token"]

    async def counting(path: str, who: str) -> tuple[bool, str]:
        told = (await api.ask("GET", path, token=who)).body
        assert (told.get("flags", []), told.get("counts", {})) == ([], {})
        return told["counting"], told.get("counted_at", "")

    paths = [(f"/v1/{of}{what}", who) for of, who in (("games/tanks/", token), ("", admin)) for what in
             ("flags", "analytics")]  # fmt: skip
    assert {await counting(*one) for one in paths} == {(False, "")}
    for unit, seen in (("tanks", paths[:2]), ("kafka", paths)):
        lease = keys.sink("analytics", unit)
        await db.call("lease_take", lease, "counter", 60_000, 0)
        assert [(now, bool(at)) for now, at in [await counting(*one) for one in seen]] == [(True, True)] * len(seen)
        await db.call("lease_drop", lease, "counter")
        for now, at in [await counting(*one) for one in seen]:
            assert not now
            assert at > "2026"


async def test_a_match_and_a_player_are_found(api: Api, db: Database, admin: str) -> None:
    """By id, in one's own games; by name for admins, whatever is typed."""
    developer = await api.game()
    other = await api.account("Other", "developer")
    match, players = await played(api, db, "Ann", "Bob")
    ann = players[0]["player"]
    named = await api.account("Eve /?&")

    async def look(what: str, token: str) -> Any:
        return await api.ask("GET", f"/v1/search?what={quote(what, safe='')}", token=token)

    for token in (developer["access_token"], admin):
        assert (await look(match, token)).body == {"kind": "match", "id": match, "games": ["tanks"], "name": ""}
        assert (await look(ann, token)).body == {"kind": "player", "id": ann, "games": ["tanks"], "name": "Ann"}
    assert (await look("eve /?&", admin)).body["id"] == named["player"]
    assert (await look("eve /?&", developer["access_token"])).problem == "not-found"
    assert (await look(match, other["access_token"])).problem == "no-such-match"
    assert (await look(ann, other["access_token"])).body["games"] == []
    for odd in ("", "m-", "*", "}{", "a" * 500):
        assert (await look(odd, admin)).status == 404
    assert (await look(ann, players[0]["access_token"])).status == 403


async def test_others_see_nothing(api: Api, db: Database, admin: str) -> None:
    """A developer sees his own games only; players see none of it, not even their own match's story."""
    await api.game()
    match, players = await played(api, db, "Ann", "Bob")
    stranger = await api.account("Other", "developer")
    ann = players[0]["player"]
    game_paths = ("/v1/games/tanks/analytics", "/v1/games/tanks/flags", f"/v1/games/tanks/players/{ann}/story")
    site_paths = ("/v1/analytics", "/v1/flags", f"/v1/players/{ann}/story")
    for path in (*game_paths, *site_paths):
        for who in (stranger, players[0]):
            assert (await api.ask("GET", path, token=who["access_token"])).status == 403
        assert (await api.ask("GET", path)).status == 401
        assert (await api.ask("GET", path, token=admin)).status == 200
    story = f"/v1/matches/tanks/{match}/story"
    assert (await api.ask("GET", story, token=stranger["access_token"])).problem == "no-such-match"
    assert (await api.ask("GET", story, token=players[0]["access_token"])).status == 403
    assert (await api.ask("GET", story, token=admin)).status == 200


async def test_an_admin_ends_a_match_and_cancels_a_ticket(api: Api, db: Database, admin: str) -> None:
    """Nobody else may; a match that is over is over, and one that does not run cannot be ended."""
    developer = await api.game()
    match, players = await played(api, db, "Ann", "Bob")
    path = f"/v1/matches/tanks/{match}"
    for who in (developer, players[0]):
        assert (await api.ask("DELETE", path, token=who["access_token"])).status == 403
    for _ in range(2):
        assert (await api.ask("DELETE", path, token=admin)).status == 204
    found = await api.ask("GET", path, token=admin)
    assert (found.body["state"], found.body["reason"]) == ("ENDED", "ended_by_operator")
    waiting = await api.guest("Cy")
    ticket = await api.ticket(waiting)
    cancel = f"/v1/tickets/tanks/{ticket['id']}"
    assert (await api.ask("DELETE", cancel, token=players[0]["access_token"])).problem == "no-such-ticket"
    assert (await api.ask("DELETE", cancel, token=admin)).body["status"] == "CANCELLED"
    placing = await claim(db, "tanks", await api.ticket(waiting))
    assert (await api.ask("DELETE", f"/v1/matches/tanks/{placing}", token=admin)).problem == "not-running"
    assert (await api.ask("DELETE", f"/v1/matches/tanks/m-{26 * '0'}", token=admin)).problem == "no-such-match"
