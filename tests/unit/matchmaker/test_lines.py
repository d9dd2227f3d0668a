"""The matchmaker looks for a game's line where its sidecar cannot: until it was seen, or nobody wants to know."""

from __future__ import annotations

import asyncio
from typing import Any, cast

import pytest

from core.errors import Unavailable
from matchmaker import lines
from matchmaker.lines import LineLooks
from tests.support import eventually


class Docker:
    """A launcher that shows what its one game wrote so far."""

    def __init__(self) -> None:
        self.wrote, self.looks, self.at_once, self.most = "", 0, 0, 0

    async def output(self, match: str) -> str:
        self.looks += 1
        self.at_once += 1
        self.most = max(self.most, self.at_once)
        await asyncio.sleep(0)
        self.at_once -= 1
        return self.wrote


class Facts:
    """A game's part of Redis, which is away at first."""

    game = "duel"

    def __init__(self) -> None:
        self.told: list[str] = []
        self.away = 1

    async def said(self, match: str, now_ms: int) -> None:
        if self.away:
            self.away -= 1
            raise Unavailable("Redis is away")
        self.told.append(match)


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("LOOK_S", "HOLD_S"):
        monkeypatch.setattr(lines, name, 0.001)


def looks_of(docker: Docker, facts: Facts) -> LineLooks:
    return LineLooks(cast(Any, docker), cast(Any, facts))


async def test_a_line_is_told_once_it_is_there() -> None:
    """Not before; again where Redis was away; and one follow is enough."""
    docker, facts = Docker(), Facts()
    looks = looks_of(docker, facts)
    docker.wrote = "soon\n"
    for _ in range(3):
        looks.follow("m-1", "up on *")

    async def looked() -> bool:
        return docker.looks > 3

    await eventually(looked)
    assert (facts.told, facts.away) == ([], 1)
    docker.wrote += "it is up on 7777\n"

    async def told() -> bool:
        return facts.told == ["m-1"]

    await eventually(told)
    await looks.close()


async def test_nobody_looks_without_a_line_or_afterwards() -> None:
    """A game that is ready by other means is not looked at, nor one whose match is no more; looks are bounded."""
    docker, facts = Docker(), Facts()
    looks = looks_of(docker, facts)
    looks.follow("m-0", "")
    await asyncio.sleep(0.01)
    assert docker.looks == 0
    for i in range(3 * lines.LOOKS):
        looks.follow(f"m-{i}", "up")

    async def busy() -> bool:
        return docker.looks > 10 * lines.LOOKS

    await eventually(busy)
    assert docker.most <= lines.LOOKS
    for i in range(3 * lines.LOOKS):
        looks.forget(f"m-{i}")
    await asyncio.sleep(0.01)
    seen = docker.looks
    await asyncio.sleep(0.02)
    assert docker.looks == seen
    await looks.close()
