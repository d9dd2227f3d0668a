"""match_claim, match_step, match_postpone, server_attach, server_beat: a match and its server."""

from __future__ import annotations

import pytest

from core.errors import Fenced
from tests.redis.conftest import Game
from tests.redis.steps import NOW, claim, create, duel, lease, register, step


async def _two_tickets(game: Game) -> int:
    await register(game)
    for number in (1, 2):
        await create(game, f"t{number}", f"p{number}", now=NOW + number)
    return await lease(game)


async def test_claim_takes_all_tickets(game: Game) -> None:
    """A claim moves its tickets out of the queue and writes the match, live until somebody must look."""
    token = await _two_tickets(game)
    assert await claim(game, token, "m1", "t1", "t2") == ["ok"]
    for ticket in ("t1", "t2"):
        found = await game.hash(f"ticket:{ticket}")
        assert (found["state"], found["match"]) == ("PLACING", "m1")
    assert await game.scores("queue") == {}
    assert await game.scores("live") == {"m1": NOW + 60_100}
    assert (await game.hash("match:m1"))["state"] == "PLACING"
    assert await game.hash("open") == {"p1": "t1", "p2": "t2"}


async def test_claim_recognises_a_repeat(game: Game) -> None:
    """The same claim again answers ok and moves nothing."""
    token = await _two_tickets(game)
    await claim(game, token, "m1", "t1", "t2")
    before = await game.hash("ticket:t1"), await game.hash("stats")
    assert await claim(game, token, "m1", "t1", "t2") == ["ok"]
    assert (await game.hash("ticket:t1"), await game.hash("stats")) == before


async def test_claim_takes_no_part(game: Game) -> None:
    """One ticket that does not wait any more is named, and the others keep waiting."""
    token = await _two_tickets(game)
    await game.call("ticket_end", "t2", "cancelled", NOW, "")
    assert await claim(game, token, "m1", "t1", "t2", "t9") == ["taken", "t2", "t9"]
    assert (await game.hash("ticket:t1"))["state"] == "QUEUED"
    assert await game.hash("match:m1") == await game.scores("live") == {}


async def test_claim_keeps_the_limit_of_live_matches(game: Game) -> None:
    """At the game's limit nothing is claimed."""
    token = await _two_tickets(game)
    await claim(game, token, "m1", "t1")
    assert await claim(game, token, "m2", "t2", live_most=1) == ["full", 1]
    assert (await game.hash("ticket:t2"))["state"] == "QUEUED"


async def test_claim_is_fenced(game: Game) -> None:
    """An owner whose lease another took claims nothing."""
    old = await _two_tickets(game)
    await game.call("lease_drop", "replica-1")
    await lease(game, "replica-2")
    with pytest.raises(Fenced):
        await claim(game, old, "m1", "t1", "t2")
    assert set(await game.scores("queue")) == {"t1", "t2"}


async def test_attach_gives_a_match_one_server(game: Game) -> None:
    """The first process has the match for ever; it may ask again; another is turned away."""
    token = await _two_tickets(game)
    await claim(game, token, "m1", "t1", "t2")
    status, state, document = await game.call("server_attach", "m1", "s1", NOW, "{}")
    assert (status, state, '"t1"' in document) == ("ok", "PLACING", True)
    assert (await game.call("server_attach", "m1", "s1", NOW, "{}"))[0] == "ok"
    assert await game.call("server_attach", "m1", "s2", NOW, "{}") == ["foreign", "PLACING"]
    assert await game.call("server_attach", "m9", "s1", NOW, "{}") == ["gone", ""]
    await step(game, "m1", "fail", reason="never_ready")
    assert await game.call("server_attach", "m1", "s1", NOW, "{}") == ["over", "FAILED"]


async def test_ready_completes_the_tickets(game: Game) -> None:
    """Ready stores the connection, completes the tickets and frees their players for another game's ticket."""
    await duel(game, ready=False)
    reply = await step(game, "m1", "ready", server="s1")
    assert reply[:2] == ["ok", "RUNNING"]
    assert sorted(reply[2:]) == ["t1", "t2"]
    match = await game.hash("match:m1")
    assert (match["state"], match["connection"], match["ready_ms"]) == ("RUNNING", '{"address": "a"}', str(NOW + 500))
    assert (await game.hash("ticket:t1"))["state"] == "COMPLETED"
    assert await game.hash("open") == {}
    assert await game.scores("live") == {"m1": NOW + 10_000}
    assert await step(game, "m1", "ready", server="s1") == ["illegal", "RUNNING"]


async def test_a_foreign_server_moves_nothing(game: Game) -> None:
    """Only the server that attached speaks for the match."""
    await duel(game, ready=False)
    assert await step(game, "m1", "ready", server="s2") == ["foreign", "PLACING"]
    assert await step(game, "m9", "ready", server="s1") == ["gone", ""]


async def test_finish(game: Game) -> None:
    """A match that ends is not live, is among the recent ones, and leaves its tickets completed."""
    await duel(game)
    assert await step(game, "m1", "finish", server="s1", reason="finished") == ["ok", "ENDED"]
    assert (await game.hash("match:m1"))["reason"] == "finished"
    assert await game.scores("live") == {}
    assert await game.do("LRANGE", "recent", 0, -1) == ["m1"]
    assert (await game.hash("ticket:t1"))["state"] == "COMPLETED"
    assert await step(game, "m1", "fail", reason="server_lost") == ["illegal", "ENDED"]


