"""Workers as programs, to be killed."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from tests.commands.support import MODULE, SECRET
from tests.stack import ROOT
from tests.support import end


@dataclass
class Programs:
    """So many `python -m gamepod worker`; a killed one is started again by `again`."""

    redis_url: str
    folder: Path
    settings: dict[str, str]
    running: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def start(self) -> None:
        env = {name: value for name, value in os.environ.items() if not name.startswith("MUSTER_")}
        env |= {"REDIS_URL": self.redis_url, "MUSTER_SECRET": SECRET, "MUSTER_COMMAND_MODULES": MODULE}
        env |= {"MUSTER_WORKER_METRICS_PORT": "0", "PYTHONPATH": str(ROOT), **self.settings}
        with (self.folder / f"worker-{len(self.running)}.log").open("ab") as log:
            self.running.append(
                subprocess.Popen([sys.executable, "-m", "gamepod", "worker"], env=env, cwd=ROOT, stdout=log, stderr=log)
            )

    def kill(self) -> None:
        """SIGKILL the one that runs longest, and start another."""
        process = self.running.pop(0)
        process.kill()
        process.wait()
        self.start()

    def stop(self) -> None:
        end(*self.running)


@contextmanager
def programs(redis_url: str, folder: Path, count: int, **settings: str) -> Iterator[Programs]:
    """Workers for the length of the block."""
    made = Programs(redis_url, folder, settings)
    try:
        for _ in range(count):
            made.start()
        yield made
    finally:
        made.stop()
