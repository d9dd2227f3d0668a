"""The data folder: one stack at a time, secrets for its user only, a state file that is never half."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from core.cli.folder import Program, StackState, kept_secret, locked, read_state, remove_state, running, write_state
from core.errors import Misconfigured

STATE = StackState(
    "http://127.0.0.1:1", "redis://127.0.0.1:2/0", "local-x", os.getpid(), True, [Program("redis", 3, 4.5)]
)


def test_second_stack_in_a_folder_is_refused(tmp_path: Path) -> None:
    """The lock names the stack that has the folder and the setting that gives another; it ends with its holder."""
    with locked(tmp_path):
        write_state(tmp_path, STATE)
        with (
            pytest.raises(Misconfigured, match=r"already runs .* at http://127.0.0.1:1 \(pid .*MUSTER_DATA_DIR"),
            locked(tmp_path),
        ):
            pass
    with locked(tmp_path):
        pass


def test_running_stack_is_found_by_its_lock(tmp_path: Path) -> None:
    """A state file alone is no running stack: it may be what a killed one left."""
    assert running(tmp_path) is None
    write_state(tmp_path, STATE)
    assert running(tmp_path) is None
    with locked(tmp_path):
        assert running(tmp_path) == STATE
        write_state(tmp_path, StackState("u", "r", "i", 1, False))
        assert running(tmp_path) is None, "it is still starting"
    remove_state(tmp_path)
    remove_state(tmp_path)
    assert read_state(tmp_path) is None


def test_broken_state_file_is_no_stack(tmp_path: Path) -> None:
    """A state file that nobody wrote as such is taken for none."""
    (tmp_path / "stack.json").write_text("{")
    assert read_state(tmp_path) is None


def test_secret_is_made_once_and_private(tmp_path: Path) -> None:
    """The secret is 32 random bytes as hex, the same at every read, readable by its user only."""
    first = kept_secret(tmp_path, "secret")
    assert len(bytes.fromhex(first)) == 32
    assert kept_secret(tmp_path, "secret") == first
    assert kept_secret(tmp_path, "other") != first
    assert (tmp_path / "secret").stat().st_mode & 0o777 == 0o600