@pytest.mark.parametrize("ready", [False, True])
async def test_fail_puts_players_back_with_their_wait(game: Game, ready: bool) -> None:
    """Before Ready or in play, a failed match requeues its tickets by the time their wait began."""
    await duel(game, ready=ready)
    reply = await step(game, "m1", "fail", reason="server_lost")
    assert sorted(reply[2:]) == ["t1", "t2"]
    assert await game.scores("queue") == {"t1": NOW + 1, "t2": NOW + 2}
    assert await game.hash("open") == {"p1": "t1", "p2": "t2"}
    ticket = await game.hash("ticket:t1")
    assert (ticket["state"], ticket["tries"], ticket["since_ms"]) == ("QUEUED", "1", str(NOW + 1))
    assert await game.do("TTL", "ticket:t1") == -1


async def test_fail_gives_up_after_the_last_try(game: Game) -> None:
    """A ticket under which as many matches failed as the game allows is FAILED, and its player free."""
    await duel(game)
    reply = await step(game, "m1", "fail", reason="crashed", most=1)
    assert sorted(reply[2:]) == ["t1", "t2"]
    assert (await game.hash("ticket:t1"))["state"] == "FAILED"
    assert await game.scores("queue") == await game.hash("open") == {}


async def test_fail_leaves_out_who_left(game: Game) -> None:
    """A player who left the match by his own will is not put back."""
    await duel(game)
    await game.call("server_beat", "m1", "s1", NOW + 600, NOW + 9_000, "Ready", "{}", '["p1"]')
    assert (await step(game, "m1", "fail", reason="crashed"))[2:] == ["t2"]
    assert (await game.hash("ticket:t1"))["state"] == "COMPLETED"


async def test_fail_yields_to_a_newer_ticket(game: Game) -> None:
    """A player who queues again already keeps the new ticket; the old one is given up."""
    await duel(game)
    await create(game, "t3", "p1", now=NOW + 700)
    await step(game, "m1", "fail", reason="crashed")
    old = await game.hash("ticket:t1")
    assert (old["state"], old["reason"]) == ("FAILED", "superseded")
    assert await game.hash("open") == {"p1": "t3", "p2": "t2"}


async def _judge(game: Game, token: int, state: str, beat: str | int) -> list[str]:
    args = ("m1", "fail", NOW + 900, "", "server_lost", "", 0, 3, token, state, beat)
    return list(await game.call("match_step", *args))


async def test_a_verdict_names_its_facts(game: Game) -> None:
    """The control plane's verdict holds only while the facts it was made by do."""
    token = await duel(game, ready=False)
    await step(game, "m1", "ready", server="s1")
    assert await _judge(game, token, "PLACING", "") == ["changed", "RUNNING"]
    await game.call("server_beat", "m1", "s1", NOW + 600, NOW + 9_000, "Ready", "{}", "[]")
    assert await _judge(game, token, "RUNNING", NOW + 500) == ["changed", "RUNNING"]
    assert (await _judge(game, token, "RUNNING", NOW + 600))[:2] == ["ok", "FAILED"]


async def test_a_verdict_is_fenced(game: Game) -> None:
    """A stalled owner judges nobody when it wakes up."""
    token = await duel(game)
    with pytest.raises(Fenced):
        await _judge(game, token - 1, "RUNNING", NOW + 500)
    assert (await game.hash("match:m1"))["state"] == "RUNNING"


async def test_postpone(game: Game) -> None:
    """A look is put off for live matches only, and only by the holder of the lease."""
    token = await duel(game)
    assert await game.call("match_postpone", token, "m1", NOW + 99_000) == 1
    assert await game.call("match_postpone", token, "m9", NOW + 99_000) == 0
    assert await game.scores("live") == {"m1": NOW + 99_000}
    with pytest.raises(Fenced):
        await game.call("match_postpone", token - 1, "m1", NOW)


async def test_beat(game: Game) -> None:
    """A beat stores what the server tells and moves its look; with 0 the look stays where it is."""
    await duel(game)
    beat = ("m1", "s1", NOW + 2000)
    assert await game.call("server_beat", *beat, 0, "Ready", '{"tick": 1}', "[]") == ["ok", "RUNNING", "0"]
    assert await game.scores("live") == {"m1": NOW + 10_000}
    assert await game.call("server_beat", *beat, NOW + 12_000, "Ready", "{}", "[]") == ["ok", "RUNNING", "0"]
    assert await game.scores("live") == {"m1": NOW + 12_000}
    assert (await game.hash("match:m1"))["beat_ms"] == str(NOW + 2000)


async def test_beat_tells_a_server_that_its_match_is_over(game: Game) -> None:
    """Any other answer than ok ends the server: over, foreign or gone."""
    await duel(game)
    rest = (NOW, NOW, "Ready", "{}", "[]")
    assert await game.call("server_beat", "m1", "s2", *rest) == ["foreign", "RUNNING"]
    assert await game.call("server_beat", "m9", "s1", *rest) == ["gone", ""]
    await step(game, "m1", "finish", server="s1", reason="finished")
    assert await game.call("server_beat", "m1", "s1", *rest) == ["over", "ENDED"]
    assert await game.scores("live") == {}
