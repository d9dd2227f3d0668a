"""What the matchmaker tells Prometheus: bounded labels, whatever games, rules and readers there are."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, generate_latest

from core.instruments import new_registry
from matchmaker.metrics import GAMES, READERS, RULES, Metrics


def samples(registry: CollectorRegistry) -> list[str]:
    """The lines of a scrape that are values."""
    return [line for line in generate_latest(registry).decode().splitlines() if not line.startswith("#")]


def test_a_thousand_games_are_fifty_and_the_rest() -> None:
    """Games, rules and readers beyond their bounds share a label; a scrape does not grow with them."""
    registry = CollectorRegistry()
    metrics = Metrics(registry)

    def play(games: int) -> int:
        for number in range(games):
            name = metrics.name(f"game-{number}")
            metrics.begin(name)
            metrics.oldest.labels(name).set(1)
            metrics.to_match.labels(name).observe(1)
            for rule in range(200):
                metrics.rejections.labels(name, metrics.rule(name, f"rule-{rule}")).inc()
            metrics.lags(name, {f"reader-{i}": float(i) for i in range(64)})
        return len(samples(registry))

    few = play(GAMES + 1)
    assert play(1000) == few
    by_rule = [line for line in samples(registry) if line.startswith('muster_rejections_total{game="game-0"')]
    assert len(by_rule) == RULES + 1
    lags = [line for line in samples(registry) if line.startswith('muster_log_reader_lag_seconds{game="game-0"')]
    assert len(lags) == READERS + 1
    assert 'reader="other"} 63.0' in "".join(lags)  # the furthest behind of those that are not named


def test_a_reader_that_left_is_not_behind_for_ever() -> None:
    """Nor are those of a game that another replica works."""
    registry = CollectorRegistry()
    metrics = Metrics(registry)
    metrics.lags(metrics.name("tanks"), {"archive": 5.0, "kafka": 1.0})
    metrics.lags("tanks", {"kafka": 2.0})
    shown = [line for line in samples(registry) if "reader_lag" in line]
    assert shown == ['muster_log_reader_lag_seconds{game="tanks",reader="kafka"} 2.0']
    metrics.forget("tanks")
    assert not [line for line in samples(registry) if "reader_lag" in line]


def test_what_was_never_counted_is_shown_as_0() -> None:
    """A rate begins with its second sample: the first refused launch would wake nobody."""
    registry = new_registry("matchmaker")
    metrics = Metrics(registry)
    metrics.begin(metrics.name("tanks"))
    shown = samples(registry)
    for line in (
        'muster_launches_total{outcome="refused"} 0.0',
        'muster_matches_failed_total{reason="never_ready"} 0.0',
        'muster_errors_total{game="tanks"} 0.0',
        'muster_claims_refused_total{game="tanks",why="taken"} 0.0',
    ):
        assert line in shown
    assert any(line.startswith('muster_build_info{service="matchmaker",version="') for line in shown)
