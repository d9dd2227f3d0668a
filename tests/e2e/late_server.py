"""A game server that is late for games named `late-...`, so that tests can look at matches that are being placed."""

from __future__ import annotations

import os
import sys
import time

LATE_S = 1.5

if os.environ["MUSTER_GAME"].startswith("late-"):
    time.sleep(LATE_S)
os.execv(sys.executable, [sys.executable, "-m", "gamepod"])
