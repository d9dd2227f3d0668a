"""The command line itself: help, version, refusals and exit codes."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from core.cli.__main__ import cli, version

ROOT = Path(__file__).parents[3]


def muster(*args: str, **env: str) -> subprocess.CompletedProcess[str]:
    """Run the command as a program."""
    return subprocess.run(
        [sys.executable, "-m", "core.cli", *args], env=os.environ | env, cwd=ROOT, capture_output=True, text=True
    )


def test_version_is_that_of_the_project() -> None:
    """`muster --version` names the version in pyproject.toml, installed or not."""
    shown = CliRunner().invoke(cli, ["--version"])
    assert shown.exit_code == 0
    assert version() in shown.output
    assert f'version = "{version()}"' in (ROOT / "pyproject.toml").read_text()


def test_help_names_the_commands() -> None:
    """`muster --help` lists up and demo."""
    shown = CliRunner().invoke(cli, ["--help"]).output
    assert "up " in shown
    assert "demo " in shown


@pytest.mark.parametrize("players", ["5", "101", "-10", "100000"])
def test_demo_takes_whole_matches_only(players: str) -> None:
    """A number of players that does not fill matches is refused with the reason."""
    shown = CliRunner().invoke(cli, ["demo", "--players", players])
    assert shown.exit_code == 2
    assert "not a multiple of 10" in shown.output


def test_bad_setting_is_one_line_and_exit_code_78(tmp_path: Path) -> None:
    """A setting that does not parse is named on one line, without a traceback."""
    done = muster("up", MUSTER_WEBAPI_PORT="x", MUSTER_DATA_DIR=str(tmp_path))
    assert done.returncode == 78
    assert done.stderr == "muster: 'x' is not a whole number (setting: MUSTER_WEBAPI_PORT)\n"


def test_the_page_names_every_command() -> None:
    """docs/cli.md has all that `muster --help` lists, and names no command that there is not."""
    page = (ROOT / "docs" / "cli.md").read_text()
    missing = [name for name in cli.commands if not re.search(rf"`(muster )?{name}\b", page)]
    assert not missing
    assert set(re.findall(r"`muster ([a-z]+)", page)) <= set(cli.commands)
