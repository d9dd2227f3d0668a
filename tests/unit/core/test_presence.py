"""Who is offline, and how sessions become days: properties, and a shard beside a simple model."""

from __future__ import annotations

from dataclasses import dataclass, field

from hypothesis import given, settings
from hypothesis import strategies as st

from core.presence import DAY_MS, KEPT_DAYS, Look, Session, days_of, decide, gap_ms, next_look_s, played

TIMEOUT_MS = 60_000
GAP_MS = gap_ms(TIMEOUT_MS)
HOUR_MS = 3_600_000

offsets = st.integers(-720, 840)
moments = st.integers(0, 60 * DAY_MS)


def test_the_gap_follows_the_time_out() -> None:
    """Ten seconds without a listener are a break, or a third of a short time-out."""
    assert gap_ms(180_000) == 10_000
    assert gap_ms(1500) == 500


def test_decisions() -> None:
    """Each reason for which nobody is judged, and where somebody is."""
    fine = Look(1_000_000, 999_000, 0, 1, 1_000_000 - TIMEOUT_MS, 999_000)
    assert decide(fine, TIMEOUT_MS).work
    assert decide(fine, TIMEOUT_MS).cutoff_ms == 1_000_000 - TIMEOUT_MS
    for held in (
        Look(1_000_000, None, 0, 1, 1, 1),  # nobody ever listened
        Look(1_000_000, 1_000_000 - GAP_MS - 1, 0, 1, 1, 1),  # nobody does now
        Look(1_000_000, 999_000, 1_000_001, 1, 1, 1),  # somebody does again, for less than a time-out
        Look(1_000_000, 1_000_000 + GAP_MS + 1, 0, 1, 1, 1),  # the clock was set back
    ):
        assert decide(held, TIMEOUT_MS).held
        assert decide(held, TIMEOUT_MS).cutoff_ms == 0
        assert not decide(held, TIMEOUT_MS).work
    assert decide(Look(1_000_000, 999_000, 0, 1, 990_000, 1_100_000), TIMEOUT_MS).work  # a time that is to come
    assert next_look_s(fine, TIMEOUT_MS, 0.5) == 0.0
    assert next_look_s(Look(0, 0, 0, 0, None, None), TIMEOUT_MS, 0.5) == 0.5


@dataclass
class Shard:
    """What the functions of Redis keep, in Python, on a clock that can be set."""

    now: int = 10**12
    listened: int | None = None
    hold: int = 0
    heard: dict[int, int] = field(default_factory=dict)

    def listen(self) -> None:
        if self.listened is None or abs(self.now - self.listened) > GAP_MS:
            self.hold = self.now + TIMEOUT_MS
        self.listened = self.now

    def look(self) -> Look:
        times = self.heard.values()
        return Look(self.now, self.listened, self.hold, len(times), min(times, default=None), max(times, default=None))

    def report(self) -> set[int]:
        verdict = decide(self.look(), TIMEOUT_MS)
        for player, at in self.heard.items():
            if at > verdict.ahead_ms:
                self.heard[player] = self.now
        gone = {player for player, at in self.heard.items() if at <= verdict.cutoff_ms}
        for player in gone:
            del self.heard[player]
        return gone


class Truth:
    """A simple model: for each player, how long somebody listened in vain, by a clock that nobody sets."""

    def __init__(self) -> None:
        self.silent: dict[int, int] = {}

    def heard(self, player: int) -> None:
        self.silent[player] = 0

    def passed(self, ms: int) -> None:
        for player in self.silent:
            self.silent[player] += ms


steps = st.one_of(
    st.tuples(st.just("heard"), st.integers(0, 5)),
    st.tuples(st.just("listened"), st.integers(1, 90_000)),  # time passes, and somebody listens every second of it
    st.tuples(st.just("away"), st.integers(1, 5 * TIMEOUT_MS)),  # time passes, and nobody does
    st.tuples(st.just("set"), st.integers(-5 * HOUR_MS, 5 * HOUR_MS)),  # the clock is set
)


@settings(max_examples=100, deadline=None)
@given(st.lists(steps, max_size=30))
def test_a_shard_beside_a_simple_model(plan: list[tuple[str, int]]) -> None:
    """Whatever the clock does and however long Redis is away: nobody is reported who was not silent for a time-out
    (less what a step of the clock below the gap hides) while somebody listened, and whoever stays silent is reported.
    """
    shard, truth = Shard(), Truth()
    shard.listen()

    def report() -> None:
        for player in shard.report():
            silent = truth.silent.pop(player)
            assert silent >= TIMEOUT_MS - hidden, (player, silent)

    hidden = 0  # by steps of the clock that are smaller than the gap
    for kind, value in plan:
        if kind == "heard":
            shard.listen()
            shard.heard[value] = shard.now
            truth.heard(value)
        elif kind == "listened":
            for ms in [1000] * (value // 1000) + [value % 1000]:
                shard.now += ms
                truth.passed(ms)
                shard.listen()
                report()
        elif kind == "away":
            shard.now += value
            if value <= GAP_MS:
                truth.passed(value)
        else:
            shard.now += value
            hidden += max(0, value) if abs(value) <= 2 * GAP_MS else 0
        report()
    for _ in range(3 * TIMEOUT_MS // 1000 + hidden // 1000 + 2):
        shard.now += 1000
        truth.passed(1000)
        shard.listen()
        report()
    assert not shard.heard
    assert not truth.silent


@given(moments, st.integers(-DAY_MS, 60 * DAY_MS), offsets)
def test_a_session_is_all_in_its_days(began: int, lasted: int, offset: int) -> None:
    """Its days sum up to how long it lasted, none to more than a day; one that ended before it began has none."""
    days = days_of(began, began + lasted, offset)
    assert sum(days.values()) == max(0, min(lasted, KEPT_DAYS * DAY_MS))
    assert all(0 < ms <= DAY_MS for ms in days.values())
    assert list(days) == sorted(days)


@given(moments, st.lists(st.integers(1, DAY_MS), min_size=1, max_size=10), offsets)
def test_days_do_not_depend_on_how_sessions_are_cut(began: int, parts: list[int], offset: int) -> None:
    """Play-time by day is the same for one session and for its parts, the last of them still running."""
    stored: dict[int, int] = {}
    at = began
    for part in parts[:-1]:
        stored = played(stored, Session("duel", at, at + part), offset)
        at += part
    running = Session("duel", at, at + parts[-1])
    assert played(stored, running, offset) == days_of(began, began + sum(parts), offset)
