"""Inventories, grants, exchanges, their audit, and who is near, over HTTP: who may, and what is refused."""

from __future__ import annotations

from typing import Any

import pytest

from core import keys
from core.clock import new_id, now_ms
from core.interactions import Columns, Move
from core.near import near_calls
from core.redis.client import Database
from core.views import Views, view_calls
from tests.webapi.support import Api

SHELLS = {"kind": "shell", "quantity": 5, "id": ""}
SWORD = {"kind": "sword", "quantity": 1, "id": "u1"}


def path(player: dict[str, Any], rest: str) -> str:
    return f"/v1/games/tanks/players/{player['player']}/{rest}"


async def test_a_developer_grants_and_players_see(api: Api) -> None:
    """A grant is made once however often it is sent; its player, the developer and nobody else see what came of it."""
    owner = await api.game()
    ann, eve = await api.guest("Ann"), await api.guest("Eve")
    other = await api.account("another dev", "developer")
    body = {"items": [SHELLS, {"kind": "sword", "id": "u1"}], "id": new_id("exchange")}
    first = await api.ask("POST", path(ann, "grants"), body, token=owner["access_token"])
    assert (first.status, first.body["give"], first.body["by"]) == (200, [SHELLS, SWORD], owner["player"])
    assert (await api.ask("POST", path(ann, "grants"), body, token=owner["access_token"])).body == first.body
    for who in (ann, owner):
        seen = await api.ask("GET", path(ann, "inventory"), token=who["access_token"])
        assert seen.body == {"player": ann["player"], "items": [SHELLS, SWORD]}
        audit = await api.ask("GET", path(ann, "inventory/audit"), token=who["access_token"])
        assert audit.body == {"moves": [first.body]}
    for who in (eve, other):
        for rest in ("inventory", "inventory/audit"):
            assert (await api.ask("GET", path(ann, rest), token=who["access_token"])).problem == "not-yours"
    assert (await api.ask("GET", path(ann, "inventory"))).status == 401
    assert (await api.ask("POST", path(ann, "grants"), body, token=ann["access_token"])).status == 403
    assert (await api.ask("POST", path(ann, "grants"), body, token=other["access_token"])).problem == "not-yours"
    assert (await api.ask("GET", "/v1/games/tanks/items/audit", token=other["access_token"])).problem == "not-yours"
    assert (await api.ask("GET", "/v1/games/tanks/items/audit", token=owner["access_token"])).body == audit.body
    assert (await api.ask("GET", "/v1/games/none/items/audit", token=owner["access_token"])).problem == "no-such-game"


async def test_an_exchange_is_made_by_the_developer(api: Api) -> None:
    """Both ways at once; what cannot be is refused with its name; the audit is read by time."""
    owner = await api.game()
    token = owner["access_token"]
    ann, bob = await api.guest("Ann"), await api.guest("Bob")
    await api.ask("POST", path(ann, "grants"), {"items": [SHELLS]}, token=token)
    body = {"a": ann["player"], "b": bob["player"], "give": [{"kind": "shell", "quantity": 2}], "match": "m-1"}
    assert (await api.ask("POST", "/v1/games/tanks/exchanges", body, token=token)).problem == "unknown-player"
    await api.ask("POST", path(bob, "grants"), {"items": [SWORD]}, token=token)
    body["get"] = [SWORD]
    made = await api.ask("POST", "/v1/games/tanks/exchanges", body, token=token)
    assert (made.body["kind"], made.body["match"], made.body["get"]) == ("exchange", "m-1", [SWORD])
    again = await api.ask("POST", "/v1/games/tanks/exchanges", body, token=token)
    assert (again.status, again.problem) == (409, "not-owned")
    taken = await api.ask("POST", path(ann, "takes"), {"items": [SWORD]}, token=token)
    assert (taken.body["a"], taken.body["b"]) == (ann["player"], "")
    moves = (await api.ask("GET", path(ann, "inventory/audit?limit=2"), token=token)).body["moves"]
    assert [move["kind"] for move in moves] == ["take", "exchange"]
    none = await api.ask("GET", path(ann, f"inventory/audit?since_ms={now_ms() + 60_000}"), token=token)
    assert none.body == {"moves": []}
    assert (await api.ask("GET", "/v1/games/tanks/items/audit?until_ms=5", token=token)).body == {"moves": []}


