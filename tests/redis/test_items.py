"""items_move, items_open, items_restore: items are granted, exchanged and taken, once, whole, and with an audit."""

from __future__ import annotations

import json
from typing import Any

import pytest

from core import keys
from core.clock import new_id, now_ms
from core.errors import Conflict, Invalid, MusterError, NotFound
from core.ids import made_ms, make_id
from core.inventory import Inventories, pairs
from core.items import MOST_QUANTITY, Item, document
from core.redis.client import Caller, Database

BASE = keys.items("duel")
SHELLS = Item("shell", 5)
SWORD = Item("sword", id="excalibur")


@pytest.fixture
def items(client: Caller, data: Database) -> Inventories:
    """The items of a game without any; through the client that calls functions."""
    return Inventories(client, "duel")  # type: ignore[arg-type]  # a Caller that has `do` too


async def names(items: Inventories, player: str) -> dict[str, int]:
    """What a player has."""
    return {one.kind + ("#" + one.id if one.id else ""): one.quantity for one in await items.inventory(player)}


async def move(client: Caller, id_: str, doc: dict[str, Any], *, remembered: int = 100, kept: int = 100) -> Any:
    """The function itself, with a document that Python would not have let through."""
    whole = {"kind": "exchange", "a": "ann", "b": "bob", "give": [], "get": [], "by": "", "match": "", **doc}
    return await client.call("items_move", BASE, id_, made_ms(id_), remembered, kept, json.dumps(whole))


async def test_a_player_becomes_known(client: Caller, items: Inventories, data: Database) -> None:
    """Nobody sends items to a name that nobody has; `items_open` makes it known, and tells what is there."""
    await items.grant("ann", [SHELLS])
    gift = {"give": [["shell", 1]]}
    assert await move(client, new_id("exchange"), gift) == ["refused", "unknown-player", "bob"]
    assert await client.call("items_open", BASE, "bob") == []
    assert (await move(client, new_id("exchange"), gift))[0] == "ok"
    assert await client.call("items_open", BASE, "bob") == ["shell", "1"]
    assert await data.do("SMEMBERS", f"{BASE}:players") == {"ann", "bob"}


async def test_an_exchange_moves_both_ways(items: Inventories, data: Database) -> None:
    """What each gives the other has; the unique item has changed its owner; the audit says who, what, when, where."""
    await items.grant("ann", [SHELLS, SWORD], by="dev")
    await items.grant("bob", [Item("kit", 2)], by="dev")
    before = now_ms()
    made = await items.exchange("ann", "bob", give=[Item("shell", 2), SWORD], get=[Item("kit")], by="ann", match="m-1")
    assert await names(items, "ann") == {"shell": 3, "kit": 1}
    assert await names(items, "bob") == {"shell": 2, "sword#excalibur": 1, "kit": 1}
    assert await data.do("HGET", f"{BASE}:owners", "excalibur") == "bob"
    assert (made.a, made.b, made.by, made.match) == ("ann", "bob", "ann", "m-1")
    assert (made.give, made.get) == ([Item("shell", 2), SWORD], [Item("kit")])
    assert abs(made.at_ms - before) < 60_000
    assert await items.audit("ann", limit=1) == await items.audit("bob", limit=1) == [made]
    assert [(one.kind, one.a, one.b) for one in await items.audit()] == [
        ("exchange", "ann", "bob"),
        ("grant", "", "bob"),
        ("grant", "", "ann"),
    ]
    assert await items.audit("ann", since_ms=made.at_ms + 1) == []
    assert await items.rebuild() == {}


async def test_what_is_taken_is_gone_and_can_be_granted_again(items: Inventories, data: Database) -> None:
    """A unique item exists once; taken, it is nobody's, and its id is free."""
    await items.grant("ann", [SWORD])
    with pytest.raises(Conflict) as caught:
        await items.grant("bob", [SWORD])
    assert caught.value.code == "exists"
    await items.take("ann", [SWORD])
    assert await data.do("EXISTS", f"{BASE}:inv:ann", f"{BASE}:owners") == 0
    await items.grant("bob", [SWORD])
    assert await names(items, "bob") == {"sword#excalibur": 1}


async def test_a_repeat_gets_the_first_answer(items: Inventories) -> None:
    """The same move with the same id is made once, also where it was refused and would not be now."""
    first = await items.grant("ann", [SHELLS], id=(id_ := new_id("exchange")))
    assert await items.grant("ann", [SHELLS], id=id_) == first
    assert await names(items, "ann") == {"shell": 5}
    refused = new_id("exchange")
    for _ in range(2):
        with pytest.raises(Conflict) as caught:
            await items.take("ann", [Item("shell", 6)], id=refused)
        assert caught.value.code == "not-owned"
        await items.grant("ann", [SHELLS])
    with pytest.raises(Conflict) as caught:
        await items.grant("ann", [Item("shell", 6)], id=id_)
    assert caught.value.code == "other-content"
    assert await names(items, "ann") == {"shell": 15}


