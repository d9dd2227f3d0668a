"""Files that are made from code say what the code says now."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tools import draw_bench, draw_chart, draw_events, draw_metrics, draw_rules, draw_settings

DRAWN = draw_chart.drawn()


@pytest.mark.parametrize("path", DRAWN, ids=lambda path: path.name)
def test_the_chart_s_files_are_as_its_source_has_them(path: Path) -> None:
    """values.yaml, values.schema.json and docs/chart.md are drawn from one source: `make docs` does it."""
    assert path.read_text() == DRAWN[path], f"{path.name} is stale: run `make docs`"


def test_settings_page_is_as_the_classes_have_them() -> None:
    """docs/settings.md is drawn from the settings classes: `make docs` does it."""
    assert draw_settings.PAGE.read_text() == draw_settings.page(), "docs/settings.md is stale: run `make docs`"


def test_every_option_has_a_default_and_a_meaning() -> None:
    """An option without either could not be drawn, or would say nothing."""
    for path, option in draw_chart.options(draw_chart.schema()):
        assert option["description"].endswith((".", "`")), path
        assert "default" in option, path


def test_unknown_options_are_refused_at_every_level() -> None:
    """What is misspelt is not ignored: each section is closed."""
    schema = json.loads(draw_chart.drawn()[draw_chart.CHART / "values.schema.json"])
    sections = [("", schema)]
    while sections:
        path, node = sections.pop()
        if "properties" in node:
            assert node.get("additionalProperties") is False, path
            sections += [(f"{path}.{name}", child) for name, child in node["properties"].items()]


def test_metrics_page_is_as_the_code_has_them() -> None:
    """docs/metrics.md is drawn from the registries of the services: `make docs` does it."""
    assert draw_metrics.PAGE.read_text() == draw_metrics.page(), "docs/metrics.md is stale: run `make docs`"


def test_rules_without_helm_are_the_chart_s() -> None:
    """examples/prometheus/rules.yaml is what the chart renders by default: `make docs` does it."""
    assert draw_rules.FILE.read_text() == draw_rules.text(), "rules.yaml is stale: run `make docs`"


def test_events_page_is_as_the_catalogue_has_them() -> None:
    """`make docs` was run after the last change of the catalogue."""
    assert draw_events.PAGE.read_text() == draw_events.page(), "docs/events.md is stale: run `make docs`"


def test_promises_page_is_as_the_kept_runs_have_them() -> None:
    """docs/promises.md is drawn from bench/results: `make docs` does it."""
    assert draw_bench.PAGE.read_text() == draw_bench.page(), "docs/promises.md is stale: run `make docs`"
