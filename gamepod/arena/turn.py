"""One tick's work: players' queued commands become moves, shots, damage and the record of them.

A `Turn` lives for one tick. It collects the interactions (for the log), the game events (for analytics) and
the event rows (for clients) that the commands of this tick caused.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

from gamepod.arena import events as names
from gamepod.arena.combat import Shot, fire
from gamepod.arena.commands import MoveCommand, Refusal, ShootCommand
from gamepod.arena.delta import EventRow, Scene
from gamepod.arena.events import GameEvent
from gamepod.arena.geo import Projection
from gamepod.arena.intake import Refusals, check_move, check_shot
from gamepod.arena.interactions import Attack, Exchange, Interaction, Move
from gamepod.arena.tank import Physics, Player, Tank
from gamepod.arena.trading import Trading, as_text


class World:
    """What a session keeps from tick to tick and a turn works on: tanks, rules, ids, counters."""

    __slots__ = ("ids", "match", "physics", "projection", "refusals", "scene", "spawns", "tanks", "trading")

    def __init__(self, match: str, physics: Physics, ids: Iterator[str]) -> None:
        settings = physics.settings
        self.match = match
        self.physics = physics
        self.ids = ids
        self.tanks: dict[int, Tank] = {}  # slot -> tank
        self.projection = Projection(settings.origin_lat, settings.origin_lon)
        self.scene = Scene(settings)
        self.refusals = Refusals()
        self.trading = Trading(settings)
        self.spawns = 0


class Turn:
    """The commands of one tick applied to the world."""

    __slots__ = ("at_ms", "events", "interactions", "rows", "tick", "world")

    def __init__(self, world: World, tick: int, at_ms: int) -> None:
        self.world = world
        self.tick = tick
        self.at_ms = at_ms
        self.interactions: list[Interaction] = []
        self.events: list[GameEvent] = []
        self.rows: list[EventRow] = []

    def apply(self, tank: Tank, owner: Player) -> None:
        """Play a player's queued commands in their order; refused ones are counted and change nothing."""
        place: tuple[float, float] | None = None  # shared by this tick's moves: the tank moves after them
        ids, at_ms, player = self.world.ids, self.at_ms, owner.player
        for command in owner.pending:
            if not tank.alive:
                refusal: Refusal | None = Refusal.DESTROYED
            elif isinstance(command, MoveCommand):
                refusal = self._steer(tank, command)
                if refusal is None:
                    if place is None:
                        place = self.world.projection.to_gps(tank.x, tank.y)
                    self.interactions.append(Move(next(ids), at_ms, player, place[0], place[1]))
                    owner.accepted += 1
                    if owner.interaction != "move":
                        _remember(owner, "move")
            elif isinstance(command, ShootCommand):
                refusal = self._shoot(tank, owner, command)
            else:
                refusal = self.world.trading.command(tank, owner, command, self.world.tanks, self.tick)
            if refusal is not None:
                self.world.refusals.count(owner, refusal)
        owner.pending.clear()

    def report_moves(self, tanks: Mapping[int, Tank], interval_ticks: int) -> None:
        """A `tank_moved` event for each tank that moved since its last; slots take turns in an interval."""
        phase = self.tick % interval_ticks
        for slot, tank in tanks.items():
            if tank.moved and slot % interval_ticks == phase and tank.owner is not None:
                tank.moved = False
                lat, lon = self.world.projection.to_gps(tank.x, tank.y)
                place = {"x": tank.x, "y": tank.y, "lat": lat, "lon": lon, "speed": tank.speed}
                self._event(names.TANK_MOVED, tank.owner.player, place)

    def settle(self) -> None:
        """The trades that ended become interactions, if items were moved."""
        for trade in self.world.trading.take_done():
            ids = (next(self.world.ids), self.at_ms, trade.a.player, trade.b.player, trade.exchange)
            self.interactions.append(Exchange(*ids, as_text(trade.give), as_text(trade.get)))
            trade.a.accepted += 1
            _remember(trade.a, f"exchange:{trade.b.player}")
            _remember(trade.b, f"exchange:{trade.a.player}")

    def _steer(self, tank: Tank, command: MoveCommand) -> Refusal | None:
        refusal = check_move(command)
        if refusal is not None:
            return refusal
        physics = self.world.physics
        if command.sprint and tank.stamina < physics.sprint_cost:
            return Refusal.NOT_ENOUGH_STAMINA
        tank.throttle = command.throttle
        tank.turn = command.turn
        tank.sprint = command.sprint
        tank.control_until = self.tick + physics.control_ticks
        if command.aim is not None:
            tank.aim = math.radians(command.aim)
        return None

    def _shoot(self, tank: Tank, owner: Player, command: ShootCommand) -> Refusal | None:
        world = self.world
        shot = check_shot(command) or fire(tank, owner, command, world.tanks, self.tick, world.physics)
        if isinstance(shot, Refusal):
            return shot
        owner.shots += 1
        target = shot.hit.owner if shot.hit is not None else None
        name = target.player if target is not None else ""
        self._show_shot(owner, shot, target)
        flight = {"target": name, "aim": round(math.degrees(shot.aim) % 360.0, 2), "length_m": round(shot.length_m, 2)}
        self._event(names.TANK_SHOT, owner.player, flight)
        if shot.hit is not None and target is not None:
            tank.target = name
            self._damage(owner, shot.hit, target, shot.damage)
        else:
            _remember(owner, "shot")
        return None

    def _damage(self, owner: Player, victim: Tank, target: Player, damage: float) -> None:
        self.interactions.append(Attack(next(self.world.ids), self.at_ms, owner.player, target.player, damage))
        owner.accepted += 1
        owner.damage_dealt += damage
        _remember(owner, f"attack:{target.player}")
        harm = {"attacker": owner.player, "damage": damage, "hit_points": victim.hit_points}
        self._event(names.TANK_TOOK_DAMAGE, target.player, harm)
        if victim.hit_points <= 0.0:
            self._destroy(owner, victim, target)

    def _destroy(self, owner: Player, victim: Tank, target: Player) -> None:
        world = self.world
        victim.hit_points = 0.0
        victim.alive = False
        victim.speed = 0.0
        victim.stop()
        victim.respawn_at = self.tick + world.physics.respawn_ticks
        target.deaths += 1
        value = world.physics.settings.score_per_kill
        if owner.team and owner.team == target.team:
            owner.score -= value
        else:
            owner.score += value
            owner.kills += 1
        world.scene.player_changed(owner.slot, self.tick)
        world.scene.player_changed(target.slot, self.tick)
        self.rows.append(("destroyed", target.slot, owner.slot))
        self._event(names.TANK_DESTROYED, target.player, {"attacker": owner.player})

    def _show_shot(self, owner: Player, shot: Shot, target: Player | None) -> None:
        aim = round(math.degrees(shot.aim)) % 360
        length = round(shot.length_m * 100.0)
        slot = -1 if target is None else target.slot
        self.rows.append(("shot", owner.slot, aim, length, slot, math.ceil(shot.damage)))

    def _event(self, name: str, player: str, data: dict[str, Any]) -> None:
        self.events.append(GameEvent(name, self.at_ms, self.world.match, player, data, len(self.interactions)))


def _remember(owner: Player, action: str) -> None:
    """Note the present action; a run of the same one is kept once, or driving would push all else out."""
    owner.interaction = action
    if not owner.last_actions or owner.last_actions[-1] != action:
        owner.last_actions.append(action)
