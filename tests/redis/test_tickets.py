"""ticket_create, ticket_end, queue_changes, tickets_{waiting,searched,seen}: a ticket while it waits."""

from __future__ import annotations

import json

import pytest

from core.errors import Fenced
from tests.redis.conftest import Game
from tests.redis.steps import NOW, create, duel, lease, people, register, step


async def test_create_puts_a_ticket_into_the_queue(game: Game) -> None:
    """A new ticket is QUEUED, alive, and holds its players' places; its first event can be replayed."""
    await register(game)
    assert await create(game, "t1", "p1", "p2") == ["ok", 0]
    ticket = await game.hash("ticket:t1")
    assert (ticket["state"], ticket["since_ms"], ticket["seq"]) == ("QUEUED", str(NOW), "1")
    assert json.loads(ticket["e1"])["status"] == "QUEUED"
    assert await game.scores("queue") == await game.scores("alive") == {"t1": NOW}
    assert await game.hash("open") == {"p1": "t1", "p2": "t1"}


async def test_create_recognises_a_repeat(game: Game) -> None:
    """The same call again, after a lost reply, answers the same and changes nothing."""
    await register(game)
    await create(game, "t1", "p1")
    before = await game.hash("ticket:t1"), await game.hash("stats")
    assert await create(game, "t1", "p1", now=NOW + 5) == ["ok", 0]
    assert (await game.hash("ticket:t1"), await game.hash("stats")) == before


async def test_create_refuses_a_second_open_ticket(game: Game) -> None:
    """A player who waits already is named with the ticket, and nothing is written."""
    await register(game)
    await create(game, "t1", "p1")
    assert await create(game, "t2", "p2", "p1") == ["open", "p1", "t1"]
    assert await game.hash("ticket:t2") == {}
    assert await game.hash("open") == {"p1": "t1"}


async def test_create_drops_a_place_whose_ticket_is_gone(game: Game) -> None:
    """A place held by a ticket that expired does not keep its player out."""
    await register(game)
    await game.do("HSET", "open", "p1", "t-gone")
    assert await create(game, "t1", "p1") == ["ok", 0]


async def test_create_bounds_the_queue(game: Game) -> None:
    """A full queue refuses, with its length."""
    await register(game)
    await create(game, "t1", "p1", most=1)
    assert await create(game, "t2", "p2", most=1) == ["full", 1]


async def test_create_needs_a_game_that_accepts(game: Game) -> None:
    """No registration, or one that is drained, takes no tickets."""
    assert (await create(game, "t1", "p1"))[0] == "closed"
    await register(game, accepting=False)
    assert (await create(game, "t1", "p1"))[0] == "closed"


@pytest.mark.parametrize(
    ("event", "state"), [("cancelled", "CANCELLED"), ("timed_out", "TIMED_OUT"), ("vanished", "CANCELLED")]
)
async def test_end(game: Game, event: str, state: str) -> None:
    """A ticket that ends leaves queue and places at once, and can be read for an hour."""
    await register(game)
    await create(game, "t1", "p1")
    assert await game.call("ticket_end", "t1", event, NOW + 50, "why", NOW) == ["ok", state, "t1"]
    ticket = await game.hash("ticket:t1")
    assert (ticket["state"], ticket["reason"], ticket["seq"]) == (state, "why", "2")
    assert await game.scores("queue") == await game.scores("alive") == await game.hash("open") == {}
    assert 3500 < await game.do("TTL", "ticket:t1") <= 3600
    assert await game.call("ticket_end", "t1", event, NOW + 60, "again", NOW + 60) == ["illegal", state]
    assert (await game.hash("ticket:t1"))["reason"] == "why"


async def test_end_spares_who_gave_a_sign_of_life(game: Game) -> None:
    """A ticket seen after the moment it was judged by does not vanish."""
    await register(game)
    await create(game, "t1", "p1")
    await game.call("tickets_seen", NOW + 10, "t1")
    assert await game.call("ticket_end", "t1", "vanished", NOW + 50, "", NOW + 9) == ["alive", "QUEUED"]
    assert await game.call("ticket_end", "t1", "vanished", NOW + 50, "", NOW + 10) == ["ok", "CANCELLED", "t1"]


async def test_end_of_a_ticket_in_a_match_is_illegal(game: Game) -> None:
    """Past waiting, a ticket cannot be cancelled."""
    await duel(game)
    assert await game.call("ticket_end", "t1", "cancelled", NOW, "") == ["illegal", "COMPLETED"]


async def test_end_of_an_unknown_ticket(game: Game) -> None:
    """A queue entry without a ticket is cleared."""
    await game.do("ZADD", "queue", 1, "t-gone")
    assert await game.call("ticket_end", "t-gone", "cancelled", NOW, "") == ["gone", ""]
    assert await game.scores("queue") == {}


