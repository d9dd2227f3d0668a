"""What stands ready of a game, and why: told to its developer by what the matchmaker and the Redis functions left."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from core import keys
from core.clock import now_ms
from core.redis.client import Database
from core.supply import Told
from tests.webapi.support import Api

PATH = "/v1/games/tanks/supply"


async def tell(db: Database, **told: Any) -> None:
    """As a game's matchmaker does each second; there is none to do it again, so it is kept for longer."""
    text = msgspec.json.encode(Told(**({"at_ms": now_ms(), "want": 2, "ready": 1, "starting": 1} | told)))
    await db.do("SET", f"{keys.game('tanks')}:plan", text, "PX", 600_000)


async def test_supply_is_told_and_explained(api: Api, db: Database) -> None:
    """What there is, what is wanted and why, and what it has cost."""
    developer = await api.game(supply={"early": {}, "warm": {"servers": 1}})
    await tell(db, warm=1, early=2, in_time=0.4, used=0.9, idle_s=1.5, budget_s=8.0, held="no_room")
    counters = {"used_early": 3, "used_warm": 1, "cold": 4, "idle_early_ms": 2500, "idle_warm_ms": 9500}
    for name, number in {**counters, "unused_early": 2}.items():
        await db.do("HSET", f"{keys.game('tanks')}:supply", name, number)
    found = (await api.ask("GET", PATH, token=developer["access_token"])).body
    [shown] = (await api.ask("GET", "/v1/overview")).body["games"]
    assert shown["supply"] == {
        "wanted": 2, "ready": 1, "starting": 1, "why": "pool of 1; 2 to be filled soon; no host has room",
        "matches": [3, 1, 4], "wrong": 2, "idle_s_per_match": 1.5,
    }  # fmt: skip
    assert found["policy"] == ["early", "warm"]
    assert found["now"].pop("age_s") >= 0
    assert found["now"] == {
        "wanted": 2, "wanted_warm": 1, "wanted_early": 2, "ready": 1, "starting": 1, "start_s": 0.0,
        "tickets_per_min": 0.0, "matches_per_min": 0.0, "next": {"in_time": 0.4, "used": 0.9, "idle_s": 1.5},
        "budget_s": 8.0, "held": "no_room", "detail": "",
    }  # fmt: skip
    assert found["total"] == {
        "early_matches": 3, "warm_matches": 1, "cold_matches": 4, "early_idle_s": 2.5, "warm_idle_s": 9.5,
        "early_unused": 2, "warm_unused": 0, "idle_s_per_match": 1.5,
    }  # fmt: skip


async def test_on_demand_there_is_nothing_to_tell(api: Api, db: Database) -> None:
    """Without a policy no plan is shown, also not an old one; nor one that cannot be read."""
    developer = await api.game()
    await tell(db)
    found = (await api.ask("GET", PATH, token=developer["access_token"])).body
    assert (found["policy"], "now" in found, found["total"]["cold_matches"]) == ([], False, 0)
    assert "supply" not in (await api.ask("GET", "/v1/overview")).body["games"][0]


async def test_a_plan_of_another_version_is_passed_over(api: Api, db: Database) -> None:
    """During an upgrade a newer matchmaker may tell what we do not understand."""
    developer = await api.game(supply={"early": {}})
    await db.do("SET", f"{keys.game('tanks')}:plan", '{"at_ms": "soon"}')
    found = (await api.ask("GET", PATH, token=developer["access_token"])).body
    assert (found["policy"], "now" in found) == (["early"], False)


async def test_supply_is_the_developers(api: Api) -> None:
    """Neither players nor other developers see it; a game that is not there is not found."""
    developer = await api.game()
    stranger = await api.account("stranger", "developer")
    player = await api.guest()
    for who, status in ((stranger, 403), (player, 403), (developer, 200)):
        assert (await api.ask("GET", PATH, token=who["access_token"])).status == status
    assert (await api.ask("GET", "/v1/games/none/supply", token=developer["access_token"])).status == 404


@pytest.mark.parametrize(
    ("supply", "pointer"),
    [
        ({"early": {"probability": 2}}, "/supply/early/probability"),
        ({"warm": {"servers": 11}}, "/supply/warm/servers"),
        ({"warm": {"schedule": [{"from": "25:00", "to": "02:00", "servers": 1}]}}, "/supply/warm/schedule/0/from"),
        ({"erly": {}}, "/supply/erly"),
    ],
)
async def test_a_wrong_policy_is_refused_with_its_place(api: Api, supply: dict[str, Any], pointer: str) -> None:
    """The developer is pointed to what is wrong."""
    developer = await api.account("careless", "developer")
    body = {"id": "tanks", "server": {"arena": {}}, "players_per_match": 2, "supply": supply}
    answer = await api.ask("POST", "/v1/games", body, token=developer["access_token"])
    assert (answer.status, answer.body["pointer"]) == (422, pointer)
