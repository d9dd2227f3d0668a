"""Delayed commands over REST: packs, profiles, real-time commands, errors, balances, and all that is refused."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import msgspec
import pytest

from core import keys
from core.clock import now_ms
from core.redis.client import Database
from tests.commands.support import MODULE, NAMES, SECRET, running
from tests.support import eventually, patient_database
from tests.webapi.support import ARENA, Api, next_event, open_api, waited_for
from webapi.routes import commands as routes

COMMANDS: dict[str, Any] = {
    "python": MODULE,
    "kinds": {
        "add": {"args": {"n": "integer"}},
        "slow": {"args": {"n": "integer"}},
        "say": {
            "args": {"text": "string", "to": "list", "how": "object", "loud": "boolean", "x": "number"},
            "optional": ["to", "how", "loud", "x"],
        },
        "buy": {"realtime": True},
        **{name: {} for name in NAMES},
    },
    "initial": {"sum": 0},
}


@dataclass
class Village:
    """A game with commands, its developer, and one player."""

    api: Api
    db: Database
    developer: dict[str, Any]
    me: dict[str, Any]

    @property
    def path(self) -> str:
        return f"/v1/games/village/players/{self.me['player']}"

    async def send(self, seq: int, *names: str, epoch: int = 0, **more: Any) -> Any:
        """A pack of these commands, or of `commands` as they are."""
        commands = [
            {"name": name, "at_ms": now_ms(), **({"args": {"n": 1}} if name == "add" else {})} for name in names
        ]
        body = {"seq": seq, "epoch": epoch, "balance": 0, "commands": commands, **more}
        return await self.api.ask("POST", f"{self.path}/packs", body, token=self.me["access_token"])

    async def ask(self, path: str, who: dict[str, Any] | None = None) -> Any:
        return await self.api.ask("GET", f"{self.path}{path}", token=(who or self.me)["access_token"])

    async def worked_off(self, query: str = "") -> Any:
        """The profile once nothing waits: a worker's child may take longer to start than anybody is kept waiting."""
        return await waited_for(lambda: self.ask(f"/profile?wait_s=20{query}"), 20)


@pytest.fixture
async def village(redis_url: str) -> AsyncIterator[Village]:
    """No worker runs yet."""
    async with open_api(redis_url, command_modules=MODULE, request_s=90.0) as api, patient_database(redis_url) as db:
        developer = await api.game("village", commands=COMMANDS)
        yield Village(api, db, developer, await api.guest())


async def test_packs_are_stored_at_once_and_the_profile_follows(village: Village) -> None:
    """202 with the position; the profile says come back while packs wait, and has them all once a worker was there."""
    first = await village.ask("/profile")
    assert (first.status, first.body["state"], first.body["next_seq"], first.body["epoch"]) == (200, {"sum": 0}, 1, 0)
    for seq in (1, 2):
        sent = await village.send(seq, "add", "add")
        assert (sent.status, sent.body["position"], sent.body["outcome"]) == (202, seq, "waiting")
    back = await village.ask("/profile")
    assert (back.status, back.body["waiting"], back.headers["Retry-After"]) == (202, 2, "10")
    status = (await village.ask("/packs")).body
    assert (status["accepted"], status["done"], status["waiting"], status["running"]) == (2, 0, 2, False)
    async with running(village.db):
        found = await village.worked_off()
    assert (found.status, found.body["state"]["sum"], found.body["next_seq"]) == (200, 4, 3)
    assert abs(found.body["now_ms"] - now_ms()) < 60_000
    assert (await village.ask("/packs")).body["waiting"] == 0


async def test_nobody_is_sent_away_for_more_than_twenty_seconds(village: Village) -> None:
    """The second answer leaves what is left of 20 s; after them it is 503, and nothing is lost."""
    await village.send(1, "add")
    await village.ask("/profile")
    key = f"{keys.shard('village', village.me['player'])}:commands:{village.me['player']}"
    await village.db.do("HINCRBY", key, "asked", -13_000)
    assert 1 <= int((await village.ask("/profile")).headers["Retry-After"]) <= 7
    await village.db.do("HINCRBY", key, "asked", -8_000)
    late = await village.ask("/profile")
    assert (late.status, late.problem, late.headers["Retry-After"]) == (503, "processing-late", "10")
    async with running(village.db):
        assert (await village.worked_off()).body["state"]["sum"] == 1
    await village.send(2, "add")
    assert (await village.ask("/profile")).headers["Retry-After"] == "10"  # counted anew


