"""Keys for programs and invitations: what they may, and every way in which they end."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from core import keys
from core.clock import new_id, now_ms
from core.redis.client import Database
from tests.webapi.support import ARENA, PASSWORD, Api, open_api
from webapi.auth import Tokens
from webapi.store import apikeys, developer_invitations


@pytest.fixture
def admin(api: Api) -> str:
    """An admin's token."""
    return Tokens(api.services.secret, 600).mint(new_id("player"), "Root", "admin", new_id("session"), now_ms() // 1000)


async def make(api: Api, token: str, *scopes: str, **more: Any) -> dict[str, Any]:
    """A new key: its document and its secret."""
    answer = await api.ask("POST", "/v1/keys", {"name": "ci", "scopes": list(scopes), **more}, token=token)
    assert answer.status == 201, answer
    assert answer.headers["Cache-Control"] == "no-store"
    return dict(answer.body)


async def test_a_key_may_what_its_scopes_say(api: Api) -> None:
    """Within its scopes it acts for its developer; beyond them it is told which one is missing; a login it is not."""
    developer = (await api.account("Studio", "developer"))["access_token"]
    secret = (await make(api, developer, "games:write"))["secret"]
    made = await api.ask("POST", "/v1/games", {"id": "duel", **ARENA}, token=secret)
    assert (made.status, made.body["owner"]) == (201, (await api.ask("GET", "/v1/me", token=developer)).body["player"])
    refused = await api.ask("GET", "/v1/games/duel/queue", token=secret)
    assert (refused.status, refused.problem) == (403, "scope-missing")
    assert "queues:read" in refused.body["detail"]
    for method, path, body in (
        ("GET", "/v1/me", None),
        ("POST", "/v1/keys", {"name": "more", "scopes": ["games:write"]}),
        ("PUT", "/v1/me/password", {"password": PASSWORD, "new_password": "another one"}),
        ("POST", "/v1/logout", None),
    ):
        assert (await api.ask(method, path, body, token=secret)).problem == "scope-missing"


async def test_a_key_is_told_once_and_kept_as_a_digest(api: Api, db: Database) -> None:
    """The list has names, scopes and the last use, and neither it nor Redis has the secret."""
    developer = await api.account("Studio", "developer")
    made = await make(api, developer["access_token"], "boards:read", "matches:read")
    before = (await api.ask("GET", "/v1/keys", token=developer["access_token"])).body
    assert before["keys"] == [made["key"]]
    assert "used_at" not in made["key"]
    assert {"games:write", "boards:read", "matches:read"} <= set(before["scopes"])
    await api.ask("GET", "/v1/games", token=made["secret"])
    await api.ask("GET", "/v1/games/none/boards/score", token=made["secret"])
    after = (await api.ask("GET", "/v1/keys", token=developer["access_token"])).body["keys"][0]
    assert after["used_at"] >= after["created_at"]
    stored = json.dumps(await db.do("HGETALL", keys.api_keys(developer["player"])))
    assert made["secret"].rpartition(".")[2] not in stored
    assert made["secret"] not in json.dumps(before)


async def test_a_key_ends(api: Api, admin: str) -> None:
    """Revoked, expired, of somebody who is no developer any more, changed, made up: 401."""
    developer = await api.account("Studio", "developer")
    token = developer["access_token"]
    revoked, kept = [await make(api, token, "queues:read") for _ in range(2)]
    _, expired = await api.services.api_keys.make(
        developer["player"], "old", ["queues:read"], "developer", "", 0, now_ms() - 1
    )
    assert (await api.ask("DELETE", f"/v1/keys/{revoked['key']['id']}", token=token)).status == 204
    assert (await api.ask("DELETE", f"/v1/keys/{revoked['key']['id']}", token=token)).problem == "no-such-key"
    queue = "/v1/games/none/queue"
    changed = kept["secret"][:-1] + ("A" if kept["secret"][-1] != "A" else "B")
    for secret in (revoked["secret"], expired, changed, "key-x.y.z", "key-", kept["secret"] + "ü"):
        answer = await api.ask("GET", queue, headers={"Authorization": f"Bearer {secret}".encode().decode("latin-1")})
        assert answer.status == 401, secret
    assert (await api.ask("GET", queue, token=kept["secret"])).status == 404
    await api.ask("PUT", f"/v1/accounts/{developer['player']}/role", {"role": "player"}, token=admin)
    assert (await api.ask("GET", queue, token=kept["secret"])).status == 401


async def test_a_key_of_one_game_is_good_for_no_other(api: Api) -> None:
    """Its developer's other games are out of reach, and so is a game that is not his."""
    developer = (await api.game("one"))["access_token"]
    await api.ask("POST", "/v1/games", {"id": "two", **ARENA}, token=developer)
    await api.game("anothers")
    refused = await api.ask(
        "POST", "/v1/keys", {"name": "x", "scopes": ["games:write"], "game": "anothers"}, token=developer
    )
    assert refused.problem == "not-yours"
    secret = (await make(api, developer, "games:write", "queues:read", game="one", role="server"))["secret"]
    # A machine's key has no developer's rights, whatever its scopes.
    assert (await api.ask("GET", "/v1/games/one/queue", token=secret)).problem == "forbidden"
    secret = (await make(api, developer, "games:write", "queues:read", game="one"))["secret"]
    assert (await api.ask("GET", "/v1/games/one/queue", token=secret)).status == 200
    assert (await api.ask("GET", "/v1/games/two/queue", token=secret)).problem == "other-game"
    assert (await api.ask("POST", "/v1/games", {"id": "three", **ARENA}, token=secret)).problem == "other-game"


async def test_bad_keys_are_told_where_they_are_bad(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    """An unknown scope is named with those that there are; a player has no keys; their number is bounded."""
    developer = (await api.account("Studio", "developer"))["access_token"]
    for scopes, pointer in ((["games:fly"], "/scopes/0"), (["games:write", "gods:read"], "/scopes/1"), ([], "/scopes")):
        answer = await api.ask("POST", "/v1/keys", {"name": "x", "scopes": scopes}, token=developer)
        assert (answer.status, answer.body["pointer"]) == (422, pointer)
    player = (await api.guest())["access_token"]
    assert (await api.ask("POST", "/v1/keys", {"name": "x", "scopes": ["games:write"]}, token=player)).status == 403
    monkeypatch.setattr(apikeys, "KEYS_MOST", 1)
    await make(api, developer, "games:write")
    full = await api.ask("POST", "/v1/keys", {"name": "x", "scopes": ["games:write"]}, token=developer)
    assert (full.status, full.problem) == (429, "too-many-keys")


async def test_an_invitation_makes_one_developer(redis_url: str, db: Database) -> None:
    """Of many who come with it one becomes a developer; a taken name gives it back; it is listed with its taker."""
    async with open_api(redis_url, open_developers=False) as api:
        admin = Tokens(api.services.secret, 600).mint("p-1", "Root", "admin", new_id("session"), now_ms() // 1000)
        await api.account("Taken")
        made = await api.ask("POST", "/v1/developers/invitations", {"note": "studio"}, token=admin)
        code, id_ = made.body["code"], made.body["invitation"]["id"]
        assert (made.status, made.headers["Cache-Control"]) == (201, "no-store")
        assert code.rpartition(".")[2] not in json.dumps(await db.do("HGETALL", keys.invitation(id_)))

        async def join(name: str) -> Any:
            return await api.ask("POST", "/v1/accounts", {"name": name, "password": PASSWORD, "invitation": code})

        assert (await join("taken")).problem == "name-taken"
        answers = await asyncio.gather(*(join(f"dev {i}") for i in range(4)))
        assert sorted(answer.status for answer in answers) == [201, 403, 403, 403]
        [winner] = [answer.body for answer in answers if answer.status == 201]
        assert winner["role"] == "developer"
        assert (await join("late")).problem == "invitation-used"
        [listed] = (await api.ask("GET", "/v1/developers/invitations", token=admin)).body["invitations"]
        assert (listed["id"], listed["note"], listed["used_by"]) == (id_, "studio", winner["player"])


async def test_a_player_accepts_an_invitation(api: Api, admin: str) -> None:
    """His sessions end, and the next login is a developer's; revoked, wrong and expired codes are refused."""
    player = await api.account("Ada")
    codes = [(await api.ask("POST", "/v1/developers/invitations", {}, token=admin)).body for _ in range(2)]
    assert (
        await api.ask("DELETE", f"/v1/developers/invitations/{codes[0]['invitation']['id']}", token=admin)
    ).status == 204
    _, expired = await api.services.developer_invitations.make("p-1", "", 0, now_ms() - 1)
    for code in (codes[0]["code"], codes[1]["code"] + "x", "x", expired):
        refused = await api.ask("POST", "/v1/me/developer", {"code": code}, token=player["access_token"])
        assert (refused.status, refused.problem) == (403, "invitation-invalid")
    taken = await api.ask("POST", "/v1/me/developer", {"code": codes[1]["code"]}, token=player["access_token"])
    assert taken.body["role"] == "developer"
    assert (await api.ask("GET", "/v1/me", token=player["access_token"])).problem == "token-revoked"
    entered = await api.ask("POST", "/v1/login", {"name": "ada", "password": PASSWORD})
    assert entered.body["role"] == "developer"


async def test_invitations_are_bounded_and_admins_alone_invite(
    api: Api, admin: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A developer invites nobody, and so many invitations are open at once."""
    monkeypatch.setattr(developer_invitations, "OPEN_MOST", 1)
    developer = (await api.account("Studio", "developer"))["access_token"]
    assert (await api.ask("POST", "/v1/developers/invitations", {}, token=developer)).problem == "forbidden"
    assert (await api.ask("POST", "/v1/developers/invitations", {}, token=admin)).status == 201
    full = await api.ask("POST", "/v1/developers/invitations", {}, token=admin)
    assert (full.status, full.problem) == (429, "too-many-invitations")
