"""Offers between tanks: who may make and answer them, how each ends, and what both are told."""

from __future__ import annotations

import json
import random
from itertools import pairwise
from typing import Any

import pytest

from core.arena import ArenaSettings
from core.errors import IllegalTransition
from core.interactions import Exchange, pack, unpack
from core.items import Item
from gamepod.arena import Session, TickOutput
from gamepod.arena.commands import AcceptCommand, DeclineCommand, OfferCommand, ShootCommand
from gamepod.arena.trading import _MAY_FOLLOW, Stage, Trade, TradeNews
from gamepod.transport.gateway import Gateway
from tests.unit.arena.kit import Clock, FakeLink, authenticate, message, one_session, token

ANN, BOB, CID = 0, 1, 2
FIELD = ArenaSettings(
    walls=(), score_limit=0, time_limit_s=0.0, trade_timeout_s=1.0, tick_rate_hz=20, shot_damage=200.0
)
GIVE, GET = {"shell": 3, "sword#u1": 1}, {"kit": 1}


class Table:
    """Three tanks beside each other, and what each tick told of trades."""

    def __init__(self, settings: ArenaSettings = FIELD) -> None:
        self.manager, self.session = one_session(settings)
        self.now = 0
        for name in ("ann", "bob", "cid"):
            self.session.join(name, name.title(), "", 0)
            self.place(name, 5.0)
        self.told: list[TradeNews] = []
        self.outputs: list[TickOutput] = []

    def place(self, name: str, x: float) -> None:
        tank = self.session._world.tanks[self.session._players[name].slot]
        tank.x, tank.y, tank.speed = x, 10.0, 0.0

    def do(self, player: str, *commands: Any) -> str:
        """Send commands, play a tick; the reason of a refusal, '' without one."""
        before = self.session._players[player].refused
        self.session.command(player, list(commands))
        self.tick()
        record = self.session._players[player]
        return record.last_refusal if record.refused > before else ""

    def tick(self, times: int = 1) -> None:
        for _ in range(times):
            self.now += 50
            output = self.session.step(self.now)
            self.outputs.append(output)
            self.told += [n.of for n in output.news if isinstance(n.of, TradeNews) and not n.again]

    def offer(self, player: str = "ann", to: int = BOB, give: Any = None, get: Any = None) -> str:
        return self.do(player, OfferCommand(to, GIVE if give is None else give, GET if get is None else get))

    @property
    def stages(self) -> list[str]:
        return [row.stage.value for row in self.told]


def test_an_offer_is_told_accepted_and_settled() -> None:
    """Both hear of it; what both agreed to goes to the inventories; their answer is the outcome, and an interaction."""
    table = Table()
    assert table.offer() == ""
    assert table.told[0] == TradeNews(1, Stage.OFFERED, ANN, BOB, GIVE, GET, table.session.tick + 20, "")
    assert table.outputs[-1].news[0].players == ("ann", "bob")
    assert table.do("bob", AcceptCommand(1)) == ""
    (wanted,) = table.outputs[-1].settlements
    assert wanted == (1, "ann", "bob", [Item("shell", 3), Item("sword", 1, "u1")], [Item("kit", 1)])
    assert table.session.settling
    table.tick(60)  # however long it takes, it neither expires nor is asked for twice
    assert not [one for output in table.outputs[-60:] for one in output.settlements]
    table.session.settled(1, Stage.DONE, exchange="x-1")
    table.tick()
    assert table.stages == ["offered", "accepted", "done"]
    (row,) = table.outputs[-1].interactions
    assert row == Exchange(row.id, table.now, "ann", "bob", "x-1", "shell:3,sword#u1:1", "kit:1")
    assert unpack(pack([row])) == [row]
    assert not table.session.settling
    assert table.session._players["ann"].accepted == 1
    assert table.session._players["ann"].interaction == "exchange:bob"
    table.tick(60)
    assert not any(output.interactions for output in table.outputs[-60:])


@pytest.mark.parametrize(("stage", "reason"), [(Stage.REFUSED, "not-owned"), (Stage.UNKNOWN, "no-answer")])
def test_what_the_inventories_do_not_make_is_no_interaction(stage: Stage, reason: str) -> None:
    """The reason is told to both, and nothing is logged."""
    table = Table()
    table.offer()
    table.do("bob", AcceptCommand(1))
    table.session.settled(1, stage, reason)
    table.tick()
    assert (table.told[-1].stage, table.told[-1].reason) == (stage, reason)
    assert not any(output.interactions for output in table.outputs)


@pytest.mark.parametrize(("who", "stage"), [("bob", "declined"), ("ann", "withdrawn")])
def test_an_offer_is_declined_or_withdrawn(who: str, stage: str) -> None:
    """By either of the two; afterwards nobody can accept it."""
    table = Table()
    table.offer()
    assert table.do(who, DeclineCommand(1)) == ""
    assert table.stages == ["offered", stage]
    assert table.do("bob", AcceptCommand(1)) == "unknown-offer"