async def test_an_id_that_may_have_been_forgotten_is_refused(client: Caller, data: Database) -> None:
    """Past ten minutes, or past the bound of what is remembered, an id is stale: it may have been used already."""
    grant = {"kind": "grant", "a": "", "b": "ann", "give": [["shell", 1]]}
    old = make_id("exchange", now_ms() - 601_000, b"0123456789")
    assert (await move(client, old, grant))[:2] == ["refused", "stale"]
    late = make_id("exchange", now_ms() + 120_000, b"0123456789")
    assert (await move(client, late, grant))[:2] == ["refused", "future"]
    start = now_ms() - 1000
    ids = [make_id("exchange", start + i, b"0123456789") for i in range(6)]
    for id_ in ids:
        assert (await move(client, id_, grant, remembered=3))[0] == "ok"
    assert await data.do("ZCARD", f"{BASE}:recent") == await data.do("HLEN", f"{BASE}:done") - 1 == 3
    answers = [(await move(client, id_, grant, remembered=3))[:2] for id_ in ids]
    assert [a[1] if a[0] == "refused" else a[0] for a in answers] == ["stale"] * 3 + ["repeat"] * 3
    assert await data.do("HGET", f"{BASE}:inv:ann", "shell") == "6"


async def test_what_leaves_the_audit_is_kept(client: Caller, data: Database, items: Inventories) -> None:
    """The audit stays at its bound, and inventories can be made from what is kept and what it has, at every length."""
    small = Inventories(client, "duel", audit_kept=4)  # type: ignore[arg-type]
    await small.grant("ann", [Item("shell", 100), SWORD])
    await small.grant("bob", [Item("kit", 9)])
    for i in range(8):
        await small.exchange("ann", "bob", give=[Item("shell", 10)], get=[Item("kit")])
        assert await data.do("XLEN", f"{BASE}:audit") == min(4, 3 + i)
        assert await items.rebuild() == {}
    assert await data.do("HGETALL", f"{BASE}:kept:bob")
    assert len(await small.audit("ann")) == 4
    await Inventories(client, "duel", audit_kept=1).take("bob", [SHELLS])  # type: ignore[arg-type]
    await Inventories(client, "duel", audit_kept=1).take("bob", [SHELLS])  # type: ignore[arg-type]
    assert await data.do("XLEN", f"{BASE}:audit") <= 3
    assert await items.rebuild() == {}


async def test_inventories_are_made_from_the_audit(items: Inventories, data: Database) -> None:
    """Whatever became of them, a repair makes them, and who owns what, byte for byte what they were."""
    await items.grant("ann", [SHELLS, SWORD])
    await items.grant("bob", [Item("kit", 2)])
    await items.exchange("ann", "bob", give=[SWORD], get=[Item("kit")])
    hashes = [f"{BASE}:inv:ann", f"{BASE}:inv:bob", f"{BASE}:owners"]
    before = [pairs(await data.do("HGETALL", key)) for key in hashes]
    await data.do("DEL", f"{BASE}:inv:ann")
    await data.do("HSET", f"{BASE}:inv:bob", "kit", 99)
    await data.do("HSET", f"{BASE}:owners", "excalibur", "eve", "phantom", "ann")
    wrong = await items.rebuild()
    assert wrong["bob"][0][0] == Item("kit", 99)
    assert wrong["bob"][1][0] == Item("kit", 1)
    assert set(await items.rebuild(repair=True)) == {"ann", "bob"}
    assert await items.rebuild() == {}
    assert [pairs(await data.do("HGETALL", key)) for key in hashes] == before


async def test_a_repair_never_undoes_a_move(client: Caller, items: Inventories, data: Database) -> None:
    """Where items moved after the inventories were computed, nothing is written."""
    await items.grant("ann", [SHELLS])
    assert await client.call("items_restore", BASE, "1-1", "ann", 1, "shell", 99) == "changed"
    assert await names(items, "ann") == {"shell": 5}