async def test_a_pack_sent_again_gets_the_same_answer(village: Village) -> None:
    """While it waits, and after it was executed, with its outcome; another one of its number is refused."""
    body = {"commands": [{"name": "add", "at_ms": now_ms(), "args": {"n": 5}}]}
    first = await village.send(1, **body)
    again = await village.send(1, **body)
    assert (again.status, again.body) == (202, {**first.body, "repeat": True})
    assert (await village.send(1, "add")).problem == "other-content"
    async with running(village.db):
        assert (await village.worked_off()).body["state"]["sum"] == 5
    over = await village.send(1, **body)
    assert (over.status, over.body["position"], over.body["outcome"]) == (200, 1, "executed")


async def test_a_real_time_command_is_executed_at_once_after_what_waits(
    village: Village, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its answer has the outcome; without a worker it is 202 after a bounded wait, and the pack is kept."""
    monkeypatch.setattr(routes, "REALTIME_S", 60.0)  # a worker's child starts first
    async with running(village.db):
        await village.send(1, "add")
        bought = await village.send(2, "add", "buy")
        assert (bought.status, bought.body["outcome"], bought.body["done"]) == (200, "executed", 2)
        assert (await village.ask("/profile")).body["state"]["bought"] == 1
        refused = await village.send(3, "buy", "cheat")
        assert (refused.status, refused.body["outcome"]) == (200, "failed")
        assert refused.body["failure"]["command"] == "cheat"
    monkeypatch.setattr(routes, "REALTIME_S", 1.0)
    waits = await village.send(4, "buy", epoch=1)
    assert (waits.status, waits.body["outcome"]) == (202, "waiting")


async def test_a_purchase_is_taken_where_its_outcome_cannot_be_waited_for(village: Village) -> None:
    """With all of a player's streams open there is no place to wait: the pack is stored all the same, and 202."""
    token = village.me["access_token"]
    streams = [await village.api.open("GET", f"{village.path}/packs/events", token=token) for _ in range(4)]
    bought = await village.send(1, "buy")
    assert (bought.status, bought.body["outcome"]) == (202, "waiting")
    assert (await village.ask("/packs")).body["waiting"] == 1
    for stream in streams:
        stream.close()


async def test_after_an_error_the_client_is_told_to_reload(village: Village) -> None:
    """On its stream, with its next pack, and with a profile that it asks for by its epoch; then it goes on."""
    stream = await village.api.open("GET", f"{village.path}/packs/events", token=village.me["access_token"])
    async with running(village.db):
        await village.send(1, "add")
        await eventually(lambda: _done(village, 1))
        await village.send(2, "add", "cheat")
        told = await next_event(stream)
        while told is not None and "failure" not in told["data"]:
            told = await next_event(stream)
        assert told is not None
        failure = told["data"]["failure"]
        assert (failure["seq"], failure["index"], failure["command"], failure["code"]) == (2, 1, "cheat", "refused")
        assert abs(failure["at_ms"] - now_ms()) < 60_000
        late = await village.send(3, "add")
        assert (late.status, late.problem, late.body["failure"]) == (409, "reload", failure)
        old = await village.ask("/profile?epoch=0")
        assert (old.status, old.problem, old.body["failure"]) == (409, "reload", failure)
        fresh = (await village.ask("/profile")).body
        assert (fresh["state"]["sum"], fresh["epoch"], fresh["next_seq"]) == (1, 1, 3)
        assert (await village.send(3, "add", epoch=1)).status == 202
        assert (await village.worked_off("&epoch=1")).body["state"]["sum"] == 2
    stream.close()


async def _done(village: Village, seq: int) -> bool:
    return bool((await village.ask("/packs")).body["done"] >= seq)


@pytest.mark.parametrize(
    ("commands", "code", "pointer"),
    [
        ([{"name": "fly"}], "unknown-command", "/commands/0/name"),
        ([{"name": "add"}], "bad-arguments", "/commands/0/args"),
        ([{"name": "add", "args": {"n": "1"}}], "bad-arguments", "/commands/0/args/n"),
        ([{"name": "add", "args": {"n": True}}], "bad-arguments", "/commands/0/args/n"),
        ([{"name": "add", "args": {"n": 1.5}}], "bad-arguments", "/commands/0/args/n"),
        ([{"name": "add", "args": {"n": 1, "m": 2}}], "bad-arguments", "/commands/0/args"),
        ([{"name": "say", "args": {"text": "x", "to": {}}}], "bad-arguments", "/commands/0/args/to"),
        ([{"name": "say", "args": {"text": "x" * 40_000}}], "pack-too-large", "/commands"),
        ([{"name": "buy", "at_ms": 2}, {"name": "buy", "at_ms": 1}], "backwards", "/commands/1/at_ms"),
        ([{"name": "buy", "at_ms": now_ms() + 86_400_000}], "from-the-future", "/commands/0/at_ms"),
        ([{"name": "buy", "at_ms": -1}], "invalid", "/commands/0/at_ms"),
        ([{"name": "buy", "id": 7}], "invalid", "/commands/0/id"),
        ([{"name": "buy"}] * 101, "invalid", "/commands"),
        ([], "invalid", "/commands"),
    ],
)
async def test_a_pack_of_a_wrong_form_is_refused_at_its_place(
    village: Village, commands: list[dict[str, Any]], code: str, pointer: str
) -> None:
    """Unknown, missing, mistyped, too many, too large, backwards, from the future: 422; its number stays free."""
    given = [{"at_ms": now_ms(), **command} for command in commands]
    refused = await village.send(1, commands=given)
    assert (refused.status, refused.problem, refused.body["pointer"]) == (422, code, pointer)
    assert (await village.send(1, "add")).status == 202


async def test_bombs_and_nonsense_are_refused(village: Village) -> None:
    """Nesting without end, numbers without bound, text that is no JSON: an error of the client's, never ours."""
    deep = (
        b'{"seq":1,"epoch":0,"balance":0,"commands":[{"name":"say","at_ms":1,"args":{"text":"x","to":' + b"[" * 60_000
    )
    long = b'{"seq":1,"epoch":0,"balance":0,"commands":[{"name":"add","at_ms":1,"args":{"n":' + b"9" * 5000 + b"}}]}"
    for data in (deep, deep + b"]" * 60_000 + b"}}]}", long, b"\xff", b"[]", b'{"seq":' + b"9" * 400 + b"}"):
        token = village.me["access_token"]
        answer = await village.api.ask("POST", f"{village.path}/packs", data=data, token=token)
        assert 400 <= answer.status < 500, (data[:60], answer)
    for seq, epoch, code in ((2, 0, "gap"), (1, 1, "future-epoch")):
        assert (await village.send(seq, "add", epoch=epoch)).problem == code
    assert (await village.send(1, "add", balance=3)).problem == "balance-gone"
    assert (await village.ask("/packs")).body["accepted"] == 0


async def test_packs_are_ones_own(village: Village) -> None:
    """Others may neither send nor look; the developer may look, and not send."""
    other = await village.api.guest("Other")
    body = {"seq": 1, "epoch": 0, "balance": 0, "commands": [{"name": "buy", "at_ms": now_ms()}]}
    for who in (other, village.developer):
        sent = await village.api.ask("POST", f"{village.path}/packs", body, token=who["access_token"])
        assert (sent.status, sent.problem) == (403, "not-yours")
    for path in ("/packs", "/profile", "/packs/events"):
        assert (await village.ask(path, other)).status == 403
    assert (await village.ask("/packs", village.developer)).status == 200
    assert (await village.ask("/profile", village.developer)).status == 200


async def test_a_game_without_commands_has_no_profiles(village: Village) -> None:
    """404, which names the reason."""
    await village.api.ask("POST", "/v1/games", {"id": "plain", **ARENA}, token=village.developer["access_token"])
    path = f"/v1/games/plain/players/{village.me['player']}/profile"
    answer = await village.api.ask("GET", path, token=village.me["access_token"])
    assert (answer.status, answer.problem) == (404, "no-commands")


async def test_balances_are_versioned_and_packs_name_theirs(village: Village) -> None:
    """Everybody reads the running one; its developer replaces it, knowing which; packs of the former count still."""
    path, token = "/v1/games/village/balance", village.developer["access_token"]
    assert (await village.api.ask("GET", path)).body == {"game": "village", "version": 0, "document": {}}
    put = await village.api.ask("PUT", path, {"document": {"worth": 7}, "after": 0}, token=token)
    assert (put.status, put.body["version"]) == (200, 1)
    again = await village.api.ask("PUT", path, {"document": {"worth": 9}, "after": 0}, token=token)
    assert (again.status, again.problem) == (409, "balance-changed")
    huge = await village.api.ask("PUT", path, {"document": {"x": "y" * 131_072}, "after": 1}, token=token)
    assert (huge.status, huge.body["pointer"]) == (422, "/document")
    mine = await village.api.ask("PUT", path, {"document": {}, "after": 1}, token=village.me["access_token"])
    assert mine.status == 403
    assert (await village.send(1, "add", balance=1)).status == 202
    assert (await village.send(2, "add", balance=0)).status == 202  # it began before
    async with running(village.db):
        found = (await village.worked_off()).body
    assert (found["state"]["sum"], found["balance"]) == (8, 1)


async def test_a_registration_names_only_modules_that_the_operator_allows(village: Village) -> None:
    """Another module, both or no handler, a URL with a user: refused at their places; strangers see no handler."""
    token = village.developer["access_token"]
    cases = [
        ({"python": "os"}, "/commands/python"),
        ({"python": "no module"}, "/commands/python"),
        ({"python": None}, "/commands"),
        ({"url": "https://game.example/x"}, "/commands"),
        ({"python": None, "url": "ftp://game.example/x"}, "/commands/url"),
        ({"python": None, "url": "https://user@game.example/x"}, "/commands/url"),
        ({"kinds": {}}, "/commands/kinds"),
        ({"kinds": {"a b": {}}}, "/commands/kinds"),
        ({"kinds": {"a": {"optional": ["x"]}}}, "/commands/kinds/a/optional/0"),
        ({"initial": {"x": "y" * 20_000}}, "/commands/initial"),
    ]
    for change, pointer in cases:
        body = {"id": "other", **ARENA, "commands": {**COMMANDS, **change}}
        refused = await village.api.ask("POST", "/v1/games", body, token=token)
        assert refused.status == 422, (change, refused)
        assert refused.body["pointer"].startswith(pointer), (change, refused)
    seen = (await village.api.ask("GET", "/v1/games/village")).body["spec"]["commands"]
    assert "python" not in seen
    assert "add" in seen["kinds"]
    key = await village.api.ask("GET", "/v1/games/village/commands/key", token=token)
    assert key.status == 200
    assert SECRET not in str(key.body)


async def test_a_wait_for_a_profile_ends_with_the_client_and_at_its_bound(village: Village) -> None:
    """A wait ends after its time with 202, and its place is free again."""
    await village.send(1, "add")
    assert (await village.ask("/profile?wait_s=0.2")).status == 202
    asked = asyncio.ensure_future(village.ask("/profile?wait_s=20"))
    await asyncio.sleep(0.1)
    asked.cancel()
    await asyncio.gather(asked, return_exceptions=True)
    await eventually(lambda: _nobody(village))
    assert msgspec.json.encode((await village.ask("/packs")).body)


async def test_streams_and_waits_end_soon_after_their_logout(village: Village) -> None:
    """The player's stream and his wait for the profile end with his session; the developer's stream goes on."""
    await village.send(1, "add")
    path, token = f"{village.path}/packs/events", village.me["access_token"]
    streams = [await village.api.open("GET", path, token=it["access_token"]) for it in (village.me, village.developer)]
    for stream in streams:
        assert await next_event(stream) is not None
    waits = asyncio.ensure_future(village.ask("/profile?wait_s=20"))
    await eventually(lambda: _watched(village, 3))
    assert (await village.api.ask("POST", "/v1/logout", token=token)).status == 204
    async with asyncio.timeout(60):
        assert await next_event(streams[0]) is None
        assert (await waits).problem == "token-revoked"
    async with running(village.db):
        told = await next_event(streams[1])
    assert told is not None
    for stream in streams:
        stream.close()


async def _watched(village: Village, count: int) -> bool:
    return sum(map(len, village.api.services.pack_streams._watchers.values())) == count


async def _nobody(village: Village) -> bool:
    return not village.api.services.pack_streams._watchers


async def test_the_overview_tells_what_waits(village: Village) -> None:
    """Packs that wait, with the age of the oldest, and what became of the others, for each game that has commands."""
    await village.api.ask("POST", "/v1/games", {"id": "plain", **ARENA}, token=village.developer["access_token"])
    async with running(village.db):
        await village.send(1, "add")
        await eventually(lambda: _done(village, 1))
        await village.send(2, "cheat")
        await eventually(lambda: _done(village, 2))
    await village.send(3, "add", epoch=1)
    games = {game["id"]: game for game in (await village.api.ask("GET", "/v1/overview")).body["games"]}
    assert "packs" not in games["plain"]
    found = games["village"]["packs"]
    assert (found["waiting"], found["executed"], found["failed"], found["skipped"]) == (1, 1, 1, 0)
    assert found["oldest_s"] >= 0