@pytest.mark.parametrize(
    ("item", "pointer"),
    [
        ({"kind": "shell", "quantity": 0}, "/items/0/quantity"),
        ({"kind": "shell", "quantity": -1}, "/items/0/quantity"),
        ({"kind": "shell", "quantity": 1.5}, "/items/0/quantity"),
        ({"kind": "shell", "quantity": 2**53}, "/items/0/quantity"),
        ({"kind": "a b"}, "give/0/kind"),
        ({"kind": "sword", "id": "u1", "quantity": 2}, "give/0/quantity"),
        ({"kind": "shell", "colour": "red"}, "/items/0/colour"),
    ],
)
async def test_bad_items_are_refused(api: Api, item: dict[str, Any], pointer: str) -> None:
    """With the place, before anything is written."""
    owner = await api.game()
    ann = await api.guest("Ann")
    answer = await api.ask("POST", path(ann, "grants"), {"items": [item]}, token=owner["access_token"])
    assert (answer.status, answer.body["pointer"]) == (422, pointer)
    bad_id = await api.ask("POST", path(ann, "grants"), {"items": [SHELLS], "id": "1"}, token=owner["access_token"])
    assert bad_id.body["pointer"] == "id"
    nobody = f"/v1/games/tanks/players/{new_id('player')}/grants"
    assert (await api.ask("POST", nobody, {"items": [SHELLS]}, token=owner["access_token"])).problem == "no-such-player"


async def test_who_is_near(api: Api, db: Database) -> None:
    """A player asks around himself, the developer around anybody and any place, and only where the game has it on."""
    owner = await api.game(near=True)
    ann, bob = await api.guest("Ann"), await api.guest("Bob")
    places = {ann["player"]: (48.0, 2.0), bob["player"]: (48.001, 2.0)}
    views = Views()
    moves = [Move(f"w-{i}", now_ms(), player, *place) for i, (player, place) in enumerate(places.items())]
    asked = f"/v1/games/tanks/near?player={ann['player']}&radius_m=500"
    assert (await api.ask("GET", asked, token=ann["access_token"])).problem == "no-position"
    views.add(Columns(moves))
    for base, args in view_calls("tanks", views, move_ttl_ms=30_000):
        await db.call("views_write", base, *args)
    for base, args in near_calls("tanks", moves, ttl_s=30):
        await db.call("near_add", base, *args)
    for who in (ann, owner):
        (found,) = (await api.ask("GET", asked, token=who["access_token"])).body["players"]
        assert (found["player"], found["lat"], found["lon"]) == (bob["player"], 48.001, 2.0)
        assert found["distance_m"] == pytest.approx(111.2, abs=0.1)
    assert (await api.ask("GET", asked, token=bob["access_token"])).problem == "not-yours"
    place = "/v1/games/tanks/near?lat=48&lon=2"
    assert (await api.ask("GET", place, token=ann["access_token"])).problem == "not-yours"
    told = (await api.ask("GET", place, token=owner["access_token"])).body["players"]
    assert [one["player"] for one in told] == [ann["player"], bob["player"]]
    assert (await api.ask("GET", place)).status == 401
    for bad in ("", "?lat=48", "?lat=91&lon=0", "?lat=nan&lon=0", f"?lat=1&lon=1&player={bob['player']}",
                "?lat=1&lon=1&radius_m=0", "?lat=1&lon=1&top=101"):  # fmt: skip
        answer = await api.ask("GET", "/v1/games/tanks/near" + bad, token=owner["access_token"])
        assert answer.status == 422, bad
    assert await db.do("EXISTS", f"{keys.shard('tanks', ann['player'])}:near")


async def test_near_is_off_unless_registered(api: Api) -> None:
    """A game that did not ask for it says so."""
    owner = await api.game()
    answer = await api.ask("GET", "/v1/games/tanks/near?lat=1&lon=1", token=owner["access_token"])
    assert answer.problem == "near-off"
