"""Exchanges of items between two players near each other: offers, answers, and what both are told. PURE.

The match knows who stands where and who wants what; who owns what is the inventories' to say. So an offer that was
accepted becomes a `Settlement`, which the process carries to them, and their answer is the trade's outcome: nothing
here believes what a client, or this match, thinks that somebody has. Once under way, nothing in the match stops it.

Each player has one offer at a time, so there are at most as many trades as players. What happens is told at once, and
over a way that loses messages again and again for a second.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, NamedTuple

from core.arena import ArenaSettings
from core.errors import IllegalTransition, Invalid
from core.items import Item, item_of, name_of
from gamepod.arena.commands import AcceptCommand, OfferCommand, Refusal, TradeCommand
from gamepod.arena.intake import find_other
from gamepod.arena.tank import Player, Tank

MOST_ITEMS: Final = 6  # of one side of an offer: it fits a datagram
OFFER_S: Final = 1.0  # between two offers of a player, or they would be a way to pester
REPEAT_S: Final = 0.25  # between two tellings over UDP
TOLD_S: Final = 1.0  # an outcome, or an inventory, is told again for so long


class Stage(StrEnum):
    """Where a trade stands; the words of the protocol."""

    OFFERED = "offered"
    ACCEPTED = "accepted"  # the inventories are asked
    DONE = "done"
    REFUSED = "refused"  # by the inventories
    UNKNOWN = "unknown"  # they did not answer in time: what each has tells
    DECLINED = "declined"
    WITHDRAWN = "withdrawn"
    EXPIRED = "expired"
    CANCELLED = "cancelled"  # a tank was destroyed or left, or the match is over


_MAY_FOLLOW: Final[dict[Stage, frozenset[Stage]]] = {
    Stage.OFFERED: frozenset({Stage.ACCEPTED, Stage.DECLINED, Stage.WITHDRAWN, Stage.EXPIRED, Stage.CANCELLED}),
    Stage.ACCEPTED: frozenset({Stage.DONE, Stage.REFUSED, Stage.UNKNOWN}),
}


class Settlement(NamedTuple):
    """A trade that both agreed to: `a` gives `give` and gets `get`."""

    offer: int
    a: str
    b: str
    give: list[Item]
    get: list[Item]


class TradeNews(NamedTuple):
    """How a trade stands, for both."""

    offer: int
    stage: Stage
    from_slot: int
    to_slot: int
    give: dict[str, int]
    get: dict[str, int]
    until: int  # tick at which it expires
    reason: str


class News(NamedTuple):
    """Something that only these players are told; `again` where it was told before."""

    players: tuple[str, ...]
    of: TradeNews | dict[str, int]  # a trade, or what the player has
    again: bool


@dataclass(slots=True, eq=False)
class Trade:
    """An offer and what became of it."""

    offer: int
    a: Player
    b: Player
    give: dict[str, int]
    get: dict[str, int]
    until: int  # tick at which the offer expires
    stage: Stage = Stage.OFFERED
    reason: str = ""
    exchange: str = ""  # id of the move, once it was made

    def move(self, stage: Stage, reason: str = "") -> None:
        """Raises IllegalTransition where that cannot follow; nothing has changed then."""
        if stage not in _MAY_FOLLOW.get(self.stage, ()):
            raise IllegalTransition(f"a trade that is {self.stage} is not {stage} next")
        self.stage, self.reason = stage, reason


class Trading:
    """The trades of one match."""

    __slots__ = ("_done", "_fresh", "_news", "_next", "_offer_ticks", "_outcomes", "_range_m", "_repeat_ticks",
                 "_settlements", "_timeout_ticks", "_told_ticks", "_trades")  # fmt: skip

    def __init__(self, settings: ArenaSettings) -> None:
        self._range_m = settings.trade_range_m
        self._timeout_ticks = settings.ticks(settings.trade_timeout_s)
        self._offer_ticks = settings.ticks(OFFER_S)
        self._repeat_ticks = settings.ticks(REPEAT_S)
        self._told_ticks = settings.ticks(TOLD_S)
        self._next = 1
        self._trades: dict[int, Trade] = {}  # open and under way, by offer
        self._outcomes: list[tuple[int, Stage, str, str]] = []  # heard since the last tick
        self._fresh: list[Trade] = []  # changed since the last tick
        self._settlements: list[Settlement] = []
        self._done: list[Trade] = []
        self._news: dict[object, tuple[int, News]] = {}  # to be told again until a tick

    @property
    def settling(self) -> bool:
        """Whether the inventories' answer to a trade has not come, or has not been told."""
        return bool(self._outcomes) or any(trade.stage is Stage.ACCEPTED for trade in self._trades.values())

    def command(
        self, tank: Tank, owner: Player, command: TradeCommand, tanks: Mapping[int, Tank], tick: int
    ) -> Refusal | None:
        """Apply a living player's command, or say why not."""
        if not self._range_m:
            return Refusal.NO_TRADE
        if isinstance(command, OfferCommand):
            return self._offer(tank, owner, command, tanks, tick)
        trade = self._trades.get(command.offer)
        mine = trade is not None and trade.a is owner
        if trade is None or trade.stage is not Stage.OFFERED or not (mine or trade.b is owner):
            return Refusal.UNKNOWN_OFFER
        if not isinstance(command, AcceptCommand):
            self._change(trade, Stage.WITHDRAWN if mine else Stage.DECLINED)
            return None
        giver = tanks.get(trade.a.slot)
        if mine or giver is None:
            return Refusal.UNKNOWN_OFFER
        if not giver.alive:
            return Refusal.TARGET_DESTROYED
        if _apart(tank, giver) > self._range_m:
            return Refusal.OUT_OF_RANGE
        self._change(trade, Stage.ACCEPTED)
        give, get = ([item_of(*row) for row in side.items()] for side in (trade.give, trade.get))
        self._settlements.append(Settlement(trade.offer, trade.a.player, trade.b.player, give, get))
        return None

    def settled(self, offer: int, stage: Stage, reason: str, exchange: str) -> None:
        """The inventories' answer; it counts from the next tick on."""
        self._outcomes.append((offer, stage, reason, exchange))

    def tell_inventory(self, player: str, items: dict[str, int], tick: int) -> None:
        """Tell a player what he has."""
        self._news[player] = (tick + self._told_ticks, News((player,), items, False))

    def retell(self, player: str) -> None:
        """Tell a player who joined anew how his trades stand."""
        for key, (until, news) in self._news.items():
            if player in news.players:
                self._news[key] = (until, news._replace(again=False))

    def take_done(self) -> list[Trade]:
        """The trades whose items were moved, since the last call."""
        done, self._done = self._done, []
        return done

    def step(self, tick: int, tanks: Mapping[int, Tank], *, over: bool) -> tuple[list[News], list[Settlement]]:
        """End what has come to its end; what is to be told after this tick, and what is to be settled."""
        if not (self._trades or self._news or self._outcomes):
            return [], []
        self._hear()
        for trade in list(self._trades.values()):
            if trade.stage is Stage.OFFERED and (why := _why_cancelled(trade, tanks, over)):
                self._change(trade, Stage.CANCELLED, why)
            elif trade.stage is Stage.OFFERED and tick >= trade.until:
                self._change(trade, Stage.EXPIRED)
        fresh, self._fresh = self._fresh, []
        for trade in fresh:
            open_ = trade.stage in _MAY_FOLLOW
            until = trade.until if open_ else tick + self._told_ticks
            row = (trade.offer, trade.stage, trade.a.slot, trade.b.slot, trade.give, trade.get)
            news = News((trade.a.player, trade.b.player), TradeNews(*row, trade.until, trade.reason), False)
            self._news[trade.offer] = (until, news)
            if not open_:
                del self._trades[trade.offer]
        settlements, self._settlements = self._settlements, []
        return self._due(tick), settlements

    def _due(self, tick: int) -> list[News]:
        """What is told for the first time, and at each beat what is told again."""
        due, beat = [], tick % self._repeat_ticks == 0
        for key, (until, news) in list(self._news.items()):
            if not news.again or beat:
                due.append(news)
            if tick >= until:
                del self._news[key]
            else:
                self._news[key] = (until, news._replace(again=True))
        return due

    def _offer(
        self, tank: Tank, owner: Player, command: OfferCommand, tanks: Mapping[int, Tank], tick: int
    ) -> Refusal | None:
        found = find_other(tank, command.to, tanks)
        if isinstance(found, Refusal):
            return found
        target, other = found
        if not (command.give or command.get) or not (_sensible(command.give) and _sensible(command.get)):
            return Refusal.BAD_VALUE
        if _apart(tank, target) > self._range_m:
            return Refusal.OUT_OF_RANGE
        if any(trade.a is owner for trade in self._trades.values()):
            return Refusal.OFFER_OPEN
        if tick < owner.offer_at:
            return Refusal.COOLDOWN
        owner.offer_at = tick + self._offer_ticks
        until = tick + self._timeout_ticks
        trade = Trade(self._next, owner, other, dict(command.give), dict(command.get), until)
        self._next += 1
        self._trades[trade.offer] = trade
        self._fresh.append(trade)
        return None

    def _hear(self) -> None:
        outcomes, self._outcomes = self._outcomes, []
        for offer, stage, reason, exchange in outcomes:
            trade = self._trades[offer]
            trade.exchange = exchange
            self._change(trade, stage, reason)
            if stage is Stage.DONE:
                self._done.append(trade)

    def _change(self, trade: Trade, stage: Stage, reason: str = "") -> None:
        trade.move(stage, reason)
        if trade not in self._fresh:
            self._fresh.append(trade)


def as_text(items: Mapping[str, int]) -> str:
    """Items as the log of interactions has them."""
    return ",".join(f"{name}:{quantity}" for name, quantity in sorted(items.items()))


def _sensible(items: Mapping[str, int]) -> bool:
    try:
        named = {name_of(item_of(name, quantity)) for name, quantity in items.items()}
    except Invalid:
        return False
    return named == set(items) and len(items) <= MOST_ITEMS


def _apart(one: Tank, other: Tank) -> float:
    return math.hypot(one.x - other.x, one.y - other.y)


def _why_cancelled(trade: Trade, tanks: Mapping[int, Tank], over: bool) -> str:
    """Why an open offer cannot go on; '' where it can."""
    if over:
        return "match-over"
    for player in (trade.a, trade.b):
        tank = tanks.get(player.slot)
        if tank is None:
            return "left"
        if not tank.alive:
            return "destroyed"
    return ""
