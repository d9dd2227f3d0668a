"""Logs of servers stay in their bounds."""

from __future__ import annotations

import os
from pathlib import Path

from matchmaker.launch import logs


def test_a_long_log_loses_its_older_half(tmp_path: Path) -> None:
    """A log past its bound keeps its newest lines, and a server that holds it open goes on at its end."""
    path = logs.log_path(tmp_path, "m-1")
    with path.open("ab", buffering=0) as server:
        for number in range(2000):
            server.write(f"line {number}\n".encode())
        logs.sweep(tmp_path, {"m-1"}, log_bytes=4096, logs_kept=0)
        server.write(b"the end\n")
    text = path.read_text()
    assert len(text) < 4096
    assert text.startswith("[older lines were cut off]\nline ")
    assert text.endswith("line 1999\nthe end\n")


def test_only_the_newest_logs_are_kept(tmp_path: Path) -> None:
    """Of servers that are over the newest logs stay, of running ones all; lock files go with their logs."""
    for number in range(5):
        path = logs.log_path(tmp_path, f"m-{number}")
        path.write_text("words\n")
        path.with_suffix(".lock").touch()
        os.utime(path, (number, number))
    logs.sweep(tmp_path, {"m-0"}, log_bytes=4096, logs_kept=2)
    assert sorted(p.name for p in tmp_path.iterdir()) == [
        f"m-{n}.{kind}" for n in (0, 3, 4) for kind in ("lock", "log")
    ]


def test_tail(tmp_path: Path) -> None:
    """The last lines of a log, and none where there is no log."""
    path = logs.log_path(tmp_path, "m-1")
    path.write_text("".join(f"line {n}\n" for n in range(9000)))
    assert logs.tail(path, 2) == ["line 8998", "line 8999"]
    assert logs.tail(tmp_path / "none", 2) == []
