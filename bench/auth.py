"""What it costs to know who asks: token checks a second, logins a second and core at the stated cost of argon2.

In this process, by its CPU time, so that neighbours do not count: access tokens HS256 and EdDSA as webapi checks one
that it sees for the first time, and one that it remembers; join tokens as webapi makes and gamepod verifies them. Then
logins through a real webapi: how many a second of its CPU.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from typing import Any

import uvloop

from bench.harness import Report, say, stack
from bench.load import load, request
from core.clock import new_id
from core.jointoken import JoinClaims, match_key, mint, mint_signed, verify
from core.signing import Keyring
from webapi import passwords
from webapi.auth import Algorithm, Tokens

TOKENS = 3000
LOGINS = 120
SECRET = "a secret of thirty-two bytes or so"
MATCH = "m-01m7yptkrj2916d2c3aprkxes8"


def rate(work: Callable[[Any], object], over: list[Any]) -> float:
    """Calls per second of CPU time."""
    began = time.process_time()
    for one in over:
        work(one)
    return len(over) / (time.process_time() - began)


def _access(report: Report, ring: Keyring, algorithm: Algorithm, at_least: float) -> None:
    maker = Tokens(ring, 900, algorithm)
    made = [maker.mint(new_id("player"), "Ann", "player", new_id("session"), 1000) for _ in range(TOKENS)]
    checker = Tokens(ring, 900)
    first = rate(lambda token: checker.verify(token, 1000), made)
    again = rate(lambda token: checker.verify(token, 1000), made * 20)
    report.figure(
        f"access token {algorithm}: checks of one seen first, per CPU-second", first, "1/s", at_least=at_least
    )
    report.figure(f"access token {algorithm}: checks of one remembered, per CPU-second", again, "1/s", at_least=200_000)


def _join(report: Report, ring: Keyring) -> None:
    key, claims = match_key(SECRET, MATCH), JoinClaims(new_id("player"), MATCH, "Ann", "red", 2000)
    signer = ring.first
    signed = mint_signed(key, claims, signer.kid, signer.private.sign)
    for name, make in (
        ("HS256", lambda _: mint(key, claims)),
        ("EdDSA", lambda _: mint_signed(key, claims, signer.kid, signer.private.sign)),
    ):
        report.figure(f"join token {name}: made per CPU-second", rate(make, [None] * TOKENS), "1/s")
    for name, token in (("HS256", mint(key, claims)), ("EdDSA", signed)):
        done = rate(lambda it: verify(key, it, MATCH, 1000), [token] * TOKENS)
        report.figure(f"join token {name}: verified in gamepod per CPU-second", done, "1/s", at_least=10_000)


async def _logins(report: Report) -> None:
    with stack() as here:
        here.env["MUSTER_HASH_THREADS"] = "1"
        here.webapi()
        body = {"name": "dev", "password": "a long password"}
        await load(here.port, lambda _: request("POST", "/v1/accounts", body=body), 1, connections=1)
        before = here.cpu_s()["webapi"]
        began = time.perf_counter()
        answers = await load(here.port, lambda _: request("POST", "/v1/login", body=body), LOGINS, connections=4)
        wall_s = time.perf_counter() - began
        cpu_s = here.cpu_s()["webapi"] - before
        assert set(answers.statuses) == {200}, answers.statuses
    report.figure("logins per CPU-second of webapi", LOGINS / cpu_s, "1/s", at_least=15)
    report.figure("logins per second, one thread of argon2", LOGINS / wall_s, "1/s")
    report.figure("argon2id memory", passwords.MEMORY_KIB, "KiB")
    report.figure("argon2id rounds", passwords.ROUNDS, "")


def main(report: Report) -> None:
    """Measure."""
    ring = Keyring([SECRET])
    say(f"tokens, on {os.cpu_count()} cores")
    _access(report, ring, "HS256", 4000)
    _access(report, ring, "EdDSA", 1500)
    _join(report, ring)
    say("logins")
    uvloop.run(_logins(report))
