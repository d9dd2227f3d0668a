"""The command line against a running stack: what developers and admins type, and what they read."""

from __future__ import annotations

import json
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from core.cli.rest import Rest
from tests.stack import ROOT, Stack, Visit
from tests.support import eventually

PASSWORD = "a long password"
Muster = Callable[..., str]

TOLD_S = 120.0  # by commands, each of which a busy machine takes ten seconds to start
BROKEN = "import sys; print('no map named dust'); sys.exit(7)"


@pytest.fixture
def name(game_id: str) -> str:
    """A developer's name that no other test has."""
    return f"dev-{game_id}"


@pytest.fixture
def muster(stack: Stack, tmp_path: Path, name: str) -> Muster:
    """Runs a command as a developer who has logged in; what it printed. `code` is the exit code that is expected."""
    env = stack.env | {"MUSTER_CONFIG_DIR": str(tmp_path / "config")}

    def run(*command: str, code: int = 0, given: str = "", **more: str) -> str:
        done = subprocess.run(
            [sys.executable, "-m", "core.cli", *command],
            cwd=ROOT, env=env | more, input=given, capture_output=True, text=True, timeout=TOLD_S,
        )  # fmt: skip
        assert done.returncode == code, done.stdout + done.stderr
        return done.stdout if code == 0 else done.stderr

    Rest(stack.url).call("POST", "/v1/accounts", {"name": name, "password": PASSWORD, "role": "developer"})
    assert f"as {name} (developer)" in run("login", name, "--password-stdin", given=PASSWORD + "\n")
    return run


def spec_file(tmp_path: Path, game: str, **changes: Any) -> Path:
    """A registration in YAML."""
    file = tmp_path / "game.yaml"
    spec = {"id": game, "name": "Duel", "players_per_match": 2, "server": {"arena": {}}} | changes
    file.write_text(yaml.safe_dump(spec))
    return file


def test_a_session_is_kept_privately_and_ended(muster: Muster, name: str, tmp_path: Path) -> None:
    """Who speaks is known to later commands, in a file for this user alone, until logout."""
    assert json.loads(muster("whoami", "--json"))["name"] == name
    file = tmp_path / "config" / "sessions.json"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    kept = next(iter(json.loads(file.read_text())["sites"].values()))
    # A token that has expired is renewed, and the new one kept.
    document = json.loads(file.read_text())
    next(iter(document["sites"].values()))["expires_s"] = 0
    file.write_text(json.dumps(document))
    assert name in muster("whoami")
    assert next(iter(json.loads(file.read_text())["sites"].values()))["refresh_token"] != kept["refresh_token"]
    assert "logged out" in muster("logout")
    assert "muster login NAME" in muster("whoami", code=1)
    assert "muster login NAME" in muster("whoami", code=1, MUSTER_TOKEN="forged")


def test_a_game_is_registered_changed_and_removed(muster: Muster, game_id: str, tmp_path: Path) -> None:
    """From a YAML file, back as YAML that can be registered again; a change meant for another version is refused."""
    assert "registered" in muster("games", "register", str(spec_file(tmp_path, game_id)))
    assert game_id in muster("games", "list")
    shown = muster("games", "show", game_id)
    (tmp_path / "shown.yaml").write_text(shown)
    assert yaml.safe_load(shown)["players_per_match"] == 2
    assert "unchanged" in muster("games", "register", str(tmp_path / "shown.yaml"))
    changed = spec_file(tmp_path, game_id, name="Duel II")
    assert muster("games", "register", str(changed)).startswith("changed")
    assert "PUT /v1/games/" in muster("games", "register", str(changed), "--version", "1", code=1)
    document = json.loads(muster("games", "show", game_id, "--json"))
    assert document["spec"]["name"] == "Duel II"
    shown = [line.split()[:2] for line in muster("games", "versions", game_id).splitlines()[2:]]
    assert [number for number, _ in shown] == ["2", "1"]
    assert "3" in muster("games", "rollback", game_id, "1")
    assert json.loads(muster("games", "show", game_id, "--json"))["spec"]["name"] == "Duel"
    assert "removed" in muster("games", "remove", game_id, given="y\n")
    assert "GET /v1/games/" in muster("games", "show", game_id, code=1)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("id: x\nserver: [", "neither YAML nor JSON"),
        ("name: no id", "has no `id`"),
        ("id: broken-one\nplayers_per_match: 2\nserver: {arena: {}}\nplayrs: 3", "playrs"),
        ("id: broken-two\nplayers_per_match: 0\nserver: {arena: {}}", "players_per_match"),
    ],
)
def test_a_mistake_in_a_file_is_named(muster: Muster, tmp_path: Path, text: str, words: str) -> None:
    """Before or by the API, in one line, without a traceback."""
    (tmp_path / "bad.yaml").write_text(text)
    said = muster("games", "register", str(tmp_path / "bad.yaml"), code=1)
    assert words in said
    assert "Traceback" not in said


async def test_who_waits_is_seen_and_why(muster: Muster, here: Visit, game_id: str, tmp_path: Path) -> None:
    """One player of two: the queue shows him, `why` says that somebody is missing; names cannot drive the terminal."""
    muster("games", "register", str(spec_file(tmp_path, game_id)))
    ticket = await here.post(await here.guest(), game_id)

    async def told() -> dict[str, Any]:
        document = json.loads(muster("why", game_id, ticket.id, "--json"))
        return document if document["reason"] == "teams" else {}

    assert (await eventually(told, within_s=TOLD_S))["waiting_tickets"] == 1
    assert "tickets waiting" in muster("queue", game_id)
    assert json.loads(muster("queue", game_id, "--json"))["waiting_tickets"] == 1
    row = next(line for line in muster("status").splitlines() if line.startswith(game_id))
    assert row.split()[1] == "1"
    assert f"{game_id} has had no match" in muster("matches", game_id)
    assert "on demand" in muster("supply", game_id)
    assert "nobody is on it" in muster("board", game_id, "score")


async def test_a_failed_match_says_what_its_server_said(
    muster: Muster, here: Visit, game_id: str, tmp_path: Path
) -> None:
    """The developer reads the last lines without logs of the host."""
    server = {"command": [sys.executable, "-c", BROKEN], "ports": [{"name": "game", "protocol": "tcp"}],
              "ready": {"when": "port"}}  # fmt: skip
    file = spec_file(tmp_path, game_id, players_per_match=1, server=server, limits={"tries": 1})
    muster("games", "register", str(file))
    await here.post(await here.guest(), game_id)

    async def failed() -> list[Any]:
        return [m for m in json.loads(muster("matches", game_id, "--json"))["matches"] if m["state"] == "FAILED"]

    match = (await eventually(failed, within_s=TOLD_S))[0]
    shown = muster("match", game_id, match["id"])
    assert "died_early" in shown
    assert "no map named dust" in shown
    assert match["id"] in muster("matches", game_id)


def test_who_may_not_is_told(muster: Muster, stack: Stack) -> None:
    """An admin's command in a developer's hands, a server that is not there, an address that is none."""
    assert "accounts" in muster("accounts", "show", "ada", code=1)
    assert "does not answer" in muster("status", "--url", "http://127.0.0.1:1", code=1)
    assert "is no http:// or https:// address" in muster("status", "--url", "ftp://x", code=78)
    assert "_MUSTER_COMPLETE" in muster("completion", "bash")
