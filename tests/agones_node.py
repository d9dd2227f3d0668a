"""Agones' SDK for Node, as the example's lock names it, installed once per lock."""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import subprocess
from pathlib import Path
from typing import Final

import pytest

ROOT: Final = Path(__file__).parent.parent
EXAMPLE: Final = ROOT / "examples" / "agones-node"


def modules() -> Path:
    """The folder of its modules, for NODE_PATH. Skips where Node is missing; in CI that is a failure."""
    if shutil.which("node") is None or shutil.which("npm") is None:
        pytest.skip("node and npm are not installed: tools/install-test-deps.sh")
    lock = (EXAMPLE / "package-lock.json").read_bytes()
    folder = ROOT / ".cache" / f"agones-node-{hashlib.sha256(lock).hexdigest()[:12]}"
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("w") as alone:  # two lanes of tests may want it at the same moment
        fcntl.flock(alone, fcntl.LOCK_EX)
        if not (folder / "done").exists():
            for name in ("package.json", "package-lock.json"):
                shutil.copy(EXAMPLE / name, folder)
            command = ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund"]
            subprocess.run(command, cwd=folder, check=True, stdout=subprocess.DEVNULL, env=dict(os.environ))
            (folder / "done").touch()
    return folder / "node_modules"
