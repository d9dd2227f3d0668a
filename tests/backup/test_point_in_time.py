"""The append-only file is cut off at a moment: what was written later is gone, what was there before is back."""

from __future__ import annotations

import shutil
import subprocess
import time
from pathlib import Path

from redis import Redis

from core.redis.embedded import embedded_redis
from tests.redis.backends import DEBIAN
from tests.support import free_port

CHECK = "redis-check-aof"


def test_back_to_a_moment(tmp_path: Path) -> None:
    """As docs/backup.md says: a copy of the folder, the moment, a server on the copy."""
    assert shutil.which(CHECK), "redis-check-aof comes with redis-tools"
    options = ["--aof-timestamp-enabled", "yes"]
    live, copy = tmp_path / "live", tmp_path / "copy"
    with embedded_redis(live, free_port(), program=DEBIAN, options=options) as server, Redis(port=server.port) as redis:
        redis.set("muster:account:p-1", "kept")
        time.sleep(2.1)  # marks of time in the file are whole seconds
        moment = int(time.time())
        time.sleep(2.1)
        redis.delete("muster:account:p-1")
        redis.set("muster:account:p-2", "later")
    shutil.copytree(live, copy)
    [tail] = (copy / "appendonlydir").glob("*.incr.aof")
    assert "later" in tail.read_text()
    subprocess.run(
        [CHECK, "--truncate-to-timestamp", str(moment), tail], check=True, input=b"y\n", stdout=subprocess.DEVNULL
    )
    with embedded_redis(copy, free_port(), program=DEBIAN, options=options) as server, Redis(port=server.port) as redis:
        assert redis.keys() == [b"muster:account:p-1"]
        assert redis.get("muster:account:p-1") == b"kept"
