"""Accounts outlive a crash of Redis, and come back from a backup."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from redis import Redis

from core.clock import new_id, now_ms
from core.redis.embedded import EmbeddedRedis, embedded_redis
from tests.redis.backends import DEBIAN
from tests.support import eventually, free_port, patient_database
from tests.webapi.support import PASSWORD, Api, open_api
from webapi.auth import Tokens

NEW = "a better password"


@pytest.fixture(params=["valkey", "redis7"])
def server(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[EmbeddedRedis]:
    """A Valkey, and a Redis 7.0, of one's own, with its append-only file."""
    program = None if request.param == "valkey" else DEBIAN
    if program is not None and shutil.which(program) is None:
        pytest.skip("no redis-server of the distribution here")
    with embedded_redis(tmp_path / "redis", free_port(), program=program) as running:
        yield running


async def settle(api: Api) -> dict[str, Any]:
    """A guest who became an account and changed the password, a developer with a key, and somebody who logged out."""
    guest = await api.guest()
    body = {"name": "Settled", "password": PASSWORD}
    settled = (await api.ask("POST", "/v1/me/account", body, token=guest["access_token"])).body
    change = {"password": PASSWORD, "new_password": NEW}
    assert (await api.ask("PUT", "/v1/me/password", change, token=settled["access_token"])).status == 204
    fresh = (await api.ask("POST", "/v1/refresh", {"refresh_token": settled["refresh_token"]})).body
    developer = await api.account("Studio", "developer")
    key = await api.ask("POST", "/v1/keys", {"name": "ci", "scopes": ["games:read"]}, token=developer["access_token"])
    gone = await api.account("Gone")
    assert (await api.ask("POST", "/v1/logout", token=gone["access_token"])).status == 204
    return {"settled": fresh, "key": key.body["secret"], "gone": gone}


async def look(api: Api, found: dict[str, Any]) -> None:
    """All of it is as it was."""
    settled = found["settled"]
    entered = await api.ask("POST", "/v1/login", {"name": "settled", "password": NEW})
    assert (entered.status, entered.body["player"]) == (200, settled["player"])
    assert (await api.ask("POST", "/v1/login", {"name": "settled", "password": PASSWORD})).status == 401
    assert (await api.ask("GET", "/v1/me", token=settled["access_token"])).body["guest"] is False
    assert (await api.ask("POST", "/v1/refresh", {"refresh_token": settled["refresh_token"]})).status == 200
    assert (await api.ask("GET", "/v1/games", token=found["key"])).status == 200
    assert (await api.ask("GET", "/v1/me", token=found["gone"]["access_token"])).problem == "token-revoked"
    assert (await api.ask("POST", "/v1/refresh", {"refresh_token": found["gone"]["refresh_token"]})).status == 401


async def answers(api: Api) -> bool:
    """Whether the service has its Redis."""
    return (await api.ask("GET", "/readyz")).status == 200


async def written(server: EmbeddedRedis) -> None:
    """Wait until Redis has written what it answered: while its disk hangs it keeps that to itself, up to two seconds.

    A kill in that moment loses it, as `everysec` says, and so would a copy of the file.
    """

    async def nothing_kept() -> bool:
        with Redis(port=server.port) as asked:
            return asked.info("persistence")["aof_buffer_length"] == 0

    await eventually(nothing_kept)


async def test_accounts_survive_a_kill_of_redis(server: EmbeddedRedis) -> None:
    """kill -9: what was answered is there when it is back, what was ended stays ended, and the service goes on."""
    async with open_api(server.url) as api:
        found = await settle(api)
        await written(server)
        server.kill()
        refused = await api.ask("POST", "/v1/login", {"name": "settled", "password": NEW})
        assert (refused.status, "Retry-After" in refused.headers) == (503, True)
        server.start()
        assert await eventually(lambda: answers(api))
        await look(api, found)


@pytest.mark.parametrize("kind", ["snapshot", "append-only file"])
async def test_accounts_come_back_from_a_backup(server: EmbeddedRedis, tmp_path: Path, kind: str) -> None:
    """A copy of the snapshot, or of the append-only file, started elsewhere, has the accounts as they were then."""
    async with open_api(server.url) as api:
        found = await settle(api)
        copied = tmp_path / "restored"
        async with patient_database(server.url) as db:
            if kind == "snapshot":
                await db.do("SAVE")
                copied.mkdir()
                shutil.copy(server.folder / "dump.rdb", copied)
            else:
                await written(server)
                shutil.copytree(server.folder / "appendonlydir", copied / "appendonlydir")
        await api.account("Too late")
    options = ["--appendonly", "no"] if kind == "snapshot" else []  # with one it would look for its file alone
    with embedded_redis(copied, free_port(), program=server.program, options=options) as restored:
        async with open_api(restored.url) as api:
            await look(api, found)
            late = {"name": "too late", "password": PASSWORD}
            assert (await api.ask("POST", "/v1/login", late)).status == 401


async def test_an_erasure_is_gone_on_with_after_a_kill_of_redis(server: EmbeddedRedis) -> None:
    """Who was erased cannot come in when Redis is back, and the rest of the work is not forgotten."""
    async with open_api(server.url) as api:
        found = await settle(api)
        player = found["settled"]["player"]
        admin = Tokens(api.services.secret, 600).mint("p-1", "Root", "admin", new_id("session"), now_ms() // 1000)
        assert (await api.ask("DELETE", f"/v1/accounts/{player}", token=admin)).status == 202
        await written(server)
        server.kill()
        server.start()
        assert await eventually(lambda: answers(api))
        assert (await api.ask("POST", "/v1/login", {"name": "settled", "password": NEW})).status == 401
        assert (await api.ask("GET", "/v1/me", token=found["settled"]["access_token"])).problem == "token-revoked"

        async def worked() -> bool:
            return await api.services.erasing.work(now_ms() + 10**8) == 1

        assert await eventually(worked)
        async with patient_database(server.url) as db:
            assert [key async for key in db.scan("*", 100) if player in key] == []
