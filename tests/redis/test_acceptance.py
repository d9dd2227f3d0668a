"""ticket_accept, and what ends a match before it can be played: a rejection, silence, a cancel."""

from __future__ import annotations

import json
from typing import Any

import pytest

from core.errors import Fenced
from tests.redis.conftest import Game
from tests.redis.steps import NOW, OWNER, claim, create, lease, people, register, step

UNTIL = NOW + 30_100  # `claim` is at NOW + 100


async def asked(game: Game) -> int:
    """Match m1 asks p1 and p9, a party with ticket t1, and p2 with t2. Returns the fencing token."""
    await register(game)
    await create(game, "t1", "p1", "p9", now=NOW + 1)
    await create(game, "t2", "p2", now=NOW + 2)
    token = await lease(game)
    assert await claim(game, token, "m1", "t1+p9", "t2", ask_s=30) == ["ok"]
    return token


async def accept(game: Game, ticket: str, player: str, match: str = "") -> Any:
    return await game.call("ticket_accept", ticket, player, NOW + 300, match)


async def end(game: Game, ticket: str, event: str, player: str = "", *, now: int = NOW + 400, match: str = "") -> Any:
    return await game.call("ticket_end", ticket, event, now, event, player, match)


async def give_up(game: Game, token: int, state: str = "REQUIRES_ACCEPTANCE") -> Any:
    """The control plane's verdict that the time is over."""
    args = ("m1", "fail", UNTIL, "", "acceptance_timed_out", "", 0, 3, token, state, "")
    return await game.call("match_step", *args)


async def states(game: Game, *tickets: str) -> list[str]:
    return [(await game.hash(f"ticket:{ticket}"))["state"] for ticket in tickets]


async def told(game: Game, ticket: str) -> dict[str, Any]:
    """The latest event of a ticket."""
    found = await game.hash(f"ticket:{ticket}")
    return dict(json.loads(found[f"e{found['seq']}"]))


async def test_a_claim_asks_the_players(game: Game) -> None:
    """Where the match document says so, tickets and match require acceptance, and each ticket is told until when."""
    await asked(game)
    assert await states(game, "t1", "t2") == ["REQUIRES_ACCEPTANCE"] * 2
    assert await game.scores("queue") == await game.scores("alive") == {}
    assert await game.hash("open") == {"p1": "t1", "p9": "t1", "p2": "t2"}
    match = await game.hash("match:m1")
    assert (match["state"], match["accept_until_ms"]) == ("REQUIRES_ACCEPTANCE", str(UNTIL))
    event = await told(game, "t1")
    assert (event["event"], event["asked"]) == ("proposed", {"accepted": 0, "players": 3, "until_ms": UNTIL})


async def test_no_server_takes_a_match_that_asks(game: Game) -> None:
    """A server that comes too early is turned away, and may come again."""
    await asked(game)
    assert await game.call("server_attach", "m1", "s1", NOW, "{}") == ["early", "REQUIRES_ACCEPTANCE"]
    for ticket, player in (("t1", "p1"), ("t1", "p9"), ("t2", "p2")):
        await accept(game, ticket, player)
    assert (await game.call("server_attach", "m1", "s1", NOW, "{}"))[:2] == ["ok", "PLACING"]


async def test_all_accept(game: Game) -> None:
    """Each acceptance is told to all; with the last one the match is PLACING, and is to be looked at now."""
    await asked(game)
    assert await accept(game, "t1", "p9") == ["ok", "REQUIRES_ACCEPTANCE", "t1", "t2"]
    assert (await told(game, "t1"))["asked"] == {"accepted": 1, "players": 3, "until_ms": UNTIL, "who": ["p9"]}
    assert (await told(game, "t2"))["asked"] == {"accepted": 1, "players": 3, "until_ms": UNTIL}
    await accept(game, "t1", "p1")
    assert await accept(game, "t2", "p2") == ["ok", "PLACING", "t1", "t2"]
    assert await states(game, "t1", "t2") == ["PLACING"] * 2
    match = await game.hash("match:m1")
    assert (match["state"], match["agree_ms"]) == ("PLACING", str(NOW + 300))
    assert await game.scores("live") == {"m1": 0}
    assert (await told(game, "t2"))["event"] == "agreed"