def test_an_offer_expires() -> None:
    """At its time, to the tick; the one who made it may make another."""
    table = Table()
    table.offer()
    until = table.told[0].until
    while table.stages == ["offered"]:
        table.tick()
    assert (table.stages, table.session.tick) == (["offered", "expired"], until)
    assert table.offer() == ""


@pytest.mark.parametrize("who", ["ann", "bob"])
def test_an_open_offer_ends_with_its_tanks(who: str) -> None:
    """Whichever of the two leaves or is destroyed, or when the match is over."""
    table = Table()
    table.offer()
    table.session.leave(who)
    table.do("cid")
    assert (table.stages[-1], table.told[-1].reason) == ("cancelled", "left")
    table = Table()
    table.offer()
    table.do("cid", ShootCommand(target=ANN if who == "ann" else BOB))
    assert (table.stages[-1], table.told[-1].reason) == ("cancelled", "destroyed")
    table = Table()
    table.offer()
    table.session.end("stopped")
    table.tick(2)
    assert (table.stages[-1], table.told[-1].reason) == ("cancelled", "match-over")


def test_what_both_agreed_to_is_settled_whatever_happens_in_the_match() -> None:
    """Destroyed, gone, or over: the inventories have been asked, and their answer is told and logged."""
    table = Table()
    table.offer()
    table.do("bob", AcceptCommand(1))
    table.do("cid", ShootCommand(target=BOB))
    table.session.leave("ann")
    table.session.end("stopped")
    table.tick(3)
    assert table.stages == ["offered", "accepted"]
    table.session.settled(1, Stage.DONE, exchange="x-1")
    table.tick()
    assert table.stages[-1] == "done"
    assert len(table.outputs[-1].interactions) == 1


def test_offers_that_are_refused() -> None:
    """Each for its reason; none is told to anybody."""
    table = Table()
    table.place("cid", 200.0)
    assert table.offer(to=ANN) == "self-target"
    assert table.offer(to=9) == "unknown-target"
    assert table.offer(to=CID) == "out-of-range"
    for bad in ({"shell": 0}, {"shell": -3}, {"shell": 2**53}, {"Shell": 1}, {"a b": 1}, {"sword#u1": 2}, {"sword#": 1},
                {f"k{i}": 1 for i in range(7)}, {}):  # fmt: skip
        assert table.offer(give=bad, get={}) == "bad-value"
        assert bad == {} or table.offer(give={}, get=bad) == "bad-value"
    assert table.do("bob", AcceptCommand(1)) == "unknown-offer"
    assert table.told == []
    assert table.offer() == ""
    assert table.offer(to=CID) == "out-of-range"
    assert table.offer() == "offer-open"
    assert table.do("ann", AcceptCommand(1)) == "unknown-offer"
    assert table.do("cid", AcceptCommand(1)) == "unknown-offer"
    assert table.do("cid", DeclineCommand(1)) == "unknown-offer"
    table.do("ann", DeclineCommand(1))
    assert table.offer() == "cooldown"
    table.tick(20)
    assert table.offer() == ""
    table.place("bob", 100.0)
    assert table.do("bob", AcceptCommand(2)) == "out-of-range"
    table.place("bob", 10.0)
    assert table.do("bob", AcceptCommand(2)) == ""
    assert Table(ArenaSettings(trade_range_m=0.0)).offer() == "no-trade"


def test_who_left_before_the_answer_has_no_part_in_it() -> None:
    """An accept in the very tick after the other left finds nothing to agree to."""
    table = Table()
    table.offer()
    table.session.leave("ann")
    assert table.do("bob", AcceptCommand(1)) == "unknown-offer"
    assert table.stages[-1] == "cancelled"
    assert not any(output.settlements for output in table.outputs)


def test_a_trade_s_life_has_no_other_ways() -> None:
    """What cannot follow raises and changes nothing."""
    table = Table()
    players = table.session._players
    trade = Trade(1, players["ann"], players["bob"], GIVE, GET, 9)
    with pytest.raises(IllegalTransition):
        trade.move(Stage.DONE)
    assert trade.stage is Stage.OFFERED
    trade.move(Stage.ACCEPTED)
    for stage in (Stage.CANCELLED, Stage.EXPIRED, Stage.WITHDRAWN):
        with pytest.raises(IllegalTransition):
            trade.move(stage)
    trade.move(Stage.DONE)
    with pytest.raises(IllegalTransition):
        trade.move(Stage.DONE)


def test_the_state_shows_what_a_player_has() -> None:
    """Once it was read; a player who left is told nothing."""
    table = Table()
    assert "items" not in table.session.player_states()["ann"]
    table.session.hold("ann", {"shell": 3})
    assert table.session.player_states()["ann"]["items"] == {"shell": 3}
    table.session.leave("bob")
    table.session.hold("bob", {"shell": 3})
    table.tick()
    assert [news.players for news in table.outputs[-1].news] == [("ann",)]


