"""A server's inbox: each command once and in order, whatever Redis forgets or does not answer."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from core.errors import Unavailable
from gamepod.arena.outside import take_outside
from gamepod.inbox import KNOWN, Inbox
from gamepod.outcome import TAKES_NONE
from tests.support import eventually
from tests.unit.arena.kit import one_session


def text(player: str, number: int) -> str:
    """A command as core.intake.messages writes it."""
    return f'{{"player":"{player}","command":{{"number":{number}}}}}'


class FakeStore:
    """An inbox in memory, whose replies may be lost, and which may forget what it was answered."""

    def __init__(self, *commands: tuple[str, str]) -> None:
        self.rows = {f"{n}-0": row for n, row in enumerate(commands)}
        self.answers: dict[str, str] = {}
        self.lose = self.refuse = 0
        self.forget = False

    async def commands(self, most: int, answers: Any) -> list[tuple[str, str, str]]:
        if self.refuse:
            self.refuse -= 1
            raise Unavailable("away")
        for place, id_, answer in answers:
            self.answers[id_] = answer
            if not self.forget:
                self.rows.pop(place, None)
        if self.lose:
            self.lose -= 1
            raise Unavailable("the reply was lost")
        return [(place, id_, said) for place, (id_, said) in list(self.rows.items())[:most]]


async def run(store: FakeStore, execute: Any, *, until: int) -> None:
    """Let an inbox work until so many are answered."""
    inbox = Inbox(store, execute)  # type: ignore[arg-type]
    inbox.wake()

    async def answered() -> bool:
        return len(store.answers) >= until

    await eventually(answered)
    await inbox.close()


async def test_commands_are_executed_once_and_in_order() -> None:
    """Although replies are lost, Redis is away, and what was answered comes again."""
    store = FakeStore(*((f"c{n}", text("p", n)) for n in range(20)))
    store.lose, store.refuse = 2, 1
    executed: list[str] = []

    def execute(said: str) -> str:
        executed.append(said)
        store.forget = len(executed) < 15
        return "done"

    await run(store, execute, until=20)
    assert executed == [text("p", n) for n in range(20)]
    assert set(store.answers.values()) == {"done"}


async def test_a_player_who_may_do_no_more_waits_in_his_order(monkeypatch: pytest.MonkeyPatch) -> None:
    """The others go on, and he does when he may again."""
    monkeypatch.setattr("gamepod.inbox.HELD_S", 60.0)  # no pause of this process is to be taken for his waiting
    store = FakeStore(("a1", text("a", 1)), ("a2", text("a", 2)), ("b1", text("b", 1)))
    allowed, order = {"a": False}, list[str]()

    def execute(said: str) -> str | None:
        if '"a"' in said and not allowed["a"]:
            return None
        order.append(said)
        return "done"

    inbox = Inbox(store, execute)  # type: ignore[arg-type]
    inbox.wake()

    async def other() -> bool:
        return "b1" in store.answers

    await eventually(other)
    assert order == [text("b", 1)]
    allowed["a"] = True

    async def all_there() -> bool:
        return len(store.answers) == 3

    await eventually(all_there)
    await inbox.close()
    assert order == [text("b", 1), text("a", 1), text("a", 2)]


async def test_who_never_may_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """After a bound, so that an inbox does not fill."""
    monkeypatch.setattr("gamepod.inbox.HELD_S", 0.05)
    store = FakeStore(("a1", text("a", 1)))
    await run(store, lambda said: None, until=1)
    assert store.answers["a1"].startswith("too-many-commands ")


async def test_an_inbox_remembers_so_many(monkeypatch: pytest.MonkeyPatch) -> None:
    """No more than are waited for in Redis, and then some."""
    store = FakeStore(*((f"c{n}", text("p", n)) for n in range(KNOWN + 500)))
    inbox = Inbox(store, lambda said: "done")  # type: ignore[arg-type]
    inbox.wake()

    async def answered() -> bool:
        return len(store.answers) >= KNOWN + 500

    await eventually(answered)
    await inbox.close()
    assert len(inbox._known) == KNOWN


async def test_closing_answers_what_is_left() -> None:
    """A server that never heard of a command has nothing to close."""
    store = FakeStore(("a", text("p", 1)))
    inbox = Inbox(store, lambda said: TAKES_NONE)  # type: ignore[arg-type]
    await inbox.close()
    inbox.wake()
    await asyncio.sleep(0)
    await inbox.close()
    assert store.answers == {"a": TAKES_NONE}


def test_the_arena_takes_what_clients_may_send() -> None:
    """By the same decoder, bounds and refusals; whoever is not there is told so."""
    _, session = one_session()
    session.join("p", "Ada", "", 0)
    move = '{"player":"p","command":{"type":"move","throttle":1.0}}'
    assert take_outside(session, move) == "done"
    assert (take_outside(session, '{"player":"p","command":{"type":"fly"}}') or "").startswith("bad-form ")
    assert (take_outside(session, move.replace("1.0", '"x"')) or "").startswith("bad-form ")
    assert (take_outside(session, move.replace('"p"', '"q"')) or "").startswith("not-in-match ")
    while take_outside(session, move) == "done":
        pass
    assert take_outside(session, move) is None
    session.end("stopped")
    session.step(1)
    assert (take_outside(session, move) or "").startswith("match-over ")