async def test_queue_changes(game: Game) -> None:
    """A first look gives the whole queue by age; later ones what changed since, once, as it is now."""
    await register(game)
    for number, since in ((1, NOW + 3), (2, NOW + 1), (3, NOW + 2)):
        await create(game, f"t{number}", f"p{number}", now=since)
    kind, place, *ids = await game.call("queue_changes", "", 10, 2)
    assert (kind, ids) == ("all", ["t2", "t3"])
    assert await game.call("queue_changes", place, 10, 2) == ["some", place]
    await create(game, "t4", "p4")
    await create(game, "t5", "p5")
    await game.call("ticket_end", "t4", "cancelled", NOW, "")
    kind, further, *found = await game.call("queue_changes", place, 10, 2)
    assert kind == "some"
    assert found == ["t4", "", "", "", "", "t5", str(NOW), "QUEUED", people("p5"), ""]
    kind, _, *found = await game.call("queue_changes", place, 1, 2)
    assert (kind, found[0]) == ("more", "t4")
    assert await game.call("queue_changes", further, 10, 2) == ["some", further]


async def test_queue_changes_after_a_loss(game: Game) -> None:
    """A place that the stream does not know any more gives the whole queue: nothing is missed unnoticed."""
    await register(game)
    await create(game, "t1", "p1")
    _, place, *_ = await game.call("queue_changes", "", 10, 10)
    await game.do("XTRIM", "changes", "MAXLEN", 0)
    await create(game, "t2", "p2")
    kind, after, *ids = await game.call("queue_changes", place, 10, 10)
    assert (kind, sorted(ids)) == ("all", ["t1", "t2"])
    assert after != place


async def test_a_claim_is_no_news_and_a_requeue_is(game: Game) -> None:
    """Who claims knows what left the queue; a ticket that is put back is told again."""
    place = (await game.call("queue_changes", "", 10, 10))[1]
    await duel(game)
    kind, place, *found = await game.call("queue_changes", place, 10, 10)
    assert (kind, found[1::5]) == ("some", ["", ""])
    await step(game, "m1", "fail", reason="server_lost")
    kind, _, *found = await game.call("queue_changes", place, 10, 10)
    assert sorted(found[::5]) == ["t1", "t2"]
    assert found[2::5] == ["QUEUED", "QUEUED"]


async def test_tickets_waiting(game: Game) -> None:
    """Each ticket as it waits; one that does not is empty, and a queue entry without a ticket is dropped."""
    await register(game)
    await create(game, "t1", "p1")
    await game.do("ZADD", "queue", 1, "t-gone")
    assert await game.call("tickets_waiting", "t1", "t-gone", "t-never") == [
        "t1", str(NOW), "QUEUED", people("p1"), "", "t-gone", "", "", "", "", "t-never", "", "", "", "",
    ]  # fmt: skip
    assert "t-gone" not in await game.scores("queue")


async def test_a_trace_that_the_client_brought_stays_with_its_ticket(game: Game) -> None:
    """It is kept beside the ticket and told to whoever groups it; without one nothing is stored."""
    await register(game)
    trace = "4bf92f3577b34da6a3ce929d0e0e4736"
    assert await game.call("ticket_create", "t1", NOW, 10, people("p1"), trace, "p1") == ["ok", 0]
    await create(game, "t2", "p2")
    assert (await game.hash("ticket:t1"))["trace"] == trace
    assert "trace" not in await game.hash("ticket:t2")
    assert (await game.call("tickets_waiting", "t1", "t2"))[4::5] == [trace, ""]


async def test_searched(game: Game) -> None:
    """QUEUED tickets become SEARCHING, once, and stay in the queue; others are left as they are."""
    await register(game)
    await create(game, "t1", "p1")
    await create(game, "t2", "p2")
    token = await lease(game)
    assert await game.call("tickets_searched", token, NOW, "t1", "t-gone") == ["t1"]
    assert await game.call("tickets_searched", token, NOW, "t1", "t2") == ["t2"]
    assert (await game.hash("ticket:t1"))["state"] == "SEARCHING"
    assert set(await game.scores("queue")) == {"t1", "t2"}


async def test_searched_is_fenced(game: Game) -> None:
    """Whoever lost the lease writes nothing."""
    await register(game)
    await create(game, "t1", "p1")
    token = await lease(game)
    with pytest.raises(Fenced):
        await game.call("tickets_searched", token - 1, NOW, "t1")
    assert (await game.hash("ticket:t1"))["state"] == "QUEUED"


async def test_seen(game: Game) -> None:
    """Signs of life move forward only, and only for tickets that wait."""
    await register(game)
    await create(game, "t1", "p1")
    assert await game.call("tickets_seen", NOW + 10, "t1", "t-gone") == 1
    assert await game.call("tickets_seen", NOW + 5, "t1") == 1
    assert await game.scores("alive") == {"t1": NOW + 10}


async def test_events_are_kept_for_replay_in_bounds(game: Game) -> None:
    """A ticket keeps its last 64 events, however often it is requeued."""
    token = await duel(game, ready=False)
    for number in range(2, 50):
        await step(game, f"m{number - 1}", "fail", reason="crashed", most=1000)
        document = json.dumps({"players": [{"id": "p1", "ticket": "t1"}]})
        reply = await game.call("match_claim", token, NOW, NOW, 10, f"m{number}", document, "t1")
        assert reply == ["ok"]
    ticket = await game.hash("ticket:t1")
    events = sorted(int(name[1:]) for name in ticket if name[0] == "e" and name[1:].isdigit())
    assert (events[-1], len(events)) == (int(ticket["seq"]), 64)
