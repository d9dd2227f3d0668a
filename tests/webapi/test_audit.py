"""Each attempt to come in is one event, whichever door it came through: what it tells, and what it never tells."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from structlog.testing import capture_logs
from structlog.typing import EventDict

from core.ids import is_id
from tests.support import eventually
from tests.webapi.support import PASSWORD, held_checks
from tests.webapi.tcp.door import open_door, proxy

ADA = {"name": "Ada", "password": PASSWORD}
WRONG = {"name": "ada", "password": "a wrong one"}


def told(lines: list[EventDict]) -> list[tuple[Any, ...]]:
    """Events as (event, name, reason), after a look at what every one has."""
    events = [line for line in lines if line.get("part") == "audit"]
    for event in events:
        assert is_id("event", event["id"])
        assert event["at_ms"] > 0
        assert not [secret for secret in (PASSWORD, WRONG["password"]) if secret in json.dumps(event)]
    return [(event["event"], event["name"], event.get("reason", "")) for event in events]


@pytest.mark.parametrize("door", ["rest", "tcp"])
async def test_every_attempt_is_an_event(redis_url: str, door: str) -> None:
    """Done or refused, with the player's address; the same events and figures for both doors."""
    async with open_door(redis_url, login_tries_name=1, trusted_proxies=1, open_developers=False) as both:

        async def attempt(kind: str, body: dict[str, str]) -> None:
            if door == "rest":
                path = {"register": "/v1/accounts"}.get(kind, f"/v1/{kind}")
                await both.api.ask("POST", path, body, headers={"X-Forwarded-For": "192.0.2.1"})
            else:
                async with both.line(proxy("192.0.2.1")) as line:
                    await line.ask(kind, **body)

        with capture_logs() as lines:
            await attempt("register", ADA)
            await attempt("register", {**ADA, "name": "ADA"})
            await attempt("register", {**ADA, "name": "Bob", "role": "developer"})
            await attempt("login", ADA)
            await attempt("login", WRONG)
            await attempt("login", ADA)
        assert told(lines) == [
            ("user_registered", "Ada", ""),
            ("user_registration_failed", "ADA", "name-taken"),
            ("user_registration_failed", "Bob", "forbidden"),
            ("user_logged_in", "Ada", ""),
            ("user_login_failed", "ada", "wrong-credentials"),
            ("user_login_failed", "Ada", "locked-out"),
        ]
        assert {(line["address"], line["via"]) for line in lines if line.get("part") == "audit"} == {
            ("192.0.2.1", door)
        }
        assert both.count("muster_auth_events_total", event="user_logged_in", via=door, reason="") == 1
        assert both.count("muster_auth_events_total", event="user_login_failed", via=door, reason="locked-out") == 1


async def test_a_guess_whose_client_leaves_is_an_event_too(redis_url: str) -> None:
    """Going away before the answer hides nothing."""
    async with open_door(redis_url, hash_threads=1) as both:
        with capture_logs() as lines, held_checks(both.api):
            asking = asyncio.create_task(both.api.ask("POST", "/v1/login", WRONG))

            async def at_work() -> bool:
                return both.count("muster_password_hashes") == 1

            await eventually(at_work)
            asking.cancel()

            async def seen() -> bool:
                return bool(told(lines))

            await eventually(seen)
        assert told(lines) == [("user_login_failed", "ada", "gone")]


async def test_a_name_cannot_forge_a_line(redis_url: str) -> None:
    """What a stranger types is cut and made printable."""
    name = 'x\n{"event": "user_logged_in"}\x1b[2J' + "y" * 90
    async with open_door(redis_url) as both:
        with capture_logs() as lines:
            await both.api.ask("POST", "/v1/login", {"name": name, "password": "x"})
        [event] = [line for line in lines if line.get("part") == "audit"]
        assert event["name"].isprintable()
        assert len(event["name"]) <= 64
