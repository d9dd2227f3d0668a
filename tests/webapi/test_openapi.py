"""The description of the API holds: every route is in it, and the service answers as it says."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from concurrent.futures import Future

import pytest
import requests
import schemathesis
from aiohttp import web
from hypothesis import HealthCheck, settings
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from core.clock import new_id
from core.redis import client
from core.redis.embedded import EmbeddedRedis
from core.settings import Common
from tests.support import PATIENCE_S
from tests.webapi.support import ARENA, SECRET, Api
from webapi.app import make_app
from webapi.auth import Tokens
from webapi.metrics import Metrics
from webapi.openapi import build
from webapi.routes import TABLES
from webapi.settings import Settings

SITE = {"/", "/openapi.json", "/docs", "/docs/start.js", "/assets/{path}"}
ANSWER_S = 60.0
EXAMPLES = 12  # of an operation; the whole takes seconds
CHECKS = [not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance]

DESCRIPTION = build([route for table in TABLES for route in table.routes])
schema = schemathesis.openapi.from_dict(DESCRIPTION)


async def test_every_route_is_described(api: Api) -> None:
    """What the router serves is in /openapi.json or part of the site, and the other way round."""
    described = (await api.ask("GET", "/openapi.json")).body["paths"]
    served = {
        (resource.canonical, route.method.lower())
        for resource in api.client.server.app.router.resources()  # type: ignore[union-attr]
        for route in resource
        if resource.canonical not in SITE
    }
    assert served == {(path, method) for path, methods in described.items() for method in methods}
    assert all(operation["summary"] for methods in described.values() for operation in methods.values())


async def test_the_site_is_served_safely(api: Api) -> None:
    """The docs page and its files come with a policy that allows no inline script; nothing outside is served."""
    for path, kind in (
        ("/docs", "text/html"),
        ("/docs/start.js", "javascript"),
        ("/assets/vendor/swagger/swagger-ui.css", "text/css"),
        ("/assets/vendor/swagger/swagger-ui-bundle.js", "javascript"),
    ):
        answer = await api.ask("GET", path)
        assert answer.status == 200
        assert kind in answer.headers["Content-Type"]
        policy = answer.headers["Content-Security-Policy"]
        assert "default-src 'self'" in policy
        assert "ws: wss:" in policy
        assert "script-src" not in policy
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
    for path in (
        "/assets/%2e%2e/app.py",
        "/assets/..%2fapp.py",
        "/assets/",
        "/assets/none.js",
        "/assets/vendor",
        "/assets/%00",
    ):
        answer = await api.ask("GET", path)
        assert (answer.status, answer.problem) == (404, "not-found")


@pytest.fixture(scope="module")
def live_url(valkey: EmbeddedRedis) -> Iterator[str]:
    """A webapi on a loop of its own thread: schemathesis asks from outside any loop.

    It waits for a Redis that is slow, and takes its time: on a busy machine some of so many requests would be a 503.
    """
    ready: Future[tuple[str, asyncio.AbstractEventLoop, asyncio.Event]] = Future()

    async def serve() -> None:
        options = Settings(
            open_developers=True, login_tries_address=10_000, login_tries_name=10_000, request_s=ANSWER_S
        )
        runner = web.AppRunner(make_app(Common(redis_url=valkey.url, secret=SECRET), options, Metrics()))
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        stop = asyncio.Event()
        ready.set_result((f"http://127.0.0.1:{runner.addresses[0][1]}", asyncio.get_running_loop(), stop))
        await stop.wait()
        await runner.cleanup()

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(client, "TIMEOUT_S", PATIENCE_S)
        thread = threading.Thread(target=lambda: asyncio.run(serve()))
        thread.start()
        url, loop, stop = ready.result(ANSWER_S)
        yield url
        loop.call_soon_threadsafe(stop.set)
        thread.join()


def _admin() -> dict[str, str]:
    """A token of a session of its own: a case may log it out."""
    token = Tokens(SECRET, 10**10).mint("p-1", "Root", "admin", new_id("session"), 0)
    return {"Authorization": f"Bearer {token}"}


@schema.exclude(path_regex="/events$").parametrize()
@settings(max_examples=EXAMPLES, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
def test_the_service_answers_as_described(case: schemathesis.Case, live_url: str) -> None:
    """Whatever is sent, good or bad, no answer is a 5xx, and every one has a described status, type and form."""
    game = {"id": "tanks", **ARENA}
    assert requests.post(f"{live_url}/v1/games", json=game, headers=_admin(), timeout=ANSWER_S).status_code in (
        201,
        409,
    )
    case.headers = {**(case.headers or {}), **_admin()}
    # Half of the cases find something: chance alone never names a game that exists.
    if len((case.path_parameters or {}).get("game", "")) % 2:
        case.path_parameters["game"] = "tanks"
    if isinstance(case.body, dict) and len(str(case.body.get("game", ""))) % 2:
        case.body["game"] = "tanks"
    if case.query and "wait_s" in case.query:
        case.query["wait_s"] = 0  # nobody here changes a ticket
    case.call_and_validate(base_url=live_url, checks=CHECKS, timeout=ANSWER_S)
