"""Versions of a game over the API: listed, read, rolled back, tried as a canary."""

from __future__ import annotations

from typing import Any

from core.redis.client import Database
from tests.support import eventually
from tests.webapi.support import ARENA, Answer, Api, claim, end, make_ready

PATH = "/v1/games/tanks"
SHORT = {**ARENA, "server": {"arena": {"time_limit_s": 60}}}
LONG = {**ARENA, "server": {"arena": {"time_limit_s": 600}}}


class Studio:
    """A game's developer at work."""

    def __init__(self, api: Api, token: str) -> None:
        self._api, self.token = api, token

    async def ask(self, method: str, path: str = "", body: Any = None, *, at: int = 0) -> Answer:
        """One request; `at` is the version that is meant."""
        headers = {"If-Match": f'"{at}"'} if at else None
        return await self._api.ask(method, PATH + path, body, token=self.token, headers=headers)

    async def versions(self) -> dict[str, Any]:
        answer = await self.ask("GET", "/versions")
        assert answer.status == 200, answer
        return dict(answer.body)


async def studio(api: Api) -> Studio:
    return Studio(api, (await api.game())["access_token"])


async def test_a_change_is_a_version_and_can_be_rolled_back(api: Api) -> None:
    """Each is listed and read; going back makes a new version equal to the old one; If-Match guards it."""
    dev = await studio(api)
    assert (await dev.ask("PUT", "", SHORT)).body["version"] == 2
    assert (await dev.ask("PUT", "", LONG)).body["version"] == 3
    listed = await dev.versions()
    assert [(it["version"], it["state"]) for it in listed["versions"]] == [(3, "current"), (2, "kept"), (1, "kept")]
    assert (await dev.ask("GET", "/versions/2")).body["spec"]["server"] == SHORT["server"]
    assert (await dev.ask("POST", "/rollback", {"version": 2}, at=2)).problem == "precondition-failed"
    back = await dev.ask("POST", "/rollback", {"version": 2}, at=3)
    assert (back.status, back.body["version"], back.headers["ETag"]) == (200, 4, '"4"')
    assert back.body["spec"]["server"] == SHORT["server"]
    assert (await dev.ask("GET")).body["version"] == 4
    for number in ("9", "x", "1" * 40):
        assert (await dev.ask("GET", f"/versions/{number}")).status == 404
    assert (await dev.ask("POST", "/rollback", {"version": 9})).problem == "no-such-version"


async def test_the_same_registration_again_is_the_same_version(api: Api) -> None:
    """A repeat changes nothing, whatever order its fields are in; a canary beside it goes on."""
    dev = await studio(api)
    first = await dev.ask("PUT", "", SHORT)
    again = await dev.ask("PUT", "", dict(reversed(SHORT.items())), at=2)
    assert (again.status, again.body, again.headers["ETag"]) == (200, first.body, '"2"')
    await dev.ask("PUT", "/canary", {"percent": 5, "spec": LONG})
    assert (await dev.ask("PUT", "", SHORT)).body["version"] == 2
    assert (await dev.versions())["canary"]["version"] == 3


async def test_the_last_versions_are_kept(api: Api) -> None:
    """Twenty of them, whoever changes a game however often."""
    dev = await studio(api)
    for i in range(24):
        assert (await dev.ask("PUT", "", SHORT if i % 2 else LONG)).status == 200
    assert [it["version"] for it in (await dev.versions())["versions"]] == list(range(25, 5, -1))
    assert (await dev.ask("GET", "/versions/5")).status == 404


async def test_a_canary_is_tried_and_promoted(api: Api, db: Database) -> None:
    """Beside the current version, with figures of both since then; nobody changes the game beside it."""
    dev = await studio(api)
    assert (await dev.ask("PUT", "/canary", {"percent": 5})).problem == "no-canary"
    before = await claim(db, "tanks", await api.ticket(await api.guest()))
    await end(db, "tanks", before, "fail", "launch_failed")
    tried = await dev.ask("PUT", "/canary", {"percent": 5, "spec": SHORT}, at=1)
    assert (tried.status, tried.body["canary"]["version"], tried.body["canary"]["percent"]) == (200, 2, 5)
    assert (await dev.ask("GET")).body["version"] == 1
    assert (await dev.ask("PUT", "/canary", {"percent": 5, "spec": LONG})).problem == "canary-tried"
    assert (await dev.ask("PUT", "", LONG)).problem == "canary-tried"
    match = await claim(db, "tanks", await api.ticket(await api.guest()))
    await make_ready(db, "tanks", match)
    await end(db, "tanks", match)
    shared = await dev.ask("PUT", "/canary", {"percent": 50})
    assert shared.body["canary"]["percent"] == 50
    none = {"created": 0, "ready": 0, "finished": {}, "failed": {}, "faults": 0, "judged": 0}
    one = none | {"created": 1, "ready": 1, "finished": {"finished": 1}, "judged": 1}
    assert (shared.body["canary"]["candidate"], shared.body["canary"]["current"]) == (none, one)
    assert shared.body["versions"][1]["matches"]["failed"] == {"launch_failed": 1}
    assert [it["state"] for it in shared.body["versions"]] == ["canary", "current"]
    promoted = await dev.ask("POST", "/canary/promote", {"version": 2}, at=1)
    assert (promoted.body["version"], promoted.body["spec"]["server"]) == (2, SHORT["server"])
    assert (await dev.ask("POST", "/canary/promote", {"version": 2})).body["version"] == 2
    listed = await dev.versions()
    assert (listed["last_canary"]["how"], "canary" in listed) == ("promoted", False)


