"""One trace id finds what happened for a ticket, in the logs of all services, from its request to its server's end."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from typing import Any

import aiohttp
import pytest

from core import trace
from tests.stack import Stack, Ticket, Visit
from tests.support import eventually

GIVEN = "4bf92f3577b34da6a3ce929d0e0e4736"
# A game of another's, as its program: says what it was given, is ready, and is over a moment later.
PROGRAM = """
import json, os, time, urllib.request as u
at = 'http://127.0.0.1:' + os.environ['AGONES_SDK_HTTP_PORT']
annotations = json.load(u.urlopen(at + '/gameserver'))['object_meta']['annotations']
print('given', os.environ['TRACEPARENT'], annotations['muster.dev/traceparent'], flush=True)
u.urlopen(u.Request(at + '/ready', b'{}', {'Content-Type': 'application/json'}))
time.sleep(1)
"""
STAGES = [
    ("matchmaker", "match made"),
    ("matchmaker", "server started"),
    ("gamepod", "attached"),
    ("gamepod", "the game's command runs"),
    ("gamepod", "ready"),
    ("gamepod", "over"),
    ("gamepod", "the server ends"),
    ("matchmaker", "match over"),
    ("matchmaker", "server ended"),
]


def lines(stack: Stack) -> Iterator[dict[str, Any]]:
    """What all services and game servers have logged."""
    for path in [*(stack.data / "logs").glob("*.log"), *(stack.data / "run").rglob("*.log")]:
        whole, _, _ = path.read_text().rpartition("\n")  # what follows is being written
        for line in whole.splitlines():
            if line.startswith("{"):
                yield json.loads(line)


def found(stack: Stack, id_: str) -> list[dict[str, Any]]:
    """The lines with this trace id, and those of the match that one of them names."""
    mine = [line for line in lines(stack) if line.get("trace") == id_ or id_ in line.get("links", ())]
    matches = {line["match"] for line in mine if "match" in line}
    return mine + [line for line in lines(stack) if line.get("match") in matches and line not in mine]


@pytest.fixture
async def played(stack: Stack) -> tuple[Visit, list[Ticket], dict[str, Any]]:
    """Two tickets whose match is over, the first of a client that traces; and the match as the API tells it."""
    async with stack.visit() as here, aiohttp.ClientSession(stack.url) as session:
        name, command = f"traced-{os.urandom(4).hex()}", [sys.executable, "-c", PROGRAM]
        game = {"id": name, "players_per_match": 2, "server": {"command": command}}
        await here.register(game)
        tickets = []
        for headers in ({"traceparent": f"00-{GIVEN}-00f067aa0ba902b7-01"}, {"traceparent": "rubbish"}):
            player = await here.guest()
            headers |= {"Authorization": f"Bearer {player.token}"}
            async with session.post("/v1/tickets", json={"game": name}, headers=headers) as answer:
                made = await answer.json()
            tickets.append(Ticket(name, made["id"], player))
            why = f"{tickets[-1].path}/why"
            told = await here.call("GET", why, token=player.token) if len(tickets) == 1 else made
            wanted = GIVEN if len(tickets) == 1 else trace.of_id(made["id"])
            assert made["trace"] == told["trace"] == wanted
        done = await here.wait(tickets[0])
        assert done["trace"] == GIVEN

        async def over() -> Any:
            match = await here.call("GET", f"/v1/matches/{name}/{done['match']}", token=tickets[0].player.token)
            return match if match["state"] == "ENDED" else None

        return here, tickets, await eventually(over)


async def test_each_stage_is_found_by_either_ticket_s_trace(stack: Stack, played: Any) -> None:
    """Of the client that brought one by that, of the other by its own: each service tells each stage, with its ids."""
    _, tickets, match = played
    own = [GIVEN, trace.of_id(tickets[1].id)]
    assert match["trace"] in own

    async def ended() -> bool:  # who tells what last is chance
        told = {(line["service"], line["event"]) for line in lines(stack) if line.get("match") == match["id"]}
        return {("matchmaker", "match over"), ("matchmaker", "server ended")} <= told

    await eventually(ended)
    for ticket, id_ in zip(tickets, own, strict=True):
        mine = found(stack, id_)
        asked = next(line for line in mine if line["event"] == "ticket created" and line["ticket"] == ticket.id)
        assert (asked["service"], asked["trace"], asked["players"]) == ("webapi", id_, [ticket.player.id])
        stages = {(line["service"], line["event"]): line for line in mine}
        for stage in STAGES:
            assert stage in stages, f"{stage} is not among {sorted(stages)}"
            assert (stages[stage]["trace"], stages[stage]["match"]) == (match["trace"], match["id"]), stages[stage]
    made = next(line for line in found(stack, GIVEN) if line["event"] == "match made")
    assert sorted(made["tickets"]) == sorted(ticket.id for ticket in tickets)
    assert sorted(made["players"]) == sorted(ticket.player.id for ticket in tickets)
    assert {made["trace"], *made["links"]} == set(own)


async def test_the_game_is_given_the_trace(stack: Stack, played: Any) -> None:
    """In its environment as OpenTelemetry reads it, and by its SDK: a child of the match."""
    _, _, match = played
    told = [path.read_text() for path in (stack.data / "run").rglob("*.log") if match["id"] in path.name]
    wanted = trace.parent(match["trace"], match["id"])
    assert any(f"given {wanted} {wanted}" in text for text in told), told
