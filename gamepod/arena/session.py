"""One match: who is in it, its clock, and the fixed tick that everything happens in.

`Session` is the face of the simulation. It is pure: the caller says what time it is, calls `step` at
`tick_rate_hz`, and carries away what the tick produced. It is not safe for several threads.
"""

from __future__ import annotations

import dataclasses
from collections import deque
from collections.abc import Sequence
from typing import Any, NamedTuple

from core.arena import ArenaSettings
from core.errors import Conflict, NotFound, TooMany
from core.interactions import numbered
from gamepod.arena.commands import Command, Refusal
from gamepod.arena.delta import Scene
from gamepod.arena.events import GameEvent
from gamepod.arena.intake import enqueue, take_in
from gamepod.arena.interactions import Interaction
from gamepod.arena.movement import advance
from gamepod.arena.pool import TankPool
from gamepod.arena.scoring import MatchResult, rank_players, rank_teams, reached_score_limit, winner_of
from gamepod.arena.spawn import spawn_place
from gamepod.arena.tank import Physics, Player, Tank
from gamepod.arena.trading import News, Settlement, Stage
from gamepod.arena.turn import Turn, World


class TickOutput(NamedTuple):
    """What one tick produced. `result` is set from the tick that ended the match on."""

    match: str
    tick: int
    at_ms: int  # UTC
    interactions: list[Interaction]
    events: list[GameEvent]
    scene: Scene  # as it is until the next tick
    result: MatchResult | None
    news: Sequence[News] = ()  # of trades and inventories, for some players only
    settlements: Sequence[Settlement] = ()  # trades that both agreed to: the inventories decide


class Personal(NamedTuple):
    """What only one player is told each tick."""

    ack: int  # highest command number taken in
    accepted: int  # interactions this player has in the log
    refused: int
    last_refusal: str
    mana: float
    stamina: float
    speed_mps: float
    cooldown_ms: int
    respawn_ms: int
    lat: float
    lon: float


