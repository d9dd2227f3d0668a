"""What to do about matches and servers, as a table of cases: facts, what the launcher sees, the time, the plan."""

from __future__ import annotations

from dataclasses import replace

import pytest

from core.lifecycle import MatchState
from core.model import Timers
from matchmaker.planner import (
    AGAIN_MS,
    NET_MS,
    Action,
    Deadlines,
    Facts,
    Fail,
    Finish,
    Postpone,
    Sight,
    Start,
    Stop,
    plan,
    plan_server,
)

BORN = 1_000_000
BEAT = 10_000
LONG_AGO = Deadlines(beat_timeout_ms=BEAT, contact_ms=0)
TIMERS = Timers(start_s=60, length_s=600, drain_s=5)
NEW = Facts(
    match="m",
    state=MatchState.PLACING,
    server="",
    created_ms=BORN,
    attached_ms=0,
    ready_ms=0,
    beat_ms=0,
    over_ms=0,
    look_at_ms=BORN + 60_000,
    timers=TIMERS,
    tries=3,
)
ATTACHED = replace(NEW, server="s", attached_ms=BORN + 500)
PLAYING = replace(
    ATTACHED, state=MatchState.RUNNING, ready_ms=BORN + 1000, beat_ms=BORN + 9000, look_at_ms=BORN + 19_000
)
ASKING = replace(NEW, state=MatchState.REQUIRES_ACCEPTANCE, accept_until_ms=BORN + 30_000, look_at_ms=BORN + 30_000)
AGREED = replace(NEW, accept_until_ms=BORN + 30_000, agreed_ms=BORN + 20_000, look_at_ms=0)
OVER = replace(PLAYING, state=MatchState.ENDED, over_ms=BORN + 20_000)

CASES: list[tuple[str, Facts, Sight, int, list[Action]]] = [
    ("a claimed match gets a server", NEW, Sight.NEVER, 10, [Start()]),
    ("its players are asked: no server yet", ASKING, Sight.NEVER, 29_999, []),
    ("not all accepted in time", ASKING, Sight.NEVER, 30_000, [Fail("acceptance_timed_out")]),
    ("rung for while it asks", replace(ASKING, look_at_ms=BORN), Sight.NEVER, 10_000, [Postpone(BORN + 30_000)]),
    ("all accepted", AGREED, Sight.NEVER, 20_100, [Start(), Postpone(BORN + 80_000)]),
    ("all accepted, its server starts", AGREED, Sight.RUNS, 79_999, [Postpone(BORN + 80_999)]),
    ("all accepted, never ready", AGREED, Sight.RUNS, 80_000, [Fail("never_ready"), Stop(5, "never_ready")]),
    ("one start at a time", NEW, Sight.STARTING, 10, []),
    ("a server that starts is waited for", NEW, Sight.RUNS, 30_000, []),
    ("a server elsewhere has it", ATTACHED, Sight.NEVER, 5_000, []),
    ("turned away: another process has it", NEW, Sight.TURNED_AWAY, 5_000, []),
    ("died before it attached", NEW, Sight.ENDED, 300, [Fail("died_early")]),
    ("died before Ready", ATTACHED, Sight.ENDED, 900, [Fail("died_early")]),
    ("cannot be started", NEW, Sight.REFUSED, 10, [Fail("launch_failed")]),
    ("refused here, attached elsewhere", ATTACHED, Sight.REFUSED, 1_000, []),
    ("silent before Ready", ATTACHED, Sight.NEVER, 10_500, [Fail("died_early"), Stop(5, "died_early")]),
    ("beats before Ready count", replace(ATTACHED, beat_ms=BORN + 8_000), Sight.RUNS, 10_500, []),
    ("never ready", NEW, Sight.RUNS, 60_000, [Fail("never_ready"), Stop(5, "never_ready")]),
    ("plays", PLAYING, Sight.RUNS, 10_000, []),
    ("its game ended before Ready", ATTACHED, Sight.EXITED, 900, [Fail("died_early")]),
    ("its game crashed before Ready", ATTACHED, Sight.CRASHED, 900, [Fail("died_early")]),
    ("its image is missing", ATTACHED, Sight.STUCK, 900, [Fail("launch_failed"), Stop(5, "launch_failed")]),
    ("its game ended well", PLAYING, Sight.EXITED, 10_000, [Finish("exited")]),
    ("its game crashed", PLAYING, Sight.CRASHED, 10_000, [Fail("crashed")]),
    ("lost: its process ended", PLAYING, Sight.ENDED, 10_000, [Fail("server_lost")]),
    ("lost: no beat", PLAYING, Sight.RUNS, 19_000, [Fail("server_lost"), Stop(5, "server_lost")]),
    (
        "a beat moves the look",
        replace(PLAYING, beat_ms=BORN + 15_000),
        Sight.RUNS,
        19_000,
        [Postpone(BORN + 25_000)],
    ),
    (
        "too long, and its server does not end it",
        replace(PLAYING, beat_ms=BORN + 610_000, look_at_ms=BORN + 620_000),
        Sight.RUNS,
        601_000 + NET_MS,
        [Finish("too_long"), Stop(5, "too_long")],
    ),
    ("over", OVER, Sight.ENDED, 25_000, []),
]


