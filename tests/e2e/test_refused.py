"""No service works on data of a form that its release does not read: it ends, and says what to do."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from core import keys
from core.redis.client import open_database
from core.serve import EXIT_MISCONFIGURED
from tests.redis.backends import valkey
from tests.stack import ROOT, stack_env

SERVICES = (["webapi"], ["matchmaker"], ["gamepod", "worker"], ["core.sinks"])


async def test_every_service_refuses_newer_data(tmp_path: Path) -> None:
    """All at once: exit code 78, which tells an orchestrator not to hope, and one line with both versions."""
    with valkey(tmp_path / "redis") as redis_url:
        async with open_database(redis_url) as db:
            await db.do("HSET", f"{keys.SCHEMA}:state", "newest", 9, "oldest", 9, "by", "9.0.0")
        env = stack_env(tmp_path, REDIS_URL=redis_url, MUSTER_SECRET="s" * 32, RABBITMQ_HOST="127.0.0.1")
        env |= {"MUSTER_SINKS_METRICS_PORT": "0"}
        started = [
            subprocess.Popen([sys.executable, "-m", *command], cwd=ROOT, env=env, stderr=subprocess.PIPE, text=True)
            for command in SERVICES
        ]
        for command, process in zip(SERVICES, started, strict=True):
            _, said = process.communicate(timeout=60)
            assert process.returncode == EXIT_MISCONFIGURED, (command, said)
            assert "the data in this Redis is of version 9, written by Muster 9.0.0" in said
            assert "run 9.0.0 or later here, or restore a backup" in said
            assert "Traceback" not in said
