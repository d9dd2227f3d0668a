"""The gate for commands: duplicates are free, gaps are bounded, rates hold, bad values never pass."""

from __future__ import annotations

import math
from collections import deque

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gamepod.arena import ArenaSettings, MoveCommand, Refusal, ShootCommand
from gamepod.arena.intake import Refusals, check_move, check_shot, enqueue, take_in
from gamepod.arena.tank import Player

SETTINGS = ArenaSettings(max_commands_per_tick=8, sequence_window=20)
STEP = MoveCommand(throttle=1.0)


def fresh_player(allowance: float = 1000.0) -> Player:
    """A player who has sent nothing yet."""
    return Player("p", "P", "", 0, deque(maxlen=4), allowance=allowance)


def test_a_repeated_batch_is_taken_once() -> None:
    """Commands that were taken in are skipped when they come again, and only the new ones are queued."""
    player, refusals = fresh_player(), Refusals()
    assert take_in(player, 1, [STEP, STEP], SETTINGS, refusals) == 2
    assert take_in(player, 1, [STEP, STEP], SETTINGS, refusals) == 0
    assert take_in(player, 1, [STEP, STEP, STEP], SETTINGS, refusals) == 1
    assert (player.last_seq, player.refused, refusals.repeated) == (3, 0, 4)


def test_a_gap_within_the_window_is_jumped() -> None:
    """A batch ahead of the expected number is believed within the window; what is missing is given up."""
    player, refusals = fresh_player(), Refusals()
    assert take_in(player, 10, [STEP], SETTINGS, refusals) == 1
    assert player.last_seq == 10
    assert take_in(player, 5, [STEP], SETTINGS, refusals) == 0


def test_a_jump_out_of_the_window_is_refused() -> None:
    """A number far ahead is refused and not remembered, so a forged one cannot lock the player out."""
    player, refusals = fresh_player(), Refusals()
    assert take_in(player, 2**53 - 1, [STEP], SETTINGS, refusals) == 0
    assert player.last_seq == 0
    assert refusals.by_reason[Refusal.OUT_OF_WINDOW] == 1


def test_too_many_in_a_tick_are_refused() -> None:
    """What exceeds the bound per tick is refused and counted, and its numbers are used up."""
    player, refusals = fresh_player(), Refusals()
    assert take_in(player, 1, [STEP] * 10, SETTINGS, refusals) == 8
    assert player.last_seq == 10
    assert refusals.by_reason[Refusal.TOO_MANY] == 2


def test_the_allowance_bounds_the_rate() -> None:
    """Commands beyond the player's allowance of this second are refused."""
    player, refusals = fresh_player(allowance=2.5), Refusals()
    assert enqueue(player, [STEP] * 4, SETTINGS, refusals) == 2
    assert enqueue(player, [STEP], SETTINGS, refusals) == 0
    assert refusals.by_reason[Refusal.TOO_MANY] == 3


def test_an_empty_batch_changes_nothing() -> None:
    """A batch without commands leaves the numbers as they are."""
    player = fresh_player()
    assert take_in(player, 15, [], SETTINGS, Refusals()) == 0
    assert player.last_seq == 0


@given(batches=st.lists(st.tuples(st.integers(1, 60), st.integers(0, 12)), max_size=40))
def test_no_number_is_taken_twice(batches: list[tuple[int, int]]) -> None:
    """In whatever order batches come, each number is queued at most once and the last number never falls."""
    player, refusals = fresh_player(1e9), Refusals()
    taken = 0
    for seq, size in batches:
        before = player.last_seq
        queued = take_in(player, seq, [STEP] * size, SETTINGS, refusals)
        assert player.last_seq >= before
        assert queued <= player.last_seq - before
        assert len(player.pending) <= SETTINGS.max_commands_per_tick
        taken += queued
        player.pending.clear()
    assert taken <= player.last_seq


@pytest.mark.parametrize(
    ("command", "refusal"),
    [
        (MoveCommand(throttle=1.0, turn=-1.0, aim=720.0), None),
        (MoveCommand(throttle=1.01), Refusal.TOO_FAST),
        (MoveCommand(throttle=0.0, turn=-1e300), Refusal.TOO_FAST),
        (MoveCommand(throttle=math.nan), Refusal.BAD_VALUE),
        (MoveCommand(throttle=0.0, turn=math.inf), Refusal.BAD_VALUE),
        (MoveCommand(throttle=0.0, aim=math.nan), Refusal.BAD_VALUE),
        (MoveCommand(throttle=0.0, aim=1e9), Refusal.BAD_VALUE),
    ],
)
def test_a_steering_must_be_possible(command: MoveCommand, refusal: Refusal | None) -> None:
    """Steering beyond full speed, and values that are no sensible numbers, are refused by their reason."""
    assert check_move(command) is refusal


@pytest.mark.parametrize(
    ("command", "refusal"),
    [
        (ShootCommand(), None),
        (ShootCommand(target=3), None),
        (ShootCommand(aim=-math.inf), Refusal.BAD_VALUE),
        (ShootCommand(target=3, aim=0.0), Refusal.BAD_VALUE),
    ],
)
def test_a_shot_must_be_clear(command: ShootCommand, refusal: Refusal | None) -> None:
    """A shot names a target or an aim, and the aim is a sensible number."""
    assert check_shot(command) is refusal
