"""An admin makes somebody a developer, and a player again: at once, for good, and whatever happens at the same time."""

from __future__ import annotations

from typing import Any

import pytest

from core import keys
from core.clock import new_id, now_ms
from core.redis.client import Database
from tests.support import eventually
from tests.webapi.support import ARENA, PASSWORD, Answer, Api, open_api


@pytest.fixture
async def admin(redis_url: str, api: Api) -> str:
    """An access token of an admin."""
    async with open_api(redis_url, admin_name="Root", admin_password=PASSWORD) as other:
        await eventually(lambda: _is_ready(other))
    answer = await api.ask("POST", "/v1/login", {"name": "root", "password": PASSWORD})
    return str(answer.body["access_token"])


async def _is_ready(api: Api) -> bool:
    return (await api.ask("GET", "/readyz")).status == 200


async def _login(api: Api, name: str) -> dict[str, Any]:
    return dict((await api.ask("POST", "/v1/login", {"name": name, "password": PASSWORD})).body)


async def _change(api: Api, admin: str, player: str, role: str) -> Answer:
    return await api.ask("PUT", f"/v1/accounts/{player}/role", {"role": role}, token=admin)


async def test_an_admin_makes_a_developer_by_name(api: Api, admin: str) -> None:
    """Found by name in any case; his sessions end, and at the next login he registers a game."""
    before = await api.account("Studio")
    found = await api.ask("GET", "/v1/accounts?name=STUDIO", token=admin)
    assert (found.body["player"], found.body["role"]) == (before["player"], "player")
    changed = await _change(api, admin, found.body["player"], "developer")
    assert (changed.status, changed.body["role"]) == (200, "developer")
    assert (await api.ask("GET", "/v1/me", token=before["access_token"])).problem == "token-revoked"
    assert (await api.ask("POST", "/v1/refresh", {"refresh_token": before["refresh_token"]})).status == 401
    after = await _login(api, "studio")
    assert after["role"] == "developer"
    made = await api.ask("POST", "/v1/games", {"id": "tanks", **ARENA}, token=after["access_token"])
    assert made.status == 201


async def test_a_developer_who_is_a_player_again_registers_nothing(api: Api, admin: str) -> None:
    """With none of his tokens, old or new; the same change asked twice is the same."""
    developer = await api.game("tanks")
    for _ in range(2):
        assert (await _change(api, admin, developer["player"], "player")).body["role"] == "player"
    old, new = developer, await _login(api, developer["name"])
    for session, status in ((old, 401), (new, 403)):
        answer = await api.ask("POST", "/v1/games", {"id": "more", **ARENA}, token=session["access_token"])
        assert answer.status == status


async def test_a_login_under_way_does_not_bring_an_old_role_back(api: Api, admin: str, db: Database) -> None:
    """Who was checked before the change and let in after it has the new role, in his token and in his account."""
    developer = await api.account("Dev", "developer")
    checked = await api.services.login.enter("dev", PASSWORD, "192.0.2.1", now_ms())
    assert checked.account.role == "developer"
    assert (await _change(api, admin, developer["player"], "player")).status == 200
    let_in, refresh = await api.services.accounts.open_session(checked.account, now_ms(), checked)
    assert let_in.role == "player"
    assert await db.do("HGET", keys.account(developer["player"]), "role") == "player"
    fresh = await api.ask("POST", "/v1/refresh", {"refresh_token": refresh.text})
    assert fresh.body["role"] == "player"


async def test_a_change_that_stopped_half_way_is_ended_by_the_next_login(api: Api, admin: str, db: Database) -> None:
    """The name's record is written first, and an account is written from that; asked again, it is whole as well."""
    made = await api.account("Half")
    await db.call("login_role", keys.login("half"), made["player"], "developer")
    assert (await api.ask("GET", "/v1/accounts?name=half", token=admin)).body["role"] == "developer"
    assert (await _login(api, "half"))["role"] == "developer"
    assert await db.do("HGET", keys.account(made["player"]), "role") == "developer"
    assert (await _change(api, admin, made["player"], "developer")).status == 200


async def test_who_has_no_role_to_change(api: Api, admin: str) -> None:
    """Guests, admins, people who are not there, and roles that nobody is given."""
    guest = await api.guest()
    assert (await _change(api, admin, guest["player"], "developer")).problem == "guest"
    root = await api.ask("GET", "/v1/me", token=admin)
    assert (await _change(api, admin, root.body["player"], "player")).problem == "role-fixed"
    assert (await _change(api, admin, new_id("player"), "developer")).problem == "not-found"
    for role in ("admin", "server", ""):
        assert (await _change(api, admin, guest["player"], role)).body["pointer"] == "/role"
    assert (await api.ask("GET", "/v1/accounts?name=nobody", token=admin)).problem == "not-found"


async def test_only_admins_change_roles_and_look_up_names(api: Api) -> None:
    """Nobody makes himself a developer."""
    for session in (await api.guest(), await api.account("Ada"), await api.account("Dev", "developer")):
        token, player = session["access_token"], session["player"]
        assert (await _change(api, token, player, "developer")).problem == "forbidden"
        assert (await api.ask("GET", "/v1/accounts?name=ada", token=token)).problem == "forbidden"
