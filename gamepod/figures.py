"""What a game server tells about itself: with each beat for the operator page, and to whoever scrapes its metrics."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from core.times import Trips
from gamepod.attendance import Attendance
from gamepod.flush import Flusher
from gamepod.flush_stats import ACK_S
from gamepod.metrics import Metric, histogram, labelled, one
from gamepod.outcome import Game
from gamepod.pacer import LATENESS_S

if TYPE_CHECKING:
    from gamepod.arena_game import ArenaGame


def figures(game: Game, flusher: Flusher) -> dict[str, Any]:
    """For the page. Times in milliseconds, counts since the start."""
    return {
        **game.figures(),
        "interactions": flusher.backlog.accepted,
        "interactions_waiting": flusher.backlog.interactions,
        "interactions_dropped": flusher.backlog.dropped,
        "flush_lag_ms": round(flusher.lag_s() * 1000, 1),
    }


def metrics(game: Game, flusher: Flusher, trips: Trips, attendance: Attendance, running: bool) -> list[Metric]:
    """For Prometheus."""
    ready = one("muster_gamepod_ready", "gauge", "1 while players may join.", int(running))
    beats = one("muster_heartbeats_total", "counter", "Heartbeats that Redis has, of players here.", attendance.landed)
    return [ready, beats, *_redis(trips), *_flush(flusher), *game.metrics()]


def _redis(trips: Trips) -> list[Metric]:
    took = trips.took
    return [
        histogram(
            "muster_redis_round_trip_seconds",
            "Round trips to Redis that came back, pipelines as one.",
            took.bounds,
            took.counts,
            took.total_s,
        ),
        one("muster_redis_errors_total", "counter", "Round trips to Redis that did not come back.", trips.failed),
    ]


def _flush(flusher: Flusher) -> list[Metric]:
    stats, backlog = flusher.stats, flusher.backlog
    away_s = 0.0 if stats.away_since_s is None else time.monotonic() - stats.away_since_s
    return [
        one("muster_interactions_total", "counter", "Interactions taken in.", backlog.accepted),
        one("muster_interactions_written_total", "counter", "Interactions acknowledged by the log.", stats.written),
        one("muster_interactions_dropped_total", "counter", "Interactions dropped, the buffer full.", backlog.dropped),
        one("muster_events_dropped_total", "counter", "Events dropped, the buffer full.", backlog.events_dropped),
        one("muster_flush_batches_total", "counter", "Batches acknowledged by the log.", stats.batches),
        one("muster_flush_failures_total", "counter", "Calls to Redis that failed and are repeated.", stats.failures),
        one("muster_flush_waiting_interactions", "gauge", "Interactions not yet in the log.", backlog.interactions),
        one("muster_flush_waiting_bytes", "gauge", "Memory that they take.", backlog.bytes),
        one("muster_flush_lag_seconds", "gauge", "Age of the oldest of them.", flusher.lag_s()),
        histogram(
            "muster_flush_ack_seconds",
            "Age of a batch's oldest interaction when the log had acknowledged it.",
            ACK_S,
            stats.acks,
            stats.ack_s,
        ),
        one(
            "muster_flush_again_total", "counter", "Acknowledged by Redis, lost by it, and written again.", stats.again
        ),
        one("muster_log_unread_total", "counter", "Batches trimmed before a reader had read them.", stats.unread),
        one("muster_log_readers_dropped_total", "counter", "Silent readers dropped.", stats.readers_dropped),
        one("muster_redis_away_seconds", "gauge", "How long Redis has not answered; 0 while it does.", away_s),
    ]


def arena(game: ArenaGame) -> list[Metric]:
    """Those of the arena."""
    stats, pacer = game.gateway.stats, game.pacer
    found = [
        one("muster_arena_ticks_total", "counter", "Ticks played.", game.ticks),
        one("muster_arena_players", "gauge", "Players connected.", game.gateway.clients),
        one("muster_arena_messages_total", "counter", "Messages of clients read.", stats.messages),
        labelled("muster_arena_bad_messages_total", "counter", "Messages that were none.", "kind", stats.bad_messages),
        one("muster_arena_strangers_total", "counter", "Datagrams of strangers, ignored.", stats.strangers),
        one("muster_arena_rate_limited_total", "counter", "Messages over a client's rate.", stats.rate_limited),
        one("muster_arena_joins_total", "counter", "Joins granted.", stats.joins),
        labelled("muster_arena_joins_refused_total", "counter", "Joins refused.", "reason", stats.joins_refused),
        labelled("muster_arena_commands_refused_total", "counter", "Commands refused.", "reason", game.refused),
        one("muster_arena_commands_repeated_total", "counter", "Commands that came again, skipped.", game.repeated),
        one("muster_arena_snapshots_total", "counter", "Snapshots sent.", stats.snapshots_sent),
        one("muster_arena_snapshots_dropped_total", "counter", "Dropped for slow readers.", stats.snapshots_dropped),
    ]
    if pacer is not None:
        found += [
            one("muster_arena_ticks_late_total", "counter", "Ticks a period or more behind.", pacer.late),
            one("muster_arena_ticks_skipped_total", "counter", "Ticks given up, far behind.", pacer.skipped),
            histogram(
                "muster_arena_tick_lateness_seconds",
                "How late ticks began.",
                LATENESS_S,
                pacer.lateness,
                pacer.lateness_s,
            ),
        ]
    return found
