"""A Redis of one's own, as a process."""

from __future__ import annotations

import ctypes.util
from pathlib import Path

import pytest

from core.redis.embedded import _jemalloc, allocator, embedded_redis, find_server
from tests.support import free_port


def test_it_uses_jemalloc_where_the_machine_has_it(tmp_path: Path) -> None:
    """And the C library's allocator elsewhere: no machine needs another."""
    found = ctypes.util.find_library("jemalloc")
    assert allocator() == ({"LD_PRELOAD": found} if found else {})
    with embedded_redis(tmp_path, free_port(), program=find_server()) as server:
        assert server.process is not None
        loaded = Path(f"/proc/{server.process.pid}/maps").read_text()
    assert ("libjemalloc" in loaded) == bool(found)


def test_what_is_preloaded_already_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    """Somebody chose it."""
    allocator()
    monkeypatch.setenv("LD_PRELOAD", "libother.so")
    assert allocator() == {}


def test_a_machine_without_jemalloc_needs_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The server starts as it is."""
    monkeypatch.setattr(ctypes.util, "find_library", lambda name: None)
    _jemalloc.cache_clear()
    try:
        assert allocator() == {}
        with embedded_redis(tmp_path, free_port(), program=find_server()) as server:
            assert server.process is not None
    finally:
        _jemalloc.cache_clear()
