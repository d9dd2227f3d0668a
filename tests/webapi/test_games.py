"""Registering games."""

from __future__ import annotations

import json
from typing import Any

import pytest

from core import keys
from core.clock import new_id
from core.redis.client import Database
from tests.webapi.support import ARENA, Api, open_api
from webapi.auth import Tokens

COMMAND = {"players_per_match": 2, "server": {"command": ["python", "server.py"], "env": {"KEY": "secret"}}}


async def test_a_game_lives(api: Api) -> None:
    """Registered, read, changed at its version, removed."""
    developer = await api.game("tanks")
    token = developer["access_token"]
    read = await api.ask("GET", "/v1/games/tanks")
    assert read.headers["ETag"] == '"1"'
    assert read.body["owner"] == developer["player"]
    spec = read.body["spec"] | {"players_per_match": 4}
    changed = await api.ask("PUT", "/v1/games/tanks", spec, token=token, headers={"If-Match": '"1"'})
    assert (changed.status, changed.body["version"], changed.headers["ETag"]) == (200, 2, '"2"')
    assert changed.body["spec"]["players_per_match"] == 4
    assert [game["id"] for game in (await api.ask("GET", "/v1/games")).body["games"]] == ["tanks"]
    assert (await api.ask("DELETE", "/v1/games/tanks", token=token)).status == 204
    assert (await api.ask("GET", "/v1/games/tanks")).problem == "no-such-game"
    assert (await api.ask("GET", "/v1/games")).body == {"games": []}


async def test_an_old_version_is_not_changed(api: Api) -> None:
    """If-Match with another version is 412 and changes nothing; a tag that is none is told."""
    token = (await api.game())["access_token"]
    for method in ("PUT", "DELETE"):
        body = ARENA if method == "PUT" else None
        stale = await api.ask(method, "/v1/games/tanks", body, token=token, headers={"If-Match": '"7", "8"'})
        assert (stale.status, stale.problem) == (412, "precondition-failed")
        wrong = await api.ask(method, "/v1/games/tanks", body, token=token, headers={"If-Match": "1"})
        assert (wrong.status, wrong.body["pointer"]) == (422, "If-Match")
    assert (await api.ask("GET", "/v1/games/tanks")).body["version"] == 1


async def test_an_id_is_taken_once(api: Api) -> None:
    """A second registration of an id is a conflict, whoever asks."""
    await api.game()
    other = await api.account("Other", "developer")
    answer = await api.ask("POST", "/v1/games", {"id": "tanks", **ARENA}, token=other["access_token"])
    assert (answer.status, answer.problem) == (409, "game-exists")


async def test_only_the_owner_changes_a_game(api: Api) -> None:
    """Another developer is forbidden to change or remove it."""
    await api.game()
    other = await api.account("Other", "developer")
    for method, body in (("PUT", ARENA), ("DELETE", None)):
        answer = await api.ask(method, "/v1/games/tanks", body, token=other["access_token"])
        assert (answer.status, answer.problem) == (403, "not-yours")


async def test_commands_need_the_operators_leave(api: Api, redis_url: str) -> None:
    """A command is refused unless allowed; then only its owner sees what runs."""
    developer = await api.account("Dev", "developer")
    token = developer["access_token"]
    refused = await api.ask("POST", "/v1/games", {"id": "own", **COMMAND}, token=token)
    assert (refused.status, refused.body["pointer"]) == (422, "/server/command")
    async with open_api(redis_url, allow_commands=True) as trusting:
        made = await trusting.ask("POST", "/v1/games", {"id": "own", **COMMAND}, token=token)
        assert made.body["spec"]["server"] == {**COMMAND["server"]}
        seen = await trusting.ask("GET", "/v1/games/own")
        assert seen.body["spec"]["server"] == {}
        mine = await trusting.ask("GET", "/v1/games", token=token)
        assert mine.body["games"][0]["spec"]["server"]["env"] == {"KEY": "secret"}