@pytest.mark.parametrize(("facts", "sight", "age_ms", "wanted"), [c[1:] for c in CASES], ids=[c[0] for c in CASES])
def test_plan(facts: Facts, sight: Sight, age_ms: int, wanted: list[Action]) -> None:
    """The plan follows from the facts alone."""
    assert plan(facts, sight, LONG_AGO, BORN + age_ms) == wanted


@pytest.mark.parametrize("facts", [NEW, ASKING, ATTACHED, PLAYING])
def test_silence_is_not_judged_after_redis_was_away(facts: Facts) -> None:
    """Until contact lasted for the beat time-out nobody is failed for silence; the match is looked at again soon."""
    now = BORN + 120_000
    plans = [plan(facts, Sight.RUNS, Deadlines(BEAT, now - since), now) for since in (0, BEAT - 1, BEAT)]
    assert plans[0] == plans[1] == [Postpone(now + AGAIN_MS)]
    assert isinstance(plans[2][0], Fail)


def test_an_end_that_was_seen_is_judged_at_once() -> None:
    """A process that ended is a fact, whatever Redis did."""
    assert plan(PLAYING, Sight.ENDED, Deadlines(BEAT, BORN), BORN) == [Fail("server_lost")]


SERVERS: list[tuple[str, Facts | None, int, int, Stop | None]] = [
    ("its match plays", PLAYING, 1_000, 0, None),
    ("its match is placing", NEW, 1_000, 0, None),
    ("over, it ends by itself", OVER, 24_999, 0, None),
    ("over for long", OVER, 25_000, 0, Stop(5, "match_over")),
    ("unknown, young", None, 9_999, 0, None),
    ("unknown", None, 10_000, 0, Stop(5, "no_match")),
    ("unknown, Redis was away", None, 10_000, BORN + 1, None),
]


@pytest.mark.parametrize(
    ("facts", "age_ms", "contact_ms", "wanted"), [c[1:] for c in SERVERS], ids=[c[0] for c in SERVERS]
)
def test_plan_server(facts: Facts | None, age_ms: int, contact_ms: int, wanted: Stop | None) -> None:
    """A server whose match is not live is ended, after it had time to end by itself."""
    assert plan_server(BORN, facts, Deadlines(BEAT, contact_ms), BORN + age_ms) == wanted


@pytest.mark.parametrize(("at", "over"), [(19_999, False), (20_000, True)])
def test_a_drain_ends_what_still_runs_at_its_deadline(at: int, *, over: bool) -> None:
    """Not before; and a match whose server starts is not touched until it is playable."""
    deadlines = replace(LONG_AGO, until_ms=BORN + 20_000)
    playing = replace(PLAYING, beat_ms=BORN + 19_000)
    ended = [Finish("drained"), Stop(5, "drained")]
    assert (plan(playing, Sight.RUNS, deadlines, BORN + at) == ended) is over
    assert plan(ATTACHED, Sight.RUNS, deadlines, BORN + 20_000) == plan(ATTACHED, Sight.RUNS, LONG_AGO, BORN + 20_000)
