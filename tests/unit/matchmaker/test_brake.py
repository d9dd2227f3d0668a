"""How calls are held back while a server does not take them."""

from __future__ import annotations

from matchmaker.launch.brake import ASKED_MOST_S, FIRST_S, LONGEST_S, Brake


def a_brake() -> Brake:
    """One without chance."""
    return Brake(lambda: 0.0)


def test_nothing_is_held_before_a_failure() -> None:
    """Any number of calls are under way together."""
    brake = a_brake()
    assert all(brake.enter(0.0) for _ in range(3))
    brake.passed()
    assert not brake.on


def test_after_a_failure_one_tries_for_all() -> None:
    """Nobody calls during the pause; after it one does, and the others wait for what comes of it."""
    brake = a_brake()
    brake.enter(0.0)
    brake.failed(0.0, 0.0, "away")
    assert (brake.on, brake.why) == (True, "away")
    assert not brake.enter(FIRST_S - 0.01)
    assert brake.enter(FIRST_S)
    assert not brake.enter(FIRST_S + 100)
    brake.passed()
    assert brake.enter(FIRST_S)
    assert brake.enter(FIRST_S)
    assert (brake.on, brake.why) == (False, "")


def test_pauses_grow_and_are_bounded() -> None:
    """Each try that fails is followed by a longer pause, up to a bound."""
    brake, now, pauses = a_brake(), 0.0, []
    for _ in range(8):
        assert brake.enter(now)
        brake.failed(now, 0.0, "")
        begun = now
        while brake.holds(now):
            now += 0.125
        pauses.append(now - begun)
    assert pauses == sorted(pauses)
    assert (pauses[0], pauses[-1]) == (FIRST_S, LONGEST_S)


def test_what_the_server_asks_for_is_given() -> None:
    """A pause is at least as long as the server asked for, within reason."""
    brake = a_brake()
    brake.failed(0.0, 12.0, "429")
    assert brake.holds(11.9)
    assert not brake.holds(12.0)
    brake.enter(12.0)
    brake.failed(12.0, 1e9, "429")
    assert not brake.holds(12.0 + ASKED_MOST_S)


def test_failures_of_calls_that_were_under_way_together_are_one() -> None:
    """A burst that fails is no reason for a longer pause than one call that fails."""
    brake = a_brake()
    assert all(brake.enter(0.0) for _ in range(32))
    for _ in range(32):
        brake.failed(0.0, 0.0, "")
    assert not brake.holds(FIRST_S)


def test_chance_lengthens_a_pause() -> None:
    """Replicas do not try in step, and none tries before the server is ready for it."""
    brake = Brake(lambda: 1.0)
    brake.failed(0.0, 4.0, "")
    assert brake.holds(4.9)
    assert not brake.holds(5.0)


def test_a_try_that_is_given_up_lets_the_next_one_through() -> None:
    """A cancelled call tells nothing, and nobody waits for it."""
    brake = a_brake()
    brake.failed(0.0, 0.0, "")
    assert brake.enter(FIRST_S)
    assert not brake.enter(FIRST_S)
    brake.dropped()
    assert brake.enter(FIRST_S)
