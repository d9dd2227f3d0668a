"""Benches are run by hand and seldom: what they import of the services must still be there."""

from __future__ import annotations

import importlib
import json
import pkgutil
from pathlib import Path

import pytest

import bench
from bench import kept
from bench.__main__ import HELPERS
from bench.harness import Report

BENCHES = sorted({module.name for module in pkgutil.iter_modules(bench.__path__)} - HELPERS)


@pytest.mark.parametrize("name", BENCHES)
def test_a_bench_can_be_loaded(name: str) -> None:
    """Nothing that it names has gone or moved."""
    assert callable(importlib.import_module(f"bench.{name}").main)


def test_a_run_of_every_bench_is_kept() -> None:
    """Each says where it was taken, and has a figure at least."""
    runs = kept.kept()
    assert [begun["bench"] for begun, _ in runs] == BENCHES
    assert all(begun["machine"] and lines for begun, lines in runs)


def test_what_is_kept_is_what_was_printed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A later run takes the place of the one before it, line by line as it was told."""
    monkeypatch.setattr(kept, "RESULTS", tmp_path / "results")
    for measured in (1.0, 3.0):
        report = Report("some")
        report.figure("so much", measured, "ms", at_most=2)
        report.figure("beside it", 7, "1/s")
        assert kept.keep(kept.head("some"), report.lines) == "some.jsonl"
    ((begun, lines),) = kept.kept()
    assert begun["bench"] == "some"
    assert lines == [json.loads(line) for line in report.lines]
    assert [(line["measured"], line["ok"]) for line in lines] == [(3.0, False), (7, None)]
