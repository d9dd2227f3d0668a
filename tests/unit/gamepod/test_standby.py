"""A server that waits for a match does not wait for ever where nobody is there to give it one."""

from __future__ import annotations

from typing import Any

import pytest

from core.errors import Unavailable
from gamepod import standby
from gamepod.store import NotOurs
from tests.support import free_port


class Answers:
    """A Redis that answers each beat the same, or is away (None)."""

    def __init__(self, reply: list[str] | None) -> None:
        self.reply = reply

    async def call(self, function: str, base: str, *args: str | bytes | int | float) -> Any:
        if self.reply is None:
            raise Unavailable("away", code="storage-unavailable")
        return self.reply

    async def do(self, *command: str | bytes | int | float) -> Any:
        raise AssertionError("a place is asked for by function")


def nowhere() -> str:
    return f"redis://127.0.0.1:{free_port()}/0"


async def test_without_redis_for_long_it_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    """A Redis that is gone for good leaves no process behind."""
    monkeypatch.setattr(standby, "ALONE_S", 0.3)
    with pytest.raises(NotOurs, match="gone"):
        await standby.Standby(Answers(None), "duel", "w-1", "s-1").allocated(nowhere())


async def test_where_nobody_works_its_game_it_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    """Beats are answered, and for hours no matchmaker has replaced it: nobody will."""
    monkeypatch.setattr(standby, "WAIT_MOST_S", 0.3)
    with pytest.raises(NotOurs, match="nobody works"):
        await standby.Standby(Answers(["ok", "Ready", ""]), "duel", "w-1", "s-1").allocated(nowhere())


async def test_a_match_that_a_beat_told_of_is_not_waited_for() -> None:
    """Told by the answer to `ready`, it needs no ring."""
    place = standby.Standby(Answers(["ok", "Allocated", "m-1"]), "duel", "w-1", "s-1")
    await place.beat("ready")
    assert await place.allocated(nowhere()) == "m-1"