async def test_an_acceptance_counts_once(game: Game) -> None:
    """The same answer again, before or after the others', is recognised and changes nothing."""
    await asked(game)
    await accept(game, "t1", "p1")
    before = await game.hash("match:m1"), await game.hash("ticket:t2")
    assert await accept(game, "t1", "p1") == ["repeat", "REQUIRES_ACCEPTANCE"]
    assert (await game.hash("match:m1"), await game.hash("ticket:t2")) == before
    await accept(game, "t1", "p9")
    await accept(game, "t2", "p2")
    assert await accept(game, "t2", "p2") == ["repeat", "PLACING"]
    await game.call("server_attach", "m1", "s1", NOW, "{}")
    await step(game, "m1", "ready", server="s1")
    assert await accept(game, "t1", "p1") == ["repeat", "COMPLETED"]


async def test_who_is_not_asked_cannot_accept(game: Game) -> None:
    """Before a match, in another's seat, or for a ticket that is not there: nothing counts."""
    await register(game)
    await create(game, "t5", "p5")
    assert await accept(game, "t5", "p5") == ["illegal", "QUEUED"]
    assert await accept(game, "t-never", "p5") == ["gone", ""]
    await asked(game)
    assert await accept(game, "t1", "p2") == ["illegal", "REQUIRES_ACCEPTANCE"]
    assert (await game.hash("match:m1"))["accepted"] == "0"


@pytest.mark.parametrize("event", ["rejected", "cancelled"])
async def test_a_rejection_fails_the_match(game: Game, event: str) -> None:
    """The ticket of who rejects, or cancels, is CANCELLED; the others search on with their wait, and no try counted."""
    token = await asked(game)
    place = (await game.call("queue_changes", "", 10, 10))[1]
    await accept(game, "t1", "p1")
    assert await end(game, "t1", event, "p9") == ["ok", "CANCELLED", "t1", "t2"]
    rejected, released = await game.hash("ticket:t1"), await game.hash("ticket:t2")
    assert (rejected["state"], rejected["reason"]) == ("CANCELLED", "rejected")
    assert (released["state"], released["reason"], released["tries"]) == ("SEARCHING", "rejected", "0")
    assert await game.scores("queue") == {"t2": NOW + 2}
    assert set(await game.scores("alive")) == {"t2"}
    assert await game.hash("open") == {"p2": "t2"}
    match = await game.hash("match:m1")
    assert (match["state"], match["reason"]) == ("FAILED", "rejected")
    assert await game.scores("live") == {}
    assert await game.do("LRANGE", "recent", 0, -1) == ["m1"]
    assert (await game.call("queue_changes", place, 10, 10))[2:5] == ["t2", str(NOW + 2), "SEARCHING"]
    assert await end(game, "t1", event, "p9") == ["illegal", "CANCELLED"]
    assert await accept(game, "t2", "p2") == ["illegal", "SEARCHING"]
    assert await claim(game, token, "m2", "t2") == ["ok"]


async def test_an_answer_is_for_the_match_it_names(game: Game) -> None:
    """One that comes late, when another match asks, counts for neither."""
    await asked(game)
    assert await accept(game, "t1", "p1", "m0") == ["illegal", "REQUIRES_ACCEPTANCE"]
    assert await end(game, "t1", "rejected", "p1", match="m0") == ["illegal", "REQUIRES_ACCEPTANCE"]
    assert (await game.hash("match:m1"))["accepted"] == "0"
    assert (await accept(game, "t1", "p1", "m1"))[0] == "ok"
    assert (await end(game, "t1", "rejected", "p1", match="m1"))[0] == "ok"


async def test_who_accepted_may_think_better_of_it(game: Game) -> None:
    """A rejection after an acceptance is a rejection, until all have accepted."""
    await asked(game)
    await accept(game, "t2", "p2")
    assert await end(game, "t2", "rejected", "p2") == ["ok", "CANCELLED", "t1", "t2"]
    assert await states(game, "t1", "t2") == ["SEARCHING", "CANCELLED"]


@pytest.mark.parametrize("state", ["QUEUED", "PLACING", "COMPLETED"])
async def test_a_rejection_needs_a_question(game: Game, state: str) -> None:
    """Nothing is rejected where nobody asks."""
    await register(game)
    await create(game, "t1", "p1")
    if state != "QUEUED":
        assert await claim(game, await lease(game), "m1", "t1") == ["ok"]
    if state == "COMPLETED":
        await game.call("server_attach", "m1", "s1", NOW, "{}")
        await step(game, "m1", "ready", server="s1")
    assert await end(game, "t1", "rejected", "p1") == ["illegal", state]


