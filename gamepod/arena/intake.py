"""The gate for commands: numbers, rates and values. What does not pass is counted and never applied.

Clients re-send every command that was not acknowledged, so a number at or below the last one taken in is an
ordinary duplicate: it is skipped in silence and costs no allowance. A number far ahead of what was seen is
not believed.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from core.arena import ArenaSettings
from gamepod.arena.commands import Command, MoveCommand, Refusal, ShootCommand
from gamepod.arena.tank import Player, Tank

MAX_DEGREES = 36_000.0  # a client may count its turns, but a hundred of them is a mistake


class Refusals:
    """Counts of refused commands by reason, of a whole session and on each player."""

    __slots__ = ("by_reason", "repeated")

    def __init__(self) -> None:
        self.by_reason: dict[str, int] = {reason.value: 0 for reason in Refusal}
        self.repeated = 0  # commands whose number was taken in before: ordinary over UDP, and nothing happens

    def count(self, player: Player, reason: Refusal, times: int = 1) -> None:
        self.by_reason[reason.value] += times
        player.refused += times
        player.last_refusal = reason.value


def take_in(player: Player, seq: int, commands: Sequence[Command], settings: ArenaSettings, refusals: Refusals) -> int:
    """Queue what is new of a batch whose first command has number `seq`; returns how many were queued.

    Numbers up to `player.last_seq` are duplicates. Commands over the bound per tick or per second are
    refused, but their numbers are used up: sending them again would not help.
    """
    seen = player.last_seq + 1 - seq  # how many of the batch came before; below 0 there is a gap
    if seen > 0:
        refusals.repeated += min(seen, len(commands))
    if not commands or seen >= len(commands):
        return 0
    if -seen > settings.sequence_window:
        refusals.count(player, Refusal.OUT_OF_WINDOW, len(commands))
        return 0
    player.last_seq = seq + len(commands) - 1
    return enqueue(player, commands[seen:] if seen > 0 else commands, settings, refusals)


def enqueue(player: Player, commands: Sequence[Command], settings: ArenaSettings, refusals: Refusals) -> int:
    """Queue commands for the next tick within the player's bounds; returns how many were queued."""
    room = min(settings.max_commands_per_tick - len(player.pending), int(player.allowance))
    queued = commands if len(commands) <= room else commands[: max(0, room)]
    if len(queued) < len(commands):
        refusals.count(player, Refusal.TOO_MANY, len(commands) - len(queued))
    player.allowance -= len(queued)
    player.pending.extend(queued)
    return len(queued)


def check_move(command: MoveCommand) -> Refusal | None:
    """Is this a steering the tank could do? Comparisons are written so that a NaN fails them."""
    throttle, turn, aim = command.throttle, command.turn, command.aim
    if not (-1.0 <= throttle <= 1.0 and -1.0 <= turn <= 1.0):
        return Refusal.TOO_FAST if math.isfinite(throttle) and math.isfinite(turn) else Refusal.BAD_VALUE
    if aim is None or -MAX_DEGREES <= aim <= MAX_DEGREES:
        return None
    return Refusal.BAD_VALUE


def check_shot(command: ShootCommand) -> Refusal | None:
    """Is this a shot that can be understood? A target and an aim together contradict each other."""
    if command.target is not None and command.aim is not None:
        return Refusal.BAD_VALUE
    aim = command.aim
    if aim is None or -MAX_DEGREES <= aim <= MAX_DEGREES:
        return None
    return Refusal.BAD_VALUE


def find_other(tank: Tank, slot: int, tanks: Mapping[int, Tank]) -> tuple[Tank, Player] | Refusal:
    """The living tank of a slot with its player, or why `tank` can do nothing with it."""
    other = tanks.get(slot)
    if other is None or other.owner is None:
        return Refusal.UNKNOWN_TARGET
    if other is tank:
        return Refusal.SELF_TARGET
    if not other.alive:
        return Refusal.TARGET_DESTROYED
    return other, other.owner
