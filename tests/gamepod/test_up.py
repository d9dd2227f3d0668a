"""`python -m gamepod.up`: what a game's container waits for."""

from __future__ import annotations

import socket
import subprocess
import sys
import time

from tests.support import free_port


def test_it_returns_when_the_port_is_open_and_not_before() -> None:
    """While nobody listens it waits; when somebody does it says so by its exit code."""
    port = free_port()
    waiting = subprocess.Popen([sys.executable, "-m", "gamepod.up", str(port)])
    try:
        time.sleep(0.3)
        assert waiting.poll() is None
        with socket.create_server(("127.0.0.1", port)):
            assert waiting.wait(60) == 0
    finally:
        waiting.kill()
        waiting.wait()


def test_it_gives_up() -> None:
    """A port that nobody opens ends in exit code 1 and a sentence."""
    code = "from gamepod import up; up.MOST_S = 0.1; raise SystemExit(up.main(1))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 1
    assert "nothing listens on 127.0.0.1:1" in done.stderr
