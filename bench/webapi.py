"""Requests per second and p99 of login, ticket create and ticket read, on one core, beside an empty aiohttp handler.

The server is pinned to core 0; Redis and the load share core 1 (where there are two).
"""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from typing import Any

import uvloop

from bench.harness import Report, percentile, say, stack
from bench.load import Answers, load, request
from tests.support import free_port

PLAYERS = 3000
LOGINS = 60
LOGIN = {"name": "dev", "password": "a long password"}
DEVELOPER = LOGIN | {"role": "developer"}
EMPTY = """
import sys, uvloop
from aiohttp import web
async def empty(request): return web.Response(text="ok")
async def main():
    app = web.Application(); app.router.add_get("/", empty)
    runner = web.AppRunner(app, access_log=None); await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", int(sys.argv[1])).start()
    import asyncio; await asyncio.Event().wait()
uvloop.run(main())
"""


def _check(answers: Answers, status: int) -> Answers:
    assert set(answers.statuses) == {status}, f"expected {status} only, got {answers.statuses}"
    return answers


async def _empty(core: int) -> Answers:
    port = free_port()
    process = subprocess.Popen(["taskset", "-c", str(core), sys.executable, "-c", EMPTY, str(port)])
    try:
        for _ in range(200):
            try:
                await load(port, lambda _: request("GET", "/"), 1, connections=1)
                break
            except OSError:
                await asyncio.sleep(0.05)
        return _check(await load(port, lambda _: request("GET", "/"), 10_000), 200)
    finally:
        process.terminate()
        process.wait()


def _show(report: Report, name: str, answers: Answers, base: Answers) -> None:
    report.figure(f"{name}: requests/s on one core", answers.per_second, "1/s")
    report.figure(f"{name}: p99", percentile(answers.seconds, 0.99) * 1000, "ms")
    report.figure(f"{name}: share of an empty aiohttp handler's rate", answers.per_second / base.per_second, "ratio")


async def _measure(report: Report, port: int, core: int) -> None:
    empty = await _empty(core)
    report.figure("empty aiohttp handler: requests/s on one core", empty.per_second, "1/s")
    say("guests")
    guests = _check(
        await load(port, lambda i: request("POST", "/v1/guests", body={"name": f"g{i}"}), PLAYERS, keep_bodies=True),
        201,
    )
    tokens = [json.loads(body)["access_token"] for body in guests.bodies]
    developer = await load(
        port,
        lambda _: request("POST", "/v1/accounts", body=DEVELOPER),
        1, connections=1, keep_bodies=True,
    )  # fmt: skip
    owner = json.loads(_check(developer, 201).bodies[0])["access_token"]
    game = {"id": "bench", "players_per_match": 2, "server": {"arena": {}}}
    _check(await load(port, lambda _: request("POST", "/v1/games", token=owner, body=game), 1, connections=1), 201)

    say("tickets")
    created = _check(
        await load(
            port,
            lambda i: request("POST", "/v1/tickets", token=tokens[i], body={"game": "bench"}),
            PLAYERS,
            keep_bodies=True,
        ),
        201,
    )
    tickets: list[dict[str, Any]] = [json.loads(body) for body in created.bodies]
    owners = {json.loads(body)["player"]: json.loads(body)["access_token"] for body in guests.bodies}
    paths = [(f"/v1/tickets/bench/{t['id']}", owners[t["players"][0]["id"]]) for t in tickets]
    read = _check(
        await load(port, lambda i: request("GET", paths[i % PLAYERS][0], token=paths[i % PLAYERS][1]), 6000), 200
    )
    say("logins")
    login = _check(
        await load(
            port, lambda _: request("POST", "/v1/login", body=LOGIN), LOGINS,
            connections=2,
        ),
        200,
    )  # fmt: skip
    _show(report, "ticket create", created, empty)
    _show(report, "ticket read", read, empty)
    report.figure("login: requests/s on one core", login.per_second, "1/s")
    report.figure("login: p99", percentile(login.seconds, 0.99) * 1000, "ms")


def main(report: Report) -> None:
    cores = sorted(os.sched_getaffinity(0))
    server, other = cores[0], cores[-1]
    os.sched_setaffinity(0, {other})
    try:
        with stack() as services:
            services.webapi(core=server)
            uvloop.run(_measure(report, services.port, server))
    finally:
        os.sched_setaffinity(0, set(cores))
