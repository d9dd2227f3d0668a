"""Benches are run by hand and seldom: what they import of the services must still be there."""

from __future__ import annotations

import importlib
import pkgutil

import pytest

import bench
from bench.__main__ import HELPERS


@pytest.mark.parametrize("name", sorted({module.name for module in pkgutil.iter_modules(bench.__path__)} - HELPERS))
def test_a_bench_can_be_loaded(name: str) -> None:
    """Nothing that it names has gone or moved."""
    assert callable(importlib.import_module(f"bench.{name}").main)