async def test_silence_fails_the_match(game: Game) -> None:
    """When the time is over, tickets with somebody who did not answer are CANCELLED, the others search on."""
    token = await asked(game)
    await accept(game, "t1", "p1")
    await accept(game, "t2", "p2")
    assert await give_up(game, token) == ["ok", "FAILED", "t1", "t2"]
    silent, released = await game.hash("ticket:t1"), await game.hash("ticket:t2")
    assert (silent["state"], silent["reason"]) == ("CANCELLED", "acceptance_timed_out")
    assert (released["state"], released["tries"], released["since_ms"]) == ("SEARCHING", "0", str(NOW + 2))
    assert await game.hash("open") == {"p2": "t2"}
    assert await give_up(game, token) == ["illegal", "FAILED"]
    assert await accept(game, "t1", "p9") == ["illegal", "CANCELLED"]


async def test_the_last_acceptance_overtakes_the_verdict(game: Game) -> None:
    """A match whose players all accepted before the verdict came is not failed by it, nor by who was fenced off."""
    token = await asked(game)
    for ticket, player in (("t1", "p1"), ("t1", "p9"), ("t2", "p2")):
        await accept(game, ticket, player)
    assert await give_up(game, token) == ["changed", "PLACING"]
    await game.call("lease_drop", OWNER)
    await lease(game, "replica-2")
    with pytest.raises(Fenced):
        await give_up(game, token, "PLACING")
    assert await states(game, "t1", "t2") == ["PLACING"] * 2


async def test_a_cancel_while_the_server_starts(game: Game) -> None:
    """The ticket is CANCELLED, its match fails, the others search on, and the server that comes is turned away."""
    await register(game)
    for number in (1, 2):
        await create(game, f"t{number}", f"p{number}", now=NOW + number)
    await claim(game, await lease(game), "m1", "t1", "t2")
    await game.call("server_attach", "m1", "s1", NOW + 200, "{}")
    assert await end(game, "t1", "cancelled", "p1") == ["ok", "CANCELLED", "t1", "t2"]
    assert await states(game, "t1", "t2") == ["CANCELLED", "SEARCHING"]
    released = await game.hash("ticket:t2")
    assert (released["tries"], released["reason"]) == ("0", "cancelled")
    assert await game.scores("queue") == {"t2": NOW + 2}
    match = await game.hash("match:m1")
    assert (match["state"], match["reason"]) == ("FAILED", "cancelled")
    assert await step(game, "m1", "ready", server="s1") == ["illegal", "FAILED"]
    assert await end(game, "t1", "cancelled", "p1") == ["illegal", "CANCELLED"]


async def test_turned_down_matches_are_counted(game: Game) -> None:
    """Who turned down as many matches as the game allows waits until the first is ten minutes old; a repeat is one."""
    await register(game, limits={"cancels": 2})
    token = await lease(game)
    for number, event in ((1, "cancelled"), (2, "rejected")):
        await create(game, f"t{number}", "p1")
        await claim(game, token, f"m{number}", f"t{number}+p1", ask_s=30 if event == "rejected" else 0)
        for _ in range(2):
            await end(game, f"t{number}", event, "p1", now=NOW + 1000 * number)
    assert await create(game, "t3", "p3", "p1", now=NOW + 60_000) == ["cancels", "p1", 541_000]
    assert await create(game, "t3", "p1", now=NOW + 600_999) == ["cancels", "p1", 1]
    assert await create(game, "t3", "p1", now=NOW + 601_000) == ["ok", 0]


async def test_a_cancel_in_the_queue_is_free(game: Game) -> None:
    """Whoever waits may change his mind as often as he likes."""
    await register(game, limits={"cancels": 1})
    for number in range(3):
        assert await create(game, f"t{number}", "p1") == ["ok", 0]
        assert await end(game, f"t{number}", "cancelled", "p1") == ["ok", "CANCELLED", f"t{number}"]


async def test_a_lost_match_does_not_hold_its_ticket(game: Game) -> None:
    """A ticket whose match is not there any more can still be cancelled."""
    await register(game)
    await create(game, "t1", "p1")
    await claim(game, await lease(game), "m1", "t1")
    await game.do("DEL", "match:m1")
    assert await end(game, "t1", "cancelled", "p1") == ["ok", "CANCELLED", "t1"]
    assert people("p1") == (await game.hash("ticket:t1"))["doc"]