async def test_images_and_resources_within_the_operators_bounds(redis_url: str) -> None:
    """An image from elsewhere, or a server that is too large, is refused with the bound; at a change too."""
    game = {"players_per_match": 2, "server": {"image": "good.example/games/a:1", "resources": {"cpu": 1}}}
    async with open_api(redis_url, image_prefixes="good.example/games", server_cpu_most=2.0) as api:
        token = (await api.account("Dev", "developer"))["access_token"]
        assert (await api.ask("POST", "/v1/games", {"id": "own", **game}, token=token)).status == 201
        for server, pointer in (
            ({"image": "good.example/games-evil/a"}, "/server/image"),
            ({"image": "good.example/games/a", "resources": {"cpu": 3}}, "/server/resources/cpu"),
            ({"arena": {}, "resources": {"memory_mib": 9000}}, "/server/resources/memory_mib"),
        ):
            refused = await api.ask("PUT", "/v1/games/own", game | {"server": server}, token=token)
            assert (refused.status, refused.body["pointer"]) == (422, pointer)


@pytest.mark.parametrize(
    ("change", "pointer"),
    [
        ({"id": "Tanks"}, "/id"),
        ({"id": "x" * 41}, "/id"),
        ({"server": {}}, "/server"),
        ({"server": {"arena": {}, "image": "x"}}, "/server"),
        ({"server": {"arena": {"x": "y" * 20_000}}}, "/server/arena"),
        ({"server": {"arena": {}, "ports": [{"port": "x"}]}}, "/server/ports/0/port"),
        ({"server": {"arena": {}, "env": {"A": 1}}}, "/server/env"),
        ({"teams": [{"name": "a", "min_players": 2, "max_players": 1}]}, "/teams/0/min_players"),
        ({"teams": [{"name": "a", "min_players": 1}]}, "/teams/0/max_players"),
        ({"timers": {"start": 5}}, "/timers/start"),
        ({"players_per_match": None}, "/players_per_match"),
    ],
)
async def test_a_bad_registration_is_told_where_it_is_bad(api: Api, change: dict[str, Any], pointer: str) -> None:
    """Whatever breaks a rule is refused with a JSON pointer to the place."""
    developer = await api.account("Dev", "developer")
    answer = await api.ask("POST", "/v1/games", {"id": "tanks", **ARENA, **change}, token=developer["access_token"])
    assert (answer.status, answer.problem, answer.body["pointer"]) == (422, "invalid", pointer)


async def test_a_game_with_tickets_stays(api: Api) -> None:
    """A game that somebody waits for cannot be removed; once they are gone it can."""
    token = (await api.game())["access_token"]
    guest = await api.guest()
    ticket = await api.ticket(guest)
    assert (await api.ask("DELETE", "/v1/games/tanks", token=token)).problem == "game-busy"
    await api.ask("DELETE", f"/v1/tickets/tanks/{ticket['id']}", token=guest["access_token"])
    assert (await api.ask("DELETE", "/v1/games/tanks", token=token)).status == 204


async def test_the_id_of_a_removed_game_stays_its_owners(api: Api) -> None:
    """Boards and items of the game are still there: nobody else gets them by its id, but for an admin."""
    token = (await api.game())["access_token"]
    other = (await api.account("Other", "developer"))["access_token"]
    assert (await api.ask("DELETE", "/v1/games/tanks", token=token)).status == 204
    refused = await api.ask("POST", "/v1/games", {"id": "tanks", **ARENA}, token=other)
    assert (refused.status, refused.problem) == (409, "game-id-kept")
    assert (await api.ask("POST", "/v1/games", {"id": "tanks", **ARENA}, token=token)).status == 201
    assert (await api.ask("DELETE", "/v1/games/tanks", token=token)).status == 204
    admin = Tokens(api.services.secret, 10**10).mint("p-1", "Root", "admin", new_id("session"), 0)
    assert (await api.ask("POST", "/v1/games", {"id": "tanks", **ARENA}, token=admin)).status == 201


async def test_a_listed_game_without_a_registration_is_skipped(api: Api, db: Database) -> None:
    """A crash in a registration leaves an empty entry of the list, which nobody sees."""
    await db.do("SADD", keys.GAMES, "ghost")
    assert (await api.ask("GET", "/v1/games")).body == {"games": []}
    assert (await api.ask("GET", "/v1/overview")).body["games"] == []