@pytest.mark.parametrize("seed", range(6))
def test_whatever_happens_each_offer_has_one_course(seed: int) -> None:
    """Random commands, deaths, departures, answers: one offer a player, one settlement an offer, one end, in order."""
    chance = random.Random(seed)
    table, asked, answered = Table(), [], set()
    for _ in range(1000):
        player = chance.choice(("ann", "bob", "cid"))
        if player not in table.session.present:
            table.session.join(player, player.title(), "", 0)
        table.place(player, chance.choice((5.0, 5.0, 5.0, 5.0, 90.0)))
        number = chance.choice([*table.session._world.trading._trades] or [1])
        kind = chance.randrange(9)
        if kind < 3:
            table.offer(player, chance.randrange(4))
        elif kind < 6:
            table.do(player, AcceptCommand(number) if chance.random() < 0.8 else DeclineCommand(number))
        elif kind == 6 and chance.random() < 0.3:
            table.session.leave(player)
        elif kind == 7 and chance.random() < 0.3:
            table.do(player, ShootCommand(target=chance.randrange(3)))
        table.tick(chance.choice((1, 1, 5, 30)))
        asked += [one.offer for output in table.outputs for one in output.settlements]
        table.outputs.clear()
        for offer in set(asked) - answered:
            if chance.random() < 0.5:
                answered.add(offer)
                table.session.settled(offer, chance.choice((Stage.DONE, Stage.REFUSED, Stage.UNKNOWN)), exchange="x")
        live = [trade.a.player for trade in table.session._world.trading._trades.values()]
        assert len(live) == len(set(live))
    assert len(asked) == len(set(asked)) > 0
    courses: dict[int, list[Stage]] = {}
    for row in table.told:
        courses.setdefault(row.offer, []).append(row.stage)
    assert all(_MAY_FOLLOW.get(a, ()) and b in _MAY_FOLLOW[a] for c in courses.values() for a, b in pairwise(c))
    assert {course[-1] for course in courses.values()} >= {Stage.DONE, Stage.EXPIRED, Stage.CANCELLED}


def told(session: Session, gateway: Gateway, clock: Clock, ticks: int = 1) -> None:
    for _ in range(ticks):
        clock.ms += 50
        gateway.broadcast([session.step(clock.ms)])


def test_both_hear_over_any_way() -> None:
    """A stream is told once, datagrams again until a second after the end; who joins anew hears how it stands."""
    manager, session = one_session(FIELD)
    clock = Clock()
    gateway = Gateway(manager, authenticate, clock)
    stream, datagrams, stranger = FakeLink(), FakeLink(datagram=True), FakeLink()
    for link, player in ((stream, "ann"), (datagrams, "bob"), (stranger, "cid")):
        gateway.join(link, token(player))
    for slot in range(3):
        session._world.tanks[slot].x = session._world.tanks[slot].y = 50.0
    offer = {"type": "offer", "to": 1, "give": GIVE, "get": GET}
    gateway.received(stream, message("input", seq=1, commands=[offer]))
    told(session, gateway, clock, 12)
    wanted = {"type": "trade", "offer": 1, "state": "offered", "by": 0, "to": 1, "give": GIVE, "get": GET, "until": 21,
              "reason": ""}  # fmt: skip
    assert stream.take("trade") == [wanted]
    assert datagrams.take("trade") == [wanted] * 3
    again = FakeLink()
    gateway.join(again, token("ann"))
    told(session, gateway, clock)
    assert again.take("trade") == [wanted]
    gateway.received(datagrams, message("input", seq=1, commands=[{"type": "decline", "offer": 1}]))
    told(session, gateway, clock, 40)
    assert [row["state"] for row in again.take("trade")] == ["declined"]
    assert [row["state"] for row in datagrams.take("trade")][-4:] == ["declined"] * 4
    assert stranger.take("trade") == []


def test_a_large_inventory_comes_in_parts_that_fit() -> None:
    """Over UDP every part fits a datagram, and together they are the whole; a stream gets it as one."""
    manager, session = one_session(FIELD)
    clock = Clock()
    gateway = Gateway(manager, authenticate, clock)
    stream, datagrams = FakeLink(), FakeLink(datagram=True)
    gateway.join(stream, token("ann"))
    gateway.join(datagrams, token("bob"))
    items = {f"{'k' * 28}-{i:03}#{'u' * 36}": 1 for i in range(95)}
    for player in ("ann", "bob"):
        session.hold(player, items)
    told(session, gateway, clock)
    (whole,) = stream.take("inventory")
    assert (whole["part"], whole["parts"], whole["items"]) == (1, 1, items)
    assert all(len(data) <= 1200 for data in datagrams.raw if b'"inventory"' in data)
    parts = [json.loads(data) for data in datagrams.raw if b'"inventory"' in data]
    assert [part["part"] for part in parts] == list(range(1, 11))
    assert {name: n for part in parts for name, n in part["items"].items()} == items
    session.hold("ann", {})
    told(session, gateway, clock)
    assert [row["items"] for row in stream.take("inventory")] == [{}]
