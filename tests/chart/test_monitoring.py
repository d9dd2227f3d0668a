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
from prometheus_client import CollectorRegistry

from gamepod.worker.metrics import Metrics as WorkerMetrics
from matchmaker.metrics import Metrics as MatchmakerMetrics
from tests.chart.rendered import ALL, CHART, ROOT, Render, pick
from webapi.metrics import Metrics as WebapiMetrics

DASHBOARDS = sorted((CHART / "dashboards").glob("*.json"))
NAME = re.compile(r"\bmuster_[a-z0-9_]+")
# What Prometheus and the chart's monitors add to every metric.
ADDED = {"namespace", "pod", "job", "instance", "game", "le"}


def existing() -> dict[str, set[str]]:
    """Every metric by its name as it is queried, with its labels."""
    registry = CollectorRegistry()
    MatchmakerMetrics(registry)
    found: dict[str, set[str]] = {}
    workers = CollectorRegistry()
    WorkerMetrics(workers)
    for source in (registry, workers, WebapiMetrics().registry):
        for collector, names in source._collector_to_names.items():
            labels = set(collector._labelnames)  # type: ignore[attr-defined]
            found |= dict.fromkeys(names, labels)
    return found | gamepod_metrics()


def gamepod_metrics() -> dict[str, set[str]]:
    """Those of game servers, which write the text format themselves: read from the code that does."""
    text = "".join((ROOT / "gamepod" / name).read_text() for name in ("figures.py", "metrics.py"))
    found: dict[str, set[str]] = {}
    for kind, name in re.findall(r'\b(one|labelled|histogram)\(\s*"(muster_[a-z_]+)"', text):
        suffixes = ("_bucket", "_sum", "_count") if kind == "histogram" else ("",)
        found |= {name + suffix: {"reason"} if kind == "labelled" else set() for suffix in suffixes}
    assert len(found) > 20, "the pattern above no longer fits the code"
    return found


def queries() -> Iterator[tuple[str, str]]:
    """Each query with where it stands."""
    for path in DASHBOARDS:
        for panel in json.loads(path.read_text())["panels"]:
            yield from ((f"{path.name}: {panel['title']}", target["expr"]) for target in panel["targets"])
    text = (CHART / "files" / "alerts.yaml").read_text()
    yield from re.findall(r"alert: (\w+)\n +expr: (?:>-\n)?(.*?)\n +(?:for|labels):", text, re.DOTALL)
    for rule in yaml.safe_load((CHART / "files" / "prometheus-adapter.yaml").read_text())["rules"]["external"]:
        series = rule["seriesQuery"].partition("{")[0]
        query = rule["metricsQuery"].replace("<<.Series>>", series)
        yield rule["name"]["as"], query.replace("<<.LabelMatchers>>", 'namespace="games"')


def test_queries_ask_for_metrics_that_exist() -> None:
    """A panel or an alert of a metric that nobody has would be silent for ever."""
    known = existing()
    asked = list(queries())
    assert len(asked) > 40
    assert not [(where, name) for where, query in asked for name in NAME.findall(query) if name not in known]


def test_queries_use_labels_that_exist() -> None:
    """The same for labels, in selectors and in groupings."""
    known = existing()
    for where, query in queries():
        labels = {label for name in NAME.findall(query) for label in known[name]} | ADDED
        used = re.findall(r"[{,]\s*(\w+)\s*=", query)
        used += [label.strip() for group in re.findall(r"\bby \(([^)]*)\)", query) for label in group.split(",")]
        assert not set(used) - labels, f"{where}: {query}"


def test_alert_texts_name_metrics_and_settings_that_exist() -> None:
    """Whoever is woken by one follows its description."""
    text = (CHART / "files" / "alerts.yaml").read_text()
    known = existing()
    assert not [name for name in NAME.findall(text) if name not in known]
    settings = (ROOT / "docs" / "settings.md").read_text()
    assert not [name for name in re.findall(r"\bMUSTER_[A-Z_]+", text) if f"`{name}`" not in settings]


def test_alerts_say_what_and_what_to_do(rendered: Render) -> None:
    """Each has a severity, a summary and a description, and the thresholds of the values."""
    rule = pick(rendered("--values", str(ALL)), "PrometheusRule", "everything-alerts")
    alerts: list[dict[str, Any]] = rule["spec"]["groups"][0]["rules"]
    assert len({alert["alert"] for alert in alerts}) == len(alerts)
    for alert in alerts:
        assert alert["labels"]["severity"] in ("warning", "critical")
        assert set(alert["annotations"]) == {"summary", "description"}
    assert next(a for a in alerts if a["alert"] == "MusterQueueStuck")["expr"].endswith("> 120")


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