async def test_the_operator_s_page_is_told(api: Api, db: Database) -> None:
    """Of a game that changed: what new matches get, in which shares, and how it does; then how the canary ended."""
    dev = await studio(api)

    async def shown() -> dict[str, Any]:
        async def is_new() -> dict[str, Any] | None:
            [game] = (await api.ask("GET", "/v1/overview")).body["games"]
            return dict(game) if game.get("versions", []) != before else None

        return await eventually(is_new)

    before: list[Any] = []
    await dev.ask("PUT", "", SHORT)
    before = (await shown())["versions"]
    assert before == [{"version": 2, "canary": False, "percent": 100.0, "judged": 0, "faults": 0}]
    await dev.ask("PUT", "/canary", {"percent": 5, "spec": LONG})
    found = await shown()
    assert [(it["version"], it["canary"], it["percent"]) for it in found["versions"]] == [(2, False, 95), (3, True, 5)]
    before = found["versions"]
    failed = await claim(db, "tanks", await api.ticket(await api.guest()))
    await end(db, "tanks", failed, "fail", "launch_failed")
    await dev.ask("DELETE", "/canary")
    found = await shown()
    assert (found["versions"][0]["version"], found["last_canary"]) == (2, "3 aborted")


async def test_a_canary_is_aborted(api: Api) -> None:
    """It is tried no more, and who promotes too late is told; its number is used up. A roll-back aborts one too."""
    dev = await studio(api)
    await dev.ask("PUT", "/canary", {"percent": 99, "spec": SHORT})
    assert (await dev.ask("DELETE", "/canary")).status == 204
    assert (await dev.ask("DELETE", "/canary")).problem == "no-canary"
    assert (await dev.ask("POST", "/canary/promote", {"version": 2})).problem == "canary-over"
    assert (await dev.ask("PUT", "", LONG)).body["version"] == 3
    await dev.ask("PUT", "/canary", {"percent": 1, "spec": SHORT})
    assert (await dev.ask("POST", "/rollback", {"version": 1})).body["version"] == 5
    last = (await dev.versions())["last_canary"]
    assert (last["version"], last["how"], last["why"]) == (4, "aborted", "rolled back to version 1")


async def test_what_a_canary_may_not_be(api: Api) -> None:
    """Other rules, a spec that cannot work, a share that is none: refused with the place."""
    dev = await studio(api)
    more = {**SHORT, "players_per_match": 4}
    wrong = await dev.ask("PUT", "/canary", {"percent": 5, "spec": more})
    assert (wrong.status, wrong.body["pointer"]) == (422, "/spec/players_per_match")
    assert (await dev.ask("PUT", "/canary", {"percent": 101, "spec": SHORT})).status == 422
    whole = await dev.ask("PUT", "/canary", {"percent": 100, "spec": SHORT})
    assert (whole.status, whole.body["pointer"]) == (422, "/percent")
    assert "promote" in whole.body["detail"]
    assert (await dev.ask("PUT", "/canary", {"percent": 5, "spec": ARENA | {"server": {}}})).status == 422
    assert "canary" not in await dev.versions()


async def test_versions_are_their_developers(api: Api) -> None:
    """Another developer neither reads nor changes them, a player is refused, a game that is not there is not found."""
    await studio(api)
    other = Studio(api, (await api.account("Other", "developer"))["access_token"])
    for method, path, body in (
        ("GET", "/versions", None),
        ("GET", "/versions/1", None),
        ("POST", "/rollback", {"version": 1}),
        ("PUT", "/canary", {"percent": 1}),
        ("POST", "/canary/promote", {"version": 1}),
        ("DELETE", "/canary", None),
    ):
        assert (await other.ask(method, path, body)).problem == "not-yours"
    assert (await Studio(api, (await api.guest())["access_token"]).ask("GET", "/versions")).status == 403
    assert (await api.ask("GET", "/v1/games/none/versions", token=other.token)).problem == "no-such-game"
