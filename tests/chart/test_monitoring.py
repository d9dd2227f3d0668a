"""Alerts and dashboards: they ask for metrics that the services really have, with labels these really carry."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.chart.rendered import ALL, CHART, ROOT, Document, Render, pick
from tools import draw_metrics, draw_rules

DASHBOARDS = sorted((CHART / "dashboards").glob("*.json"))
NAME = re.compile(r"(?<![a-z:])muster_[a-z0-9_]+\b(?!:)")  # not a recording, which is checked where it is made
RULES: list[Document] = [rule for group in yaml.safe_load(draw_rules.text())["groups"] for rule in group["rules"]]
ALERTS = [rule for rule in RULES if "alert" in rule]
RUNBOOKS = ROOT / "docs" / "runbooks.md"
KNOWN = draw_metrics.families()
# What Prometheus and the chart's monitors add to every metric.
ADDED = {"namespace", "pod", "job", "instance", "game", "le"}


def queries() -> Iterator[tuple[str, str]]:
    """Each query with where it stands."""
    for path in DASHBOARDS:
        for panel in json.loads(path.read_text())["panels"]:
            yield from ((f"{path.name}: {panel['title']}", target["expr"]) for target in panel["targets"])
    for rule in RULES:
        yield rule.get("alert") or rule["record"], rule["expr"]
    for rule in yaml.safe_load((CHART / "files" / "prometheus-adapter.yaml").read_text())["rules"]["external"]:
        series = rule["seriesQuery"].partition("{")[0]
        query = rule["metricsQuery"].replace("<<.Series>>", series)
        yield rule["name"]["as"], query.replace("<<.LabelMatchers>>", 'namespace="games"')


def test_queries_ask_for_metrics_that_exist() -> None:
    """A panel or an alert of a metric that nobody has would be silent for ever."""
    known = KNOWN
    asked = list(queries())
    assert len(asked) > 40
    assert not [(where, name) for where, query in asked for name in NAME.findall(query) if name not in known]


def test_queries_use_labels_that_exist() -> None:
    """The same for labels, in selectors and in groupings."""
    known = KNOWN
    for where, query in queries():
        labels = {label for name in NAME.findall(query) for label in known[name]} | ADDED
        used = re.findall(r"[{,]\s*(\w+)\s*=", query)
        used += [label.strip() for group in re.findall(r"\bby \(([^)]*)\)", query) for label in group.split(",")]
        assert not set(used) - labels, f"{where}: {query}"


def test_alert_texts_name_metrics_and_settings_that_exist() -> None:
    """Whoever is woken by one follows its description."""
    text = (CHART / "files" / "alerts.yaml").read_text()
    known = KNOWN
    assert not [name for name in NAME.findall(text) if name not in known and f"{name}_count" not in known]
    settings = (ROOT / "docs" / "settings.md").read_text()
    assert not [name for name in re.findall(r"\bMUSTER_[A-Z_]+", text) if f"`{name}`" not in settings]


def test_alerts_say_what_and_what_to_do(rendered: Render) -> None:
    """Each has a severity, a summary and a description, and the thresholds of the values."""
    rule = pick(rendered("--values", str(ALL)), "PrometheusRule", "everything-alerts")
    alerts: list[dict[str, Any]] = [it for it in rule["spec"]["groups"][1]["rules"] if "alert" in it]
    assert len({alert["alert"] for alert in alerts}) == len(alerts)
    for alert in alerts:
        assert alert["labels"]["severity"] in ("warning", "critical")
        assert set(alert["annotations"]) == {"summary", "description", "runbook_url"}
        assert alert["annotations"]["runbook_url"] == f"https://docs.example/runbooks#{alert['alert'].lower()}"
    assert next(a for a in alerts if a["alert"] == "MusterQueueStuck")["expr"].endswith("> 120")


def test_recordings_that_are_used_are_made() -> None:
    """An alert, or a panel, on a recording that nobody makes would be silent for ever."""
    made = {rule["record"] for rule in RULES if "record" in rule}
    used = {name for _, query in queries() for name in re.findall(r"\b[a-z_]+:muster_[a-z0-9_]+:[a-z0-9_]+", query)}
    assert used
    assert used <= made


def test_every_alert_has_a_runbook() -> None:
    """The anchor in its `runbook_url` is a heading of the page, whose section says what to look at and what to do."""
    sections = dict(re.findall(r"^## (\w+)\n(.*?)(?=^## |\Z)", RUNBOOKS.read_text(), re.MULTILINE | re.DOTALL))
    assert {f"docs/runbooks.md#{name.lower()}" for name in sections} == {
        alert["annotations"]["runbook_url"] for alert in ALERTS
    }
    for name, text in sections.items():
        for part in ("**Means.**", "**Look.**", "**Do.**"):
            assert part in text, f"{name}: {part}"
    named = NAME.findall(RUNBOOKS.read_text())
    assert not [name for name in named if name not in KNOWN and f"{name}_count" not in KNOWN]


def test_what_is_watched_first_is_on_a_dashboard() -> None:
    """Queues, starts, ticks, streams, presence, packs, HTTP, Redis, brokers and what reads them are all to be seen."""
    shown = {name for where, query in queries() if ".json" in where for name in NAME.findall(query)}
    wanted = {
        "muster_queue_tickets", "muster_queue_oldest_wait_seconds", "muster_time_to_match_seconds_bucket",
        "muster_time_to_playable_seconds_bucket", "muster_claims_refused_total", "muster_launches_total",
        "muster_servers", "muster_arena_ticks_late_total", "muster_flush_lag_seconds", "muster_log_reader_lag_seconds",
        "muster_heartbeats_total", "muster_presence_late_seconds_bucket", "muster_packs_waiting",
        "muster_http_requests_total", "muster_redis_round_trip_seconds_bucket", "muster_sink_lag_seconds",
        "muster_sink_waiting_entries", "muster_intake_reading", "muster_intake_dead_total",
        "muster_analytics_lag_seconds", "muster_analytics_flags_total",
    }  # fmt: skip
    assert wanted <= KNOWN.keys()
    assert wanted <= shown


@pytest.mark.parametrize("path", DASHBOARDS, ids=lambda path: path.stem)
def test_dashboards_are_whole(path: Path, rendered: Render) -> None:
    """They arrive as they are written, choose their data source, and no panel covers another."""
    board = json.loads(path.read_text())
    arrived = pick(rendered("--values", str(ALL)), "ConfigMap", "everything-dashboards")["data"][path.name]
    assert json.loads(arrived) == board
    assert [variable["name"] for variable in board["templating"]["list"]] == ["datasource", "namespace"]
    places = [tuple(panel["gridPos"][key] for key in "xy") for panel in board["panels"]]
    assert len(set(places)) == len(places)
    assert len({panel["id"] for panel in board["panels"]}) == len(places)


def test_the_test_pod_fails_where_the_api_says_something_else() -> None:
    """`helm test` would be worth nothing if it could not fail."""
    script = (CHART / "files" / "status.py").read_text()
    done = subprocess.run(
        [sys.executable, "-c", script],
        env={"API": "http://127.0.0.1:1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert "http://127.0.0.1:1/status" in done.stderr