class Session:
    """A running match. `id_prefix` starts every interaction id: unique among all runs of all matches."""

    def __init__(self, match: str, settings: ArenaSettings, pool: TankPool, *, id_prefix: str) -> None:
        self.match = match
        self.settings = settings
        self.tick = 0
        self.result: MatchResult | None = None
        self._pool = pool
        self._physics = Physics(settings)
        self._tick_ms = 1000.0 * self._physics.dt
        self._world = World(match, self._physics, numbered(id_prefix))
        self._players: dict[str, Player] = {}  # everyone who ever joined, by player id
        self._started_ms = 0
        self._end_reason = ""
        self._allowance_step = settings.max_commands_per_second / settings.tick_rate_hz
        self._moved_ticks = settings.ticks(settings.moved_event_s)
        self._changed: set[str] = set()  # players whose state changed since it was last asked for

    @property
    def over(self) -> bool:
        return self.result is not None

    @property
    def present(self) -> tuple[str, ...]:
        """Ids of the players who have a tank now."""
        return tuple(name for name, player in self._players.items() if player.slot in self._world.tanks)

    @property
    def tanks(self) -> tuple[Tank, ...]:
        """The tanks that are in the world now; each has its player's record as `owner`. For rules of a game's own."""
        return tuple(self._world.tanks.values())

    @property
    def refused_by_reason(self) -> dict[str, int]:
        """How many commands were refused since the start, by reason."""
        return dict(self._world.refusals.by_reason)

    @property
    def repeated(self) -> int:
        """How many commands came again with a number that was taken in before; they are skipped."""
        return self._world.refusals.repeated

    def join(self, player: str, name: str, team: str, now_ms: int) -> Player:
        """Give a player a tank; one who is present keeps theirs, one who left finds score and numbers kept.

        Raises `Conflict` when the match is over, `TooMany` when it or the server's pool is full.
        """
        if self.over:
            raise Conflict("the match is over", code="match-over")
        record = self._players.get(player)
        if record is not None and record.slot in self._world.tanks:
            return record
        if len(self._world.tanks) >= self.settings.capacity:
            raise TooMany("the match is full", code="match-full")
        if record is None and len(self._players) >= self.settings.max_roster:
            raise TooMany("too many players have been in this match", code="match-full")
        tank = self._pool.acquire()
        if record is None:
            history: deque[str] = deque(maxlen=self.settings.last_actions)
            allowance = float(self.settings.max_commands_per_second)
            record = Player(player, name, team, len(self._players), history, allowance=allowance)
            self._players[player] = record
        tank.owner = record
        self._spawn(tank)
        self._world.tanks[record.slot] = tank
        self._world.scene.entered(record.slot, tank, record, self.tick + 1)
        self._changed.add(player)
        self._started_ms = self._started_ms or now_ms
        return record

    def make_room(self, players: int) -> None:
        """Let at least so many play at once from now on."""
        if players > self.settings.capacity:
            most = max(players, self.settings.max_roster)
            self.settings = dataclasses.replace(self.settings, capacity=players, max_roster=most)

    def leave(self, player: str) -> bool:
        """Take the player's tank out of the world; False if there was none. The score stays."""
        record = self._players.get(player)
        tank = self._world.tanks.pop(record.slot, None) if record is not None else None
        if record is None or tank is None:
            return False
        record.pending.clear()
        self._world.scene.left(record.slot, self.tick + 1)
        self._changed.discard(player)
        self._pool.release(tank)
        return True

    def input(self, player: str, seq: int, commands: Sequence[Command]) -> int:
        """Queue a numbered batch (its first command has number `seq`) for the next tick.

        Returns how many were queued; duplicates are skipped, excess is refused and counted. Raises `NotFound`
        for a player who has no tank here.
        """
        return take_in(self._sender(player, commands), seq, commands, self.settings, self._world.refusals)

    def command(self, player: str, commands: Sequence[Command]) -> int:
        """Queue commands that carry no number, as a message queue delivers them. As `input` otherwise."""
        return enqueue(self._sender(player, commands), commands, self.settings, self._world.refusals)

    def step(self, now_ms: int) -> TickOutput:
        """Play one tick. `now_ms` (UTC) stamps what happens in it; the tick's length is fixed."""
        self.tick += 1
        turn = Turn(self._world, self.tick, now_ms)
        order = list(self._world.tanks.values())
        if self.tick % 2:
            order.reverse()  # who acts first alternates, or a low slot would win every draw
        for tank in order:
            if tank.owner is not None:
                self._take_turn(turn, tank, tank.owner)
        if not self.over:
            self._move_all(turn)
            reason = self._why_over(now_ms)
            if reason:
                self.result = self._rank(reason, now_ms)
        trading = self._world.trading
        news, settlements = trading.step(self.tick, self._world.tanks, over=self.over)
        turn.settle()
        scene = self._world.scene
        scene.advance(self.tick, self._world.tanks, turn.rows)
        output = (self.match, self.tick, now_ms, turn.interactions, turn.events, scene, self.result)
        return TickOutput(*output, news, settlements)

    def settled(self, offer: int, stage: Stage, reason: str = "", exchange: str = "") -> None:
        """What the inventories said of a settlement: DONE, REFUSED, or UNKNOWN where they did not answer in time."""
        self._world.trading.settled(offer, stage, reason, exchange)

    def retell(self, record: Player) -> None:
        """Tell a player whose client knows nothing what he has, and how his trades stand."""
        self._world.trading.retell(record.player)
        if record.items is not None:
            self._world.trading.tell_inventory(record.player, record.items, self.tick)

    @property
    def settling(self) -> bool:
        """Whether a trade that both agreed to has not been told its outcome."""
        return self._world.trading.settling

    def hold(self, player: str, items: dict[str, int]) -> None:
        """What a player has, as just read: told to him, and shown in his state. Nothing for one who is not present."""
        record = self._players.get(player)
        if record is not None and record.slot in self._world.tanks:
            record.items = items
            self._world.trading.tell_inventory(player, items, self.tick)
            self._changed.add(player)

    def end(self, reason: str) -> None:
        """End the match at the next tick, for a reason of the caller's."""
        self._end_reason = self._end_reason or reason

    @property
    def scene(self) -> Scene:
        """The world as clients may see it."""
        return self._world.scene

    def personal(self, record: Player) -> Personal:
        """What only this player is told. Raises `NotFound` for a player who has no tank here."""
        tank = self._world.tanks.get(record.slot)
        if tank is None:
            raise _absent(record.player)
        ready, back = tank.ready_at - self.tick, 0 if tank.alive else tank.respawn_at - self.tick
        return Personal(
            record.last_seq,
            record.accepted,
            record.refused,
            record.last_refusal,
            tank.mana,
            tank.stamina,
            tank.speed,
            round(ready * self._tick_ms) if ready > 0 else 0,
            round(back * self._tick_ms) if back > 0 else 0,
            *self._world.projection.to_gps(tank.x, tank.y),
        )

    def player_states(self, *, changed_only: bool = False) -> dict[str, dict[str, Any]]:
        """The state of each present player by id, ready to be written to a hash.

        With `changed_only`, those that may have changed since the last such call, which forgets them.
        """
        if not changed_only:
            return {player: self._state(player) for player in self.present}
        changed, self._changed = self._changed, set()
        return {player: self._state(player) for player in changed}

    def standings(self, now_ms: int) -> MatchResult:
        """The result, or the standings so far while the match runs."""
        return self.result or self._rank("running", now_ms)

    def close(self) -> None:
        """Hand every tank back to the pool. Only the result is of use afterwards."""
        for player in self.present:
            self.leave(player)

    def _take_turn(self, turn: Turn, tank: Tank, owner: Player) -> None:
        limit = float(self.settings.max_commands_per_second)
        owner.allowance = min(limit, owner.allowance + self._allowance_step)
        if not owner.pending:
            return
        if self.over:
            self._world.refusals.count(owner, Refusal.MATCH_OVER, len(owner.pending))
            owner.pending.clear()
            return
        turn.apply(tank, owner)
        self._changed.add(owner.player)
        if tank.target:
            self._changed.add(tank.target)

    def _move_all(self, turn: Turn) -> None:
        for tank in self._world.tanks.values():
            changed = False
            if tank.alive:
                changed = advance(tank, self.tick, self._physics)
            elif self.tick >= tank.respawn_at:
                self._spawn(tank)
                changed = True
            if changed and tank.owner is not None:
                self._changed.add(tank.owner.player)
        turn.report_moves(self._world.tanks, self._moved_ticks)

    def _spawn(self, tank: Tank) -> None:
        world = self._world
        tank.place(*spawn_place(world.spawns, world.tanks.values(), self._physics), self.settings)
        world.spawns += 1

    def _sender(self, player: str, commands: Sequence[Command]) -> Player:
        record = self._players.get(player)
        if record is None or record.slot not in self._world.tanks:
            self._world.refusals.by_reason[Refusal.NOT_IN_MATCH] += len(commands)
            raise _absent(player)
        return record

    def played_ms(self, now_ms: int) -> int:
        """Milliseconds since the first player joined; the time limit counts from there."""
        return now_ms - self._started_ms if self._started_ms else 0

    def _why_over(self, now_ms: int) -> str:
        limit_ms = self.settings.time_limit_s * 1000.0
        if self._end_reason:
            return self._end_reason
        if reached_score_limit(self._players.values(), self.settings):
            return "score-limit"
        if limit_ms and self.played_ms(now_ms) >= limit_ms:
            return "time-limit"
        return ""

    def _rank(self, reason: str, now_ms: int) -> MatchResult:
        players = rank_players(self._players.values())
        teams = rank_teams(self._players.values())
        winner = winner_of(players, teams)
        return MatchResult(self.match, reason, self._started_ms, now_ms, winner, players, teams)

    def _state(self, player: str) -> dict[str, Any]:
        record = self._players[player]
        tank = self._world.tanks[record.slot]
        lat, lon = self._world.projection.to_gps(tank.x, tank.y)
        state = {
            "hit_points": tank.hit_points,
            "mana": tank.mana,
            "stamina": tank.stamina,
            "interaction": record.interaction,
            "damage_dealt": record.damage_dealt,
            "target": tank.target,
            "lat": lat,
            "lon": lon,
            "last_actions": list(record.last_actions),
            "score": record.score,
            "kills": record.kills,
            "deaths": record.deaths,
        }
        return state if record.items is None else state | {"items": record.items}


def _absent(player: str) -> NotFound:
    return NotFound(f"player {player!r} has no tank in this match", code="not-in-match")
