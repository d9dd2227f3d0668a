"""Crashed parts come back, sooner or later by how often they crash."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from core.cli.parts import LONGEST_PAUSE_S, STEADY_S, Keeper, Service, describe, pause_s
from core.errors import Unavailable


class Puppet:
    """A part that does what the test says."""

    name = "puppet"
    pid = 1

    def __init__(self) -> None:
        self.code: int | None = None
        self.starts = 0
        self.refuses = False

    def start(self) -> None:
        if self.refuses:
            raise Unavailable("no room")
        self.starts += 1
        self.code = None

    def ended(self) -> int | None:
        return self.code

    def stop(self) -> None:
        self.code = 0


def test_part_that_runs_is_left_alone() -> None:
    """Nothing is said or done while a part runs."""
    puppet = Puppet()
    keeper = Keeper(puppet)
    keeper.start(0.0)
    assert [keeper.look(float(second)) for second in range(100)] == [None] * 100
    assert puppet.starts == 1


def test_crashed_part_is_started_again_after_a_pause() -> None:
    """A crash is told with its signal, and the part runs again after the pause and not before."""
    puppet = Puppet()
    keeper = Keeper(puppet)
    keeper.start(0.0)
    puppet.code = -9
    assert keeper.look(1.0) == "puppet ended with SIGKILL; starting it again in 0.2 s"
    assert keeper.look(1.1) is None
    assert puppet.starts == 1
    assert keeper.look(1.3) == "puppet runs again"
    assert puppet.starts == 2


def test_pauses_grow_to_a_bound_and_are_forgotten() -> None:
    """Each crash in a row doubles the pause up to the bound; who ran steadily starts afresh."""
    assert [pause_s(n) for n in (1, 2, 3)] == [0.2, 0.4, 0.8]
    assert pause_s(1000) == LONGEST_PAUSE_S
    puppet = Puppet()
    keeper = Keeper(puppet, crashes=7)
    keeper.start(0.0)
    puppet.code = 1
    assert "in 0.2 s" in (keeper.look(STEADY_S) or "")


def test_part_that_does_not_start_is_tried_again() -> None:
    """A failing start counts as a crash and says why."""
    puppet = Puppet()
    keeper = Keeper(puppet)
    keeper.start(0.0)
    puppet.code, puppet.refuses = 1, True
    keeper.look(0.0)
    assert keeper.look(1.0) == "puppet does not start: no room; starting it again in 0.4 s"
    puppet.refuses = False
    assert keeper.look(2.0) == "puppet runs again"


def test_misconfigured_part_is_hopeless() -> None:
    """Exit code 78 tells that starting again will not help; other codes do not."""
    puppet = Puppet()
    keeper = Keeper(puppet)
    keeper.start(0.0)
    for code, hopeless in ((1, False), (78, True)):
        keeper.again_s, puppet.code = None, code
        keeper.look(0.0)
        assert keeper.hopeless is hopeless


@pytest.mark.parametrize(("code", "words"), [(-9, "SIGKILL"), (-250, "signal 250"), (3, "exit code 3")])
def test_exit_codes_in_words(code: int, words: str) -> None:
    """Signals are named, other codes numbered."""
    assert describe(code) == words


def test_service_writes_its_log_and_stops(tmp_path: Path) -> None:
    """A service's output goes to its log, its pid is known while it runs, and stopping it waits for its end."""
    code = "import signal, sys; print('up', flush=True); signal.pause()"
    service = Service("napper", [sys.executable, "-c", code], {}, tmp_path / "logs" / "napper.log")
    service.start()
    assert service.pid
    assert service.ended() is None
    while service.last_words() != "up":
        assert service.ended() is None
    service.stop()
    assert service.pid is None
    assert service.ended() == 0
