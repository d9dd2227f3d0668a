"""The laptop's stack is backed up while it plays, loses all it has, and is put back."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from redis import Redis

from core.cli.rest import Answer, Rest
from tests.stack import ROOT, Stack, running_stack, stack_env


def muster(env: dict[str, str], *command: str) -> tuple[int, str]:
    """Exit code of a command, and what it printed."""
    done = subprocess.run(
        [sys.executable, "-m", "core.cli", *command], cwd=ROOT, env=env, capture_output=True, text=True, timeout=180
    )
    return done.returncode, done.stdout + done.stderr


def speed_up(stack: Stack) -> None:
    """Snapshots begin at once: by default Redis waits five seconds for further replicas."""
    with Redis.from_url(stack.redis_url) as redis:
        redis.config_set("repl-diskless-sync-delay", 0)


def test_all_is_lost_and_comes_back(tmp_path: Path) -> None:
    """Accounts and games of before the backup; its commands say what they did, and refuse what would do harm."""
    env = stack_env(tmp_path)
    account = {"name": "ada", "password": "a long password"}
    with running_stack(tmp_path, **env) as stack:
        speed_up(stack)
        api = Rest(stack.url)
        api.call("POST", "/v1/accounts", account)
        code, said = muster(env, "backup", "--keep", "1")
        assert code == 0, said
        assert "keys" in said
        api.call("POST", "/v1/accounts", account | {"name": "bob"})
        code, said = muster(env, "restore")
        assert code != 0
        assert "a stack already runs" in said
    code, said = muster(env, "restore")
    assert code == 1, said
    assert "empty it first, or say --replace" in said

    shutil.rmtree(Path(env["MUSTER_DATA_DIR"]) / "redis")
    assert "whole and undamaged" in muster(env, "restore", "--check")[1]
    code, said = muster(env, "restore")
    assert code == 0, said
    assert re.search(r"restored \d+ keys in [\d.]+ s: .*\b\d+ games\b.* others\n", said)
    assert "2 accounts" in said  # hers, and the operator's
    assert "not in a backup: what came after it, the secret (.data/secret" in said
    assert '"keys"' in muster(env, "backups", "--json")[1]

    with running_stack(tmp_path, **env) as stack:
        api = Rest(stack.url)
        assert api.call("POST", "/v1/login", account)["name"] == "ada"
        with pytest.raises(Answer) as refusal:  # made after the backup
            api.call("POST", "/v1/login", account | {"name": "bob"})
        assert refusal.value.status == 401
        assert {game["id"] for game in api.call("GET", "/v1/games")["games"]} >= {"tanks"}
