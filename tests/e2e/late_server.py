"""A game server that begins only when no file of its game's name is in a folder: `late_server.py FOLDER`.

So tests can look at matches that are being placed, for as long as they like.
"""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

while (Path(sys.argv[1]) / os.environ["MUSTER_GAME"]).exists():
    time.sleep(0.05)
os.execv(sys.executable, [sys.executable, "-m", "gamepod"])
