"""`python -m gamepod.up PORT`: returns once the sidecar in this network listens on PORT. Exit code 1 after `MOST_S`.

Whoever starts a game's container runs this in the sidecar's first: a game may ask its SDK before all else, and only
once. It has the time that Python's own start takes anyway, so it imports next to nothing.
"""

from __future__ import annotations

import socket
import sys
import time
from typing import Final

MOST_S: Final = 10.0
PAUSE_S: Final = 0.005


def main(port: int) -> int:
    deadline = time.monotonic() + MOST_S
    while time.monotonic() < deadline:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return 0
        time.sleep(PAUSE_S)
    print(f"nothing listens on 127.0.0.1:{port} after {MOST_S:g} s", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1])))
