"""why_ask, why_tell, figures_tell: questions about waiting tickets, and what a matchmaker says of its queue."""

from __future__ import annotations

import pytest

from core.errors import Fenced
from tests.redis.conftest import Game
from tests.redis.steps import create, lease, register

WAIT_MS = 60_000  # of a question and of an answer: longer than any of these tests takes


async def _waiting(game: Game, tickets: int = 1) -> int:
    """Tickets t1, t2, ... wait; returns the fencing token of who works the game."""
    await register(game)
    for number in range(1, tickets + 1):
        await create(game, f"t{number}", f"p{number}")
    return await lease(game)


async def test_a_question_is_asked_once_and_answered(game: Game) -> None:
    """A repeat adds nothing; the answer is given to everybody who asks while it is good, and the question is gone."""
    token = await _waiting(game)
    for _ in range(2):
        assert await game.call("why_ask", "t1", 10, WAIT_MS) == ["asked", 0]
    assert list(await game.scores("asked")) == ["t1"]
    assert 0 < await game.do("PTTL", "asked") <= WAIT_MS
    assert await game.call("why_tell", token, WAIT_MS, "t1", '{"reason": "rule"}') == 1
    assert await game.scores("asked") == {}
    for _ in range(2):
        assert await game.call("why_ask", "t1", 10, WAIT_MS) == ["told", '{"reason": "rule"}']
    assert 0 < await game.do("PTTL", "why:t1") <= WAIT_MS


async def test_questions_are_bounded_and_forgotten(game: Game) -> None:
    """So many stand at the same time and no more; one that nobody answered makes room after its time."""
    await _waiting(game, tickets=3)
    for ticket in ("t1", "t2"):
        assert await game.call("why_ask", ticket, 2, WAIT_MS) == ["asked", 0]
    assert await game.call("why_ask", "t3", 2, WAIT_MS) == ["full", 2]
    assert await game.call("why_ask", "t1", 2, WAIT_MS) == ["asked", 0]
    await game.do("ZADD", "asked", 1, "t1")
    assert await game.call("why_ask", "t3", 2, WAIT_MS) == ["asked", 0]
    assert sorted(await game.scores("asked")) == ["t2", "t3"]


async def test_who_does_not_wait_is_not_asked_about(game: Game) -> None:
    """A ticket past waiting has a state instead of a reason, even where an answer is left."""
    token = await _waiting(game)
    await game.call("why_tell", token, WAIT_MS, "t1", "{}")
    await game.call("ticket_end", "t1", "cancelled", 1, "")
    assert await game.call("why_ask", "t1", 10, WAIT_MS) == ["past", "CANCELLED"]
    assert await game.call("why_ask", "t-none", 10, WAIT_MS) == ["past", ""]
    assert await game.scores("asked") == {}


async def test_without_a_matchmaker_nothing_is_asked(game: Game) -> None:
    """Where nobody holds the lease, or it was given back, there is nobody to answer."""
    await register(game)
    await create(game, "t1", "p1")
    assert await game.call("why_ask", "t1", 10, WAIT_MS) == ["nobody", 0]
    await lease(game, "replica-1")
    await game.call("lease_drop", "replica-1")
    assert await game.call("why_ask", "t1", 10, WAIT_MS) == ["nobody", 0]
    assert await game.scores("asked") == {}


async def test_only_the_owner_tells(game: Game) -> None:
    """An owner that was replaced neither answers nor publishes figures."""
    token = await _waiting(game)
    assert await game.call("figures_tell", token, WAIT_MS, '{"tickets": 1}') == 1
    assert await game.do("GET", "figures") == '{"tickets": 1}'
    assert 0 < await game.do("PTTL", "figures") <= WAIT_MS
    with pytest.raises(Fenced):
        await game.call("why_tell", token - 1, WAIT_MS, "t1", "{}")
    with pytest.raises(Fenced):
        await game.call("figures_tell", token - 1, WAIT_MS, "{}")
    assert await game.do("GET", "figures") == '{"tickets": 1}'