@pytest.mark.parametrize(
    ("doc", "code"),
    [
        ({"give": [["shell", 6]]}, "not-owned"),
        ({"get": [["kit", 1]]}, "not-owned"),
        ({"give": [["sword#other", 1]]}, "not-owned"),
        ({"give": [["shell", 1]], "b": "eve"}, "unknown-player"),
        ({"give": [["shell", 1]], "b": "ann"}, "self"),
        ({}, "nothing"),
        ({"give": [["shell", 0]]}, "bad-quantity"),
        ({"give": [["shell", -1]]}, "bad-quantity"),
        ({"give": [["shell", 0.5]]}, "bad-quantity"),
        ({"give": [["shell", 2**53]]}, "bad-quantity"),
        ({"give": [["shell", 1e300]]}, "bad-quantity"),
        ({"give": [["shell", "1"]]}, "bad-quantity"),
        ({"give": [["sword#excalibur", 2]]}, "bad-quantity"),
        ({"give": [["shell", 3], ["shell", 3]]}, "twice"),
        ({"give": [["shell", 1], ["kit", 1], ["shell", 1]]}, "twice"),
        ({"kind": "grant", "a": "", "give": [["axe#new", 1], ["sword#new", 1]]}, "twice"),
        ({"kind": "grant", "a": "", "give": [["axe#excalibur", 1]]}, "exists"),
        ({"kind": "grant", "a": "", "b": "ann", "give": [["shell", MOST_QUANTITY]]}, "over-bound"),
        ({"give": [["shell", 1]], "b": "full"}, "over-bound"),
    ],
)
async def test_refusals_change_nothing(
    client: Caller, items: Inventories, data: Database, doc: dict[str, Any], code: str
) -> None:
    """Each has a name, and nobody has more or less than before."""
    await items.grant("ann", [SHELLS, SWORD])
    await items.grant("bob", [Item("coin")])
    for start in range(0, 500, 25):
        await items.grant("full", [Item(f"k{start + i}") for i in range(25)])
    before = [await names(items, player) for player in ("ann", "bob", "full")]
    length = await data.do("XLEN", f"{BASE}:audit")
    assert (await move(client, new_id("exchange"), doc))[:2] == ["refused", code]
    assert [await names(items, player) for player in ("ann", "bob", "full")] == before
    assert await data.do("XLEN", f"{BASE}:audit") == length


async def test_the_order_of_items_does_not_matter(client: Caller, items: Inventories) -> None:
    """Redis compares texts as its locale does, so an order that is Python's would be wrong there: none is asked for."""
    give = [["kit_a", 1], ["kit-b", 1], ["kit#B", 1], ["kit#a", 1]]
    assert (await move(client, new_id("exchange"), {"kind": "grant", "a": "", "b": "ann", "give": give}))[0] == "ok"
    assert await names(items, "ann") == {"kit_a": 1, "kit-b": 1, "kit#B": 1, "kit#a": 1}


async def test_numbers_are_exact_at_the_bound(items: Inventories) -> None:
    """2^53 - 1 of a kind is the most, to the last one."""
    await items.grant("ann", [Item("coin", MOST_QUANTITY - 1)])
    await items.grant("bob", [Item("coin", 2)])
    await items.exchange("bob", "ann", give=[Item("coin")])
    assert await names(items, "ann") == {"coin": MOST_QUANTITY}
    with pytest.raises(Conflict) as caught:
        await items.exchange("bob", "ann", give=[Item("coin")])
    assert caught.value.code == "over-bound"
    assert await names(items, "bob") == {"coin": 1}
    # What is given back at once makes the room for it.
    await items.exchange("bob", "ann", give=[Item("coin")], get=[Item("coin", 5)])
    assert await names(items, "bob") == {"coin": 5}


async def test_a_player_is_known_from_the_first_look_or_grant(items: Inventories) -> None:
    """A present goes to who has opened the inventory, or was ever given anything, and to nobody else."""
    await items.grant("ann", [SHELLS])
    with pytest.raises(NotFound) as caught:
        await items.exchange("ann", "bob", give=[Item("shell")])
    assert caught.value.code == "unknown-player"
    assert await items.open("bob") == []
    await items.exchange("ann", "bob", give=[Item("shell")])
    assert await items.open("bob") == [Item("shell")]


@pytest.mark.parametrize(
    ("give", "pointer"),
    [
        ([Item("shell", 0)], "give/0/quantity"),
        ([Item("shell", -1)], "give/0/quantity"),
        ([Item("shell", True)], "give/0/quantity"),
        ([Item("shell", float("nan"))], "give/0/quantity"),  # type: ignore[arg-type]
        ([Item("shell", 1.5)], "give/0/quantity"),  # type: ignore[arg-type]
        ([Item("shell", 2**53)], "give/0/quantity"),
        ([Item("a#b")], "give/0/kind"),
        ([Item("")], "give/0/kind"),
        ([Item("sword", 2, "x")], "give/0/quantity"),
        ([Item("sword", 1, "a b")], "give/0/id"),
        ([Item("shell"), Item("shell")], "give"),
        ([Item(f"k{i}") for i in range(33)], "give"),
        ([], "give"),
    ],
)
def test_bad_documents_never_leave(give: list[Item], pointer: str) -> None:
    """What is wrong whoever has what is refused before Redis is asked, with its place."""
    with pytest.raises(Invalid) as caught:
        document("exchange", "ann", "bob", give, [])
    assert caught.value.pointer == pointer


def test_bad_players_never_leave() -> None:
    """Nobody exchanges with himself, with the game, or with what is no name."""
    for a, b in (("ann", "ann"), ("ann", ""), ("", "bob"), ("a:b", "bob"), ("ann", "b{}")):
        with pytest.raises(MusterError):
            document("exchange", a, b, [Item("shell")], [])