RULES = {
    "name": "duel",
    "ruleLanguageVersion": "1.0",
    "playerAttributes": [{"name": "skill", "type": "number"}],
    "teams": [{"name": "side", "minPlayers": 1, "maxPlayers": 1, "quantity": 2}],
    "rules": [{"name": "Near", "type": "batchDistance", "batchAttribute": "skill", "maxDistance": 50}],
}
RULES_YAML = """
ruleLanguageVersion: "1.0"
playerAttributes: [{name: skill, type: number}]
teams: [{name: side, minPlayers: 1, maxPlayers: 1, quantity: 2}]
rules:
  - {name: Near, type: batchDistance, batchAttribute: skill, maxDistance: 50}
"""


@pytest.mark.parametrize("rules", [RULES, json.dumps(RULES), RULES_YAML], ids=["tree", "json", "yaml"])
async def test_a_rule_set_is_taken_as_it_is(api: Api, rules: Any) -> None:
    """FlexMatch's JSON, as a tree or as text, and the same in YAML; the owner reads it as a tree, others do not."""
    developer = (await api.account("studio", role="developer"))["access_token"]
    made = await api.ask("POST", "/v1/games", {"id": "duel", "server": {"arena": {}}, "rules": rules}, token=developer)
    assert (made.status, made.body["warnings"]) == (201, [])
    assert made.body["spec"]["rules"]["teams"] == RULES["teams"]
    assert (await api.ask("GET", "/v1/games/duel")).body["spec"]["rules"] is None


@pytest.mark.parametrize(
    ("rules", "pointer", "said"),
    [
        ({**RULES, "rules": [{"name": "Near", "type": "distnace"}]}, "/rules/rules/0/type", "distnace"),
        ({**RULES, "teams": []}, "/rules/teams", "at least one team"),
        ("{", "/rules", "neither JSON nor YAML in line 2"),
        ("a: &x [1]\nb: *x", "/rules", "line 2, column 4: aliases"),
        ("teams: []\nteams: []", "/rules", "there twice"),
        ("- 1", "/rules", "object"),
    ],
)
async def test_a_wrong_rule_set_is_refused_with_its_place(api: Api, rules: Any, pointer: str, said: str) -> None:
    """The pointer leads into the registration, and the sentence says what is wrong there."""
    developer = (await api.account("studio", role="developer"))["access_token"]
    answer = await api.ask("POST", "/v1/games", {"id": "x", "server": {"arena": {}}, "rules": rules}, token=developer)
    assert (answer.status, answer.body["pointer"]) == (422, pointer)
    assert said in answer.body["detail"]


async def test_rules_that_match_nobody_are_warned_of(api: Api) -> None:
    """They are registered, and the developer reads why nobody will ever play."""
    skills = "flatten(teams[*].players.attributes[skill])"
    never = {"name": "Never", "type": "comparison", "measurements": [skills], "referenceValue": 5, "operation": "<"}
    always = never | {"name": "Always", "operation": ">"}
    developer = (await api.account("studio", role="developer"))["access_token"]
    game = {"id": "x", "server": {"arena": {}}, "rules": {**RULES, "rules": [never, always]}}
    made = await api.ask("POST", "/v1/games", game, token=developer)
    assert made.status == 201
    assert any("Never" in warning for warning in made.body["warnings"])


async def test_a_ticket_that_does_not_fit_the_rules_is_refused(api: Api) -> None:
    """At the door, with the attribute that is missing or wrong."""
    developer = (await api.account("studio", role="developer"))["access_token"]
    await api.ask("POST", "/v1/games", {"id": "duel", "server": {"arena": {}}, "rules": RULES}, token=developer)
    player = (await api.guest())["access_token"]
    for attributes, pointer in (({}, "/attributes/skill"), ({"skill": "high"}, "/attributes/skill")):
        answer = await api.ask("POST", "/v1/tickets", {"game": "duel", "attributes": attributes}, token=player)
        assert (answer.status, answer.body["pointer"]) == (422, pointer)
    made = await api.ask("POST", "/v1/tickets", {"game": "duel", "attributes": {"skill": 10}}, token=player)
    assert made.status == 201
