"""Settings, logs, metrics, the lock file, and what a game server leaves out."""

from __future__ import annotations

import fcntl
import json
import logging
from pathlib import Path

import pytest

from core.errors import Conflict, Misconfigured
from core.settings import from_env
from gamepod import log as logs
from gamepod.lock import match_lock
from gamepod.log import JsonLines
from gamepod.metrics import labelled, one, render
from gamepod.settings import Settings
from gamepod.slim import leave_out

GIVEN = {"MUSTER_GAME": "tanks", "MUSTER_MATCH": "m-1", "MUSTER_JOIN_KEY": "k"}


@pytest.mark.parametrize("missing", sorted(GIVEN))
def test_a_missing_setting_is_named(missing: str) -> None:
    """Started by hand without its environment, a game server says which variable is missing."""
    with pytest.raises(Misconfigured, match=missing):
        from_env(Settings, {name: value for name, value in GIVEN.items() if name != missing})


def test_a_strange_beat_is_refused_and_secrets_are_not_shown() -> None:
    """A flush every second hour would lose a match; keys and passwords stay out of logs."""
    with pytest.raises(Misconfigured, match="MUSTER_FLUSH_S"):
        from_env(Settings, {**GIVEN, "MUSTER_FLUSH_S": "7200"})
    for name in ("MUSTER_LOG_BATCHES", "MUSTER_BUFFER_INTERACTIONS", "MUSTER_BUFFER_BYTES"):
        with pytest.raises(Misconfigured, match=name):
            from_env(Settings, {**GIVEN, name: "0"})
    settings = from_env(Settings, {**GIVEN, "MUSTER_JOIN_KEY": "hidden", "REDIS_URL": "redis://:hidden@h"})
    assert "hidden" not in repr(settings)


def test_a_log_line_is_one_object_with_what_was_bound() -> None:
    """Extras and bound names are fields; a trace is one field too."""
    form = JsonLines()
    logs.bind(match="w-1", trace="1")
    logs.bind(match="m-1", trace="2")  # it was allocated
    try:
        raise ValueError("no")
    except ValueError as error:
        record = logging.LogRecord("x", logging.INFO, "f", 1, "did %s", ("it",), (ValueError, error, None))
    record.ports = {"a": 1}
    line = json.loads(form.format(record))
    assert line["event"] == "did it"
    assert (line["level"], line["match"], line["trace"], line["ports"]) == ("info", "m-1", "2", {"a": 1})
    assert line["exception"].endswith("ValueError: no")


def test_metrics_are_in_the_text_format() -> None:
    """Families have help and type, labels are escaped, and the page ends with a newline."""
    page = render([one("a_total", "counter", "As.", 2), labelled("b", "gauge", "Bs.", "why", {'x"\n': 1})])
    assert page.decode() == (
        '# HELP a_total As.\n# TYPE a_total counter\na_total 2\n# HELP b Bs.\n# TYPE b gauge\nb{why="x\\"\\n"} 1\n'
    )


def test_a_match_is_locked_once_at_a_time(tmp_path: Path) -> None:
    """A second holder is refused, another match is not, and the end frees it."""
    folder = str(tmp_path / "run")
    with match_lock(folder, "m-1") as path:
        assert path.read_text().strip().isdigit()
        with pytest.raises(Conflict), match_lock(folder, "m-1"):
            pass
        with match_lock(folder, "m-2"):
            pass
    assert not list((tmp_path / "run").iterdir())
    with match_lock(folder, "m-1"):
        pass


def test_a_lock_on_a_removed_file_is_no_lock(tmp_path: Path) -> None:
    """Whoever locks a file that its holder has just removed starts over: the next one finds another file."""
    (tmp_path / "m-1.lock").write_text("")
    real = fcntl.flock
    removed: list[int] = []

    def remove_first(handle: int, operation: int) -> None:
        real(handle, operation)
        if not removed:
            removed.append(handle)
            (tmp_path / "m-1.lock").unlink()

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(fcntl, "flock", remove_first)
        with match_lock(str(tmp_path), "m-1") as path, pytest.raises(Conflict), match_lock(str(tmp_path), "m-1"):
            assert path.exists()


def test_a_folder_that_cannot_be_made_is_a_setting(tmp_path: Path) -> None:
    """A run folder that is a file names the variable that changes it."""
    (tmp_path / "file").touch()
    with pytest.raises(Misconfigured, match="MUSTER_RUN_DIR"), match_lock(str(tmp_path / "file"), "m-1"):
        pass


def test_leaving_out_comes_first_or_not_at_all() -> None:
    """Once asyncio is there it is too late, and that is said instead of half done."""
    with pytest.raises(RuntimeError, match="too late"):
        leave_out()
