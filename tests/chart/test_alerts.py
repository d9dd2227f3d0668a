"""The alerts as Prometheus sees them: promtool reads the rendered rules, and plays series to them that fire, or do not.

A table: for each alert the series of a bad time, what whoever is woken reads, and the series of a time that is just
good enough. Samples lie 15 s apart, and the bad time is looked at after as many as the alert waits for, and a few more.
"""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.chart.alert_times import CASES, SAMPLES, Case
from tests.chart.rendered import Document, Render, pick

PROMTOOL = shutil.which("promtool")
STEP_S = 15


@pytest.fixture
def rules(rendered: Render, tmp_path: Path) -> tuple[Path, list[Document]]:
    """The rules as a file that Prometheus reads, and as documents."""
    spec = pick(rendered("--set", "monitoring.rules.enabled=true"), "PrometheusRule", "muster-alerts")["spec"]
    path = tmp_path / "rules.yaml"
    path.write_text(yaml.safe_dump(spec))
    return path, [rule for group in spec["groups"] for rule in group["rules"]]


def promtool(*arguments: str | Path) -> str:
    """What promtool says. Fails with it where promtool does."""
    if PROMTOOL is None:
        pytest.skip("no promtool here: apt-get install prometheus")
    done = subprocess.run([PROMTOOL, *map(str, arguments)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_prometheus_takes_the_rules(rules: tuple[Path, list[Document]]) -> None:
    """It parses every expression and every template of a text; no two rules are the same."""
    path, found = rules
    assert f"SUCCESS: {len(found)} rules found" in promtool("check", "rules", "--lint-fatal", path)


def test_every_alert_fires_in_a_bad_time_and_in_no_other(rules: tuple[Path, list[Document]], tmp_path: Path) -> None:
    """The whole table, and every alert is in it; a bad time that has not lasted long enough wakes nobody."""
    path, found = rules
    by_name = {rule["alert"]: rule for rule in found if "alert" in rule}
    assert [case.alert for case in CASES] == list(by_name)
    tests = [one for case in CASES for one in played(case, by_name[case.alert])]
    plan = tmp_path / "plan.yaml"
    plan.write_text(yaml.safe_dump({"rule_files": [path.name], "evaluation_interval": f"{STEP_S}s", "tests": tests}))
    promtool("test", "rules", plan)


def played(case: Case, rule: Document) -> list[Document]:
    """promtool's tests of an alert: its bad time, before and after it has lasted long enough, and its good one."""
    lasts_s = int(rule.get("for", "0m").removesuffix("m")) * 60
    alert = {
        "exp_labels": {"severity": case.severity, **case.labels, **case.namespace},
        "exp_annotations": rule["annotations"] | {"summary": case.summary},
    }

    def look(at_s: int, *alerts: Document) -> Document:
        return {"eval_time": f"{at_s}s", "alertname": case.alert, "exp_alerts": list(alerts)}

    # A rate needs two samples; what asks how long something lasts begins at the first.
    late = look(lasts_s + 2 * STEP_S, alert)
    early = [look(lasts_s - STEP_S)] if lasts_s else []
    return [lesson(case.fires, *early, late), lesson(case.quiet, look(lasts_s + 2 * STEP_S), look(STEP_S * SAMPLES))]


def lesson(series: dict[str, str], *looks: Document) -> Document:
    """One of promtool's tests."""
    given: list[dict[str, Any]] = [{"series": name, "values": values} for name, values in series.items()]
    return {"interval": f"{STEP_S}s", "input_series": given, "alert_rule_test": list(looks)}
