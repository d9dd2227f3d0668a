"""Drains over REST and from the command line: orders given, shown and taken back, what is left, and who may."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from click.testing import CliRunner, Result

from core import keys
from core.cli.__main__ import cli
from core.redis.client import Database
from tests.support import eventually
from tests.webapi.support import PASSWORD, Api, claim, end, make_ready, open_api

ADMIN = {"admin_name": "root", "admin_password": PASSWORD}


async def admin(api: Api) -> dict[str, Any]:
    """The session of the installation's admin."""
    await api.services.admin_there.wait()
    return dict((await api.ask("POST", "/v1/login", {"name": "root", "password": PASSWORD})).body)


async def test_a_game_is_drained_by_its_developer_and_all_by_an_admin(
    redis_url: str, db: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Orders add up, each time the stricter; what is left is counted; players and other developers are refused."""
    monkeypatch.setattr("webapi.routes.drain.SETTLED_MS", 600_000)  # longer than all of this takes
    async with open_api(redis_url, **ADMIN) as api:
        root, owner, guest = (await admin(api))["access_token"], await api.game(), await api.guest()
        other = await api.account("somebody else", "developer")
        mine, everything = "/v1/games/tanks/drain", "/v1/drain"
        ticket, second = await api.ticket(guest), await api.ticket(await api.guest())
        match = await claim(db, "tanks", ticket, second)
        for who, path in ((guest, mine), (other, mine), (guest, everything), (owner, everything)):
            assert (await api.ask("PUT", path, {}, token=who["access_token"])).status == 403
        assert "drain" not in (await api.ask("GET", mine, token=owner["access_token"])).body
        put = await api.ask("PUT", mine, {"note": "new maps"}, token=owner["access_token"])
        order = put.body.pop("drain")
        since = order.pop("since")
        assert order == {"queue": "keep", "note": "new maps"}
        assert put.body == {
            "game": "tanks", "installation": False, "done": False,
            "waiting_tickets": 0, "live_matches": 1, "idle_servers": 0,
        }  # fmt: skip
        await api.ticket(await api.guest("a third"))  # is taken, and waits
        both = (await api.ask("PUT", everything, {"queue": "end", "deadline_s": 60}, token=root)).body
        assert (both["live_matches"], both["waiting_tickets"], both["done"]) == (1, 1, False)
        assert [game["game"] for game in both["games"]] == ["tanks"]
        stricter = (await api.ask("GET", mine, token=root)).body
        assert (stricter["installation"], stricter["drain"]["queue"], stricter["drain"]["since"]) == (
            True,
            "end",
            since,
        )
        assert stricter["drain"]["note"] == "new maps"
        assert stricter["drain"]["deadline"] > since
        assert (await api.ask("DELETE", everything, token=root)).body["done"] is False
        await make_ready(db, "tanks", match)
        await end(db, "tanks", match)
        assert (await api.ask("GET", mine, token=root)).body[
            "done"
        ] is False  # a stalled matchmaker might make one still
        monkeypatch.setattr("webapi.routes.drain.SETTLED_MS", 0)
        assert (await api.ask("GET", mine, token=root)).body["done"] is True
        assert "drain" not in (await api.ask("DELETE", mine, token=owner["access_token"])).body
        assert await db.do("EXISTS", keys.DRAINS) == 0


async def test_whoever_asks_while_queues_are_ended_is_told_to_come_back(redis_url: str, db: Database) -> None:
    """503 with Retry-After and the operator's words; the overview says `draining`; bad orders are refused."""
    async with open_api(redis_url, **ADMIN) as api:
        root, guest = (await admin(api))["access_token"], await api.guest()
        await api.game()
        await api.ask("PUT", "/v1/drain", {"queue": "end", "note": "back at noon"}, token=root)
        refused = await api.ask("POST", "/v1/tickets", {"game": "tanks"}, token=guest["access_token"])
        assert (refused.status, refused.problem, refused.headers["Retry-After"]) == (503, "draining", "30")
        assert refused.body["detail"] == "no new match is made now: back at noon"

        async def shown() -> bool:
            games = (await api.ask("GET", "/v1/overview")).body["games"]
            return bool(games and games[0]["draining"])

        await eventually(shown)
        for body, pointer in (({"queue": "drop"}, "/queue"), ({"deadline_s": -1}, "/deadline_s")):
            answer = await api.ask("PUT", "/v1/drain", body, token=root)
            assert (answer.status, answer.body["pointer"]) == (422, pointer)
        assert (await api.ask("PUT", "/v1/games/none/drain", {}, token=root)).status == 404
        await api.ask("DELETE", "/v1/drain", token=root)
        assert (await api.ticket(guest))["status"] == "QUEUED"
        await db.do("HSET", keys.DRAINS, "tanks", '{"since_ms": "of a later form"}')
        assert (await api.ask("GET", "/v1/games/tanks/drain", token=root)).body["drain"]["queue"] == "keep"


async def test_the_command_drains_waits_and_takes_back(
    redis_url: str, db: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`muster drain --wait` tells what is left until nothing is; `--within` gives up with 3; `--off` takes it back."""
    async with open_api(redis_url, **ADMIN) as api:
        root = (await admin(api))["access_token"]
        monkeypatch.setattr("webapi.routes.drain.SETTLED_MS", 500)
        await api.game()
        pair = [await api.ticket(await api.guest()) for _ in range(2)]
        match = await claim(db, "tanks", *pair)
        url = str(api.client.make_url("/")).rstrip("/")

        async def drain(*args: str) -> Result:
            env = {"MUSTER_URL": url, "MUSTER_TOKEN": root}
            return await asyncio.to_thread(CliRunner().invoke, cli, ["drain", *args], env=env)

        left = await drain("--wait", "--within", "1s", "--note", "upgrade", "--deadline", "2h")
        assert left.exit_code == 3
        assert "1 matches run, 0 servers stand ready, 0 tickets wait" in left.stderr
        for words in ("wait on", "upgrade", "ends what runs at"):
            assert words in left.stdout
        waiting = asyncio.create_task(drain("tanks", "--wait", "--json"))
        await asyncio.sleep(0)
        await make_ready(db, "tanks", match)
        await end(db, "tanks", match)
        done = await waiting
        assert (done.exit_code, json.loads(done.stdout)["done"]) == (0, True)
        assert "nothing is drained" in (await drain("--off")).stdout
        assert json.loads((await drain("tanks", "--show", "--json")).stdout)["installation"] is False
        wrong = await drain("--deadline", "soon")
        assert (wrong.exit_code, "is no time" in wrong.stderr) == (2, True)
