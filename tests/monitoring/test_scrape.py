"""A real Prometheus scrapes the running stack: every target is up, every rule and panel is evaluated on real series."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import urllib.request
from typing import Any

from tests.chart.test_monitoring import NAME, RULES, queries
from tests.monitoring.conftest import PORTS
from tests.monitoring.prometheus import Prometheus
from tests.seat import Seat
from tests.stack import ROOT, Stack, Ticket, Visit
from tests.support import eventually

JOBS = {"webapi", "matchmaker", "worker", "sinks", "intake", "analytics", "games"}
GAME = {
    "id": "watched", "server": {"arena": {"time_limit_s": 600, "score_limit": 0}},
    "rules": {
        "ruleLanguageVersion": "1.0",
        "playerAttributes": [{"name": "skill", "type": "number", "default": 10}],
        "teams": [{"name": "side", "minPlayers": 1, "maxPlayers": 1, "quantity": 2}],
        "rules": [
            {"name": "Near", "type": "batchDistance", "batchAttribute": "skill", "maxDistance": 50},
            {"name": "Fast", "type": "latency", "maxLatency": 300},
        ],
    },
    "rating": {},
    "supply": {"warm": {"servers": 1}},
}  # fmt: skip
# Series of these begin with the first time that something goes wrong.
ONLY_AFTER_AN_ERROR = {
    "muster_arena_joins_refused_total", "muster_arena_bad_messages_total",
    "muster_packs_troubles_total", "muster_packs_failures_total",
    "muster_presence_late_seconds_bucket", "muster_analytics_lost_total",
}  # fmt: skip
# And of these with the first use: of the relay, of a webhook, of a result, of a queue, of a cheat.
NOT_USED_HERE = {
    "muster_relay_ended_total", "muster_webhook_dead", "muster_webhook_waiting", "muster_matches_rated_total",
    "muster_intake_executed_total", "muster_intake_dead_total", "muster_analytics_flags_total",
}  # fmt: skip


async def test_everything_that_is_asked_for_is_there(
    stack: Stack, prometheus: Prometheus, beside: dict[str, int]
) -> None:
    """While a match runs. Targets, alerts, recordings, panels, autoscaling: none fails, none asks for what is not."""
    village = [sys.executable, str(ROOT / "examples" / "village" / "client.py"), "--url", stack.url, "--register"]
    packs = await asyncio.create_subprocess_exec(*village, stdout=subprocess.DEVNULL)  # a pack at least is executed
    async with stack.visit() as here:
        await here.register(GAME)
        near = [await ticket(here, 20) for _ in range(2)]
        await ticket(here, 900)  # a rule turns him away
        plays = [asyncio.create_task(Seat(here, it).play()) for it in near]
        try:
            await eventually(lambda: all_up(prometheus), within_s=240.0, every_s=0.5)
            check_conventions(stack, beside)
            await eventually(lambda: complete(prometheus), within_s=240.0, every_s=1.0)
            for where, query in queries():
                filled = query.replace("$namespace", "laptop").replace("$__rate_interval", "1m")
                assert prometheus.get("query", query=filled)["resultType"] == "vector", where
        except AssertionError as error:
            raise AssertionError(
                f"{error}\n{prometheus.targets()}\nno series: {sorted(missing(prometheus))}\n{prometheus.said()}"
                f"\n{stack.logs()}"
            ) from None
        finally:
            await packs.wait()
            for task in plays:
                task.cancel()
            await asyncio.gather(*plays, return_exceptions=True)


async def ticket(here: Visit, latency_ms: float) -> Ticket:
    """A guest's, who is so far from where matches are played."""
    player = await here.guest()
    body = {"game": GAME["id"], "latencies": {"eu": latency_ms}}
    made = await here.call("POST", "/v1/tickets", body, token=player.token)
    return Ticket(made["game"], made["id"], player)


async def all_up(prometheus: Prometheus) -> bool:
    """Whether every job has targets, and each could be scraped."""
    found = prometheus.targets()
    return found.keys() == JOBS and all(state == "up" for states in found.values() for state in states)


async def complete(prometheus: Prometheus) -> bool:
    """Whether the scrapes have brought all that is asked for."""
    return not missing(prometheus)


def missing(prometheus: Prometheus) -> set[str]:
    """Metrics that a rule or a panel asks for and that no scrape brought."""
    asked = {name for _, query in queries() for name in NAME.findall(query)}
    return asked - prometheus.names() - ONLY_AFTER_AN_ERROR - NOT_USED_HERE


async def test_prometheus_evaluates_every_rule(prometheus: Prometheus) -> None:
    """Those of the example, which are the chart's: each was evaluated, and none with an error."""

    def rules() -> list[dict[str, Any]]:
        return [rule for group in prometheus.get("rules")["groups"] for rule in group["rules"]]

    assert {rule["name"] for rule in rules()} == {rule.get("alert") or rule["record"] for rule in RULES}

    async def evaluated() -> bool:
        return all(rule["health"] != "unknown" for rule in rules())

    await eventually(evaluated)
    assert {rule["health"] for rule in rules()} == {"ok"}
    critical = [
        rule["name"]
        for rule in rules()
        if rule.get("labels", {}).get("severity") == "critical" and rule["state"] == "firing"
    ]
    assert critical == []


def check_conventions(stack: Stack, beside: dict[str, int]) -> None:
    """promtool finds nothing to complain of in what each service and a game server says: names, units, help, types."""
    own = [int(stack.env[name]) for name in PORTS.values()]
    with urllib.request.urlopen(f"http://127.0.0.1:{stack.env[PORTS['matchmaker']]}/targets") as answer:
        servers = [int(target.rpartition(":")[2]) for group in json.load(answer) for target in group["targets"]]
    assert servers
    for port in (*own, *beside.values(), *servers):
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics") as answer:
            text = answer.read()
        done = subprocess.run(["promtool", "check", "metrics"], input=text, capture_output=True, check=False)
        assert (done.returncode, done.stdout + done.stderr) == (0, b""), port
