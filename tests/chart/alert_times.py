"""When each alert fires and when it does not: the table that test_alerts.py plays to promtool."""

from __future__ import annotations

from dataclasses import dataclass, field

SAMPLES = 80  # 20 minutes

# What the chart's monitors add to every series: of one pod, and of another in the same namespace.
ONE, TWO = 'namespace="games",pod="one"', 'namespace="games",pod="two"'
REQUESTS = "muster_http_requests_total"
TRIPS = "muster_redis_round_trip_seconds_bucket"
SECONDS = "muster_http_request_seconds_bucket"
LATE = "muster_arena_ticks_late_total"


@dataclass(frozen=True)
class Case:
    """An alert, its labels beside severity and namespace, and its two times."""

    alert: str
    summary: str
    fires: dict[str, str]  # series -> its values, as promtool writes them
    quiet: dict[str, str]
    severity: str = "warning"
    labels: dict[str, str] = field(default_factory=dict)
    namespace: dict[str, str] = field(default_factory=lambda: {"namespace": "games"})


def flat(value: float) -> str:
    """A gauge that stays."""
    return f"{value}x{SAMPLES}"


def rising(by: float) -> str:
    """A counter that rises by so much in each 15 s."""
    return f"0+{by}x{SAMPLES}"


CASES = [
    Case(
        "MusterQueueStuck",
        "A ticket of tanks waits for 5m 1s",
        {
            f'muster_queue_oldest_wait_seconds{{game="tanks",{ONE}}}': flat(301),
            f'muster_queue_oldest_wait_seconds{{game="chess",{ONE}}}': flat(1),
        },
        {f'muster_queue_oldest_wait_seconds{{game="tanks",{ONE}}}': flat(300)},
        labels={"game": "tanks"},
    ),
    Case(
        "MusterNoMatchmaker",
        "No matchmaker is seen",
        {},
        {f"muster_leases_held{{{ONE}}}": flat(0)},
        severity="critical",
        namespace={},
    ),
    Case(
        "MusterNoApi",
        "No webapi is seen",
        {},
        {f"muster_password_hashes{{{ONE}}}": flat(0)},
        severity="critical",
        namespace={},
    ),
    Case(
        "MusterPacksLate",
        "A pack of commands of village waits for 1m 1s",
        {
            f'muster_packs_oldest_seconds{{game="village",{ONE}}}': flat(61),
            f'muster_packs_oldest_seconds{{game="farm",{ONE}}}': flat(1),
        },
        {f'muster_packs_oldest_seconds{{game="village",{ONE}}}': flat(60)},
        labels={"game": "village"},
    ),
    Case(
        "MusterMatchesFail",
        "10 % of matches fail",
        {
            f'muster_matches_failed_total{{game="tanks",reason="never_ready",{ONE}}}': rising(1),
            f'muster_matches_claimed_total{{game="tanks",{ONE}}}': rising(4),
            f'muster_matches_claimed_total{{game="tanks",{TWO}}}': rising(6),
        },
        {
            f'muster_matches_failed_total{{game="tanks",reason="never_ready",{ONE}}}': rising(1),
            f'muster_matches_claimed_total{{game="tanks",{ONE}}}': rising(20),
        },
    ),
    Case(
        "MusterLaunchesRefused",
        "Starts of servers end as refused",
        {f'muster_launches_total{{outcome="refused",{ONE}}}': rising(1)},
        {f'muster_launches_total{{outcome="started",{ONE}}}': rising(1)},
        labels={"outcome": "refused"},
    ),
    Case(
        "MusterMatchmakerErrors",
        "The matchmaker fails at working tanks",
        {f'muster_errors_total{{game="tanks",{ONE}}}': rising(1)},
        {f'muster_errors_total{{game="tanks",{ONE}}}': flat(3)},
        labels={"game": "tanks"},
    ),
    Case(
        "MusterApiErrors",
        "5% of requests to the API fail",
        {f'{REQUESTS}{{status="503",{ONE}}}': rising(5), f'{REQUESTS}{{status="200",{TWO}}}': rising(95)},
        {f'{REQUESTS}{{status="404",{ONE}}}': rising(50), f'{REQUESTS}{{status="200",{TWO}}}': rising(50)},
        severity="critical",
    ),
    Case(
        "MusterApiSlow",
        "The slowest hundredth of requests takes 950ms",
        {
            f'{SECONDS}{{le="0.5",{ONE}}}': rising(90),
            f'{SECONDS}{{le="1.0",{ONE}}}': rising(100),
            f'{SECONDS}{{le="+Inf",{ONE}}}': rising(100),
        },
        {
            f'{SECONDS}{{le="0.5",{ONE}}}': rising(100),
            f'{SECONDS}{{le="1.0",{ONE}}}': rising(100),
            f'{SECONDS}{{le="+Inf",{ONE}}}': rising(100),
        },
    ),
    Case(
        "MusterRedisErrors",
        "Redis is not reached",
        {f"muster_redis_errors_total{{{ONE}}}": rising(1)},
        {f"muster_redis_errors_total{{{ONE}}}": flat(9)},
        severity="critical",
    ),
    Case(
        "MusterInteractionsDropped",
        "Game servers lose interactions",
        {f"muster_interactions_dropped_total{{{ONE}}}": rising(1)},
        {f"muster_interactions_dropped_total{{{ONE}}}": flat(0)},
        severity="critical",
    ),
    Case(
        "MusterFlushLag",
        "Interactions wait 6s for Redis",
        {f"muster_flush_lag_seconds{{{ONE}}}": flat(6), f"muster_flush_lag_seconds{{{TWO}}}": flat(0)},
        {f"muster_flush_lag_seconds{{{ONE}}}": flat(5)},
    ),
    Case(
        "MusterLogUnread",
        "A reader of the log of interactions loses batches",
        {f"muster_log_unread_total{{{ONE}}}": rising(1)},
        {f"muster_log_unread_total{{{ONE}}}": flat(7)},
        severity="critical",
    ),
    Case(
        "MusterLogReaderDropped",
        "A reader of the log was silent for an hour and is dropped",
        {f"muster_log_readers_dropped_total{{{ONE}}}": rising(1)},
        {f"muster_log_readers_dropped_total{{{ONE}}}": flat(1)},
    ),
    Case(
        "MusterTicksLate",
        "Servers of tanks do not keep their tick",
        {f'{LATE}{{game="tanks",{ONE}}}': rising(300), f'{LATE}{{game="tanks",{TWO}}}': rising(300)},
        {f'{LATE}{{game="tanks",{ONE}}}': rising(15), f'{LATE}{{game="chess",{TWO}}}': rising(15)},
        labels={"game": "tanks"},
    ),
    Case(
        "MusterRedisSlow",
        "Redis answers webapi within 235ms",
        {
            f'{TRIPS}{{job="webapi",le="0.1",{ONE}}}': rising(90),
            f'{TRIPS}{{job="webapi",le="0.25",{ONE}}}': rising(100),
            f'{TRIPS}{{job="webapi",le="+Inf",{ONE}}}': rising(100),
            f'{TRIPS}{{job="matchmaker",le="0.1",{ONE}}}': rising(100),
            f'{TRIPS}{{job="matchmaker",le="+Inf",{ONE}}}': rising(100),
        },
        {
            f'{TRIPS}{{job="webapi",le="0.1",{ONE}}}': rising(100),
            f'{TRIPS}{{job="webapi",le="+Inf",{ONE}}}': rising(100),
        },
        labels={"job": "webapi"},
    ),
    Case(
        "MusterPresenceLate",
        "Players are reported offline 2.35s late",
        {
            f'muster_presence_late_seconds_bucket{{le="1.0",{ONE}}}': rising(90),
            f'muster_presence_late_seconds_bucket{{le="2.5",{ONE}}}': rising(100),
            f'muster_presence_late_seconds_bucket{{le="+Inf",{ONE}}}': rising(100),
        },
        {
            f'muster_presence_late_seconds_bucket{{le="1.0",{ONE}}}': rising(100),
            f'muster_presence_late_seconds_bucket{{le="+Inf",{ONE}}}': rising(100),
        },
    ),
    Case(
        "MusterHeartbeatsLost",
        "Heartbeats of players do not reach Redis",
        {f"muster_heartbeats_lost_total{{{ONE}}}": rising(1)},
        {f"muster_heartbeats_lost_total{{{ONE}}}": flat(4)},
    ),
    Case(
        "MusterLogReaderBehind",
        "archive is 2m 1s behind in the log of tanks",
        {
            f'muster_log_reader_lag_seconds{{game="tanks",reader="archive",{ONE}}}': flat(121),
            f'muster_log_reader_lag_seconds{{game="tanks",reader="kafka",{ONE}}}': flat(0),
        },
        {f'muster_log_reader_lag_seconds{{game="tanks",reader="archive",{ONE}}}': flat(120)},
        labels={"game": "tanks", "reader": "archive"},
    ),
    Case(
        "MusterSinkAway",
        "Events cannot be carried to kafka",
        {
            f'muster_sink_connected{{sink="kafka",{ONE}}}': flat(0),
            f'muster_sink_connected{{sink="rabbitmq",{ONE}}}': flat(1),
        },
        # One of two carriers is enough.
        {
            f'muster_sink_connected{{sink="kafka",{ONE}}}': flat(0),
            f'muster_sink_connected{{sink="kafka",{TWO}}}': flat(1),
        },
        labels={"sink": "kafka"},
    ),
    Case(
        "MusterSinkBehind",
        "Events reach kafka 1m 1s late",
        {f'muster_sink_lag_seconds{{sink="kafka",{ONE}}}': flat(61)},
        {f'muster_sink_lag_seconds{{sink="kafka",{ONE}}}': flat(60)},
        labels={"sink": "kafka"},
    ),
    Case(
        "MusterEventsLost",
        "Events were trimmed before kafka had them",
        {f'muster_sink_lost_batches_total{{sink="kafka",{ONE}}}': rising(1)},
        {f'muster_sink_lost_batches_total{{sink="kafka",{ONE}}}': flat(5)},
        severity="critical",
        labels={"sink": "kafka"},
    ),
    Case(
        "MusterIntakeAway",
        "Nobody reads the queue player_commands",
        {
            f'muster_intake_reading{{queue="player_commands",{ONE}}}': flat(0),
            f'muster_intake_reading{{queue="matchmaking_events",{ONE}}}': flat(1),
        },
        # Of two one reads.
        {
            f'muster_intake_reading{{queue="player_commands",{ONE}}}': flat(0),
            f'muster_intake_reading{{queue="player_commands",{TWO}}}': flat(1),
        },
        labels={"queue": "player_commands"},
    ),
    Case(
        "MusterIntakeDead",
        "Messages of player_commands go on to be dead letters: bad-form",
        {f'muster_intake_dead_total{{queue="player_commands",reason="bad-form",{ONE}}}': rising(1)},
        # What a game does not allow, and what comes too late, is no fault of anybody.
        {
            f'muster_intake_dead_total{{queue="player_commands",reason="bad-form",{ONE}}}': flat(12),
            f'muster_intake_dead_total{{queue="player_commands",reason="refused",{ONE}}}': rising(5),
        },
        labels={"queue": "player_commands", "reason": "bad-form"},
    ),
    Case(
        "MusterAnalyticsAway",
        "Nobody counts events from redis",
        # It ran, and is gone.
        {f'muster_analytics_connected{{source="redis",{ONE}}}': f"1 stale _x{SAMPLES}"},
        {
            f'muster_analytics_connected{{source="redis",{ONE}}}': flat(0),
            f'muster_analytics_connected{{source="redis",{TWO}}}': flat(1),
        },
        labels={"source": "redis"},
    ),
    Case(
        "MusterAnalyticsBehind",
        "Events are counted 1m 1s late",
        {
            f'muster_analytics_lag_seconds{{source="redis",{ONE}}}': flat(61),
            f'muster_analytics_lag_seconds{{source="redis",{TWO}}}': flat(0),
        },
        {f'muster_analytics_lag_seconds{{source="redis",{ONE}}}': flat(60)},
        labels={"source": "redis"},
    ),
    Case(
        "MusterServersOrphaned",
        "30 servers without a match were ended in a quarter of an hour",
        {f"muster_servers_orphaned_total{{{ONE}}}": "0+15x80"},
        {f"muster_servers_orphaned_total{{{ONE}}}": flat(20)},
    ),
    Case(
        "MusterWebhooksDead",
        "Deliveries to the webhook of tanks were given up",
        {f'muster_webhook_dead{{game="tanks",{ONE}}}': flat(1)},
        {f'muster_webhook_dead{{game="tanks",{ONE}}}': flat(0)},
        labels={"game": "tanks"},
    ),
]
