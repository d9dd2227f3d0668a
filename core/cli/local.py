"""`muster local`: the sidecar alone, as Agones' local mode is; `muster local -- COMMAND`: the same with all of Muster.

With a command the stack of `muster up` runs, and a game `local` is registered whose server is that command. Whoever
queues for it gets a match in a process of it, with its sidecar, as anywhere else.
"""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from core.cli import games, up
from core.cli.settings import StackSettings
from core.errors import Misconfigured

GAME: Final = "local"


def sidecar() -> int:
    """Become the sidecar, without a match. Does not return."""
    command = [sys.executable, "-m", "gamepod", "local"]
    os.execv(command[0], command)  # noqa: S606 - this program's own interpreter


def registration(command: Sequence[str], *, players: int, ready: str, protocol: str) -> dict[str, Any]:
    """The game `local`. Raises Misconfigured where there is no such program."""
    program = shutil.which(command[0])
    if program is None:
        raise Misconfigured(f"there is no program {command[0]!r} here that may be run", setting="COMMAND")
    # Servers are started in a folder of their own; a program and files are meant from here.
    words = [program, *command[1:]]
    return {
        "name": f"{Path(program).name}, from this terminal",
        "players_per_match": players,
        "server": {
            "command": [str(Path(word).resolve()) if Path(word).exists() else word for word in words],
            "ports": [{"name": "game", "protocol": protocol}],
            "ready": {"when": ready},
        },
    }


def run(settings: StackSettings, spec: dict[str, Any], *, verbose: bool) -> int:
    """Run the stack with the game in it until a signal. Returns the exit code."""

    def started(url: str) -> None:
        if said := games.register(url, settings.data, GAME, spec):
            up.say(said)
        print(_what_to_do(url, settings.data, spec), flush=True)

    return up.run(settings, verbose=verbose, started=started)


def _what_to_do(url: str, data: Path, spec: dict[str, Any]) -> str:
    players = spec["players_per_match"]
    return f"""  The game {GAME!r} is registered. {players} ticket{"s" * (players > 1)} make a match; as a player:

    PLAYER=$(curl -s {url}/v1/guests -H 'Content-Type: application/json' -d '{{}}' \\
      | python3 -c 'import json, sys; print(json.load(sys.stdin)["access_token"])')
    TICKET=$(curl -s {url}/v1/tickets -H "Authorization: Bearer $PLAYER" -H 'Content-Type: application/json' \\
      -d '{{"game": "{GAME}"}}' | python3 -c 'import json, sys; print(json.load(sys.stdin)["id"])')
    curl -N {url}/v1/tickets/{GAME}/$TICKET/events -H "Authorization: Bearer $PLAYER"

  Its last event has the address. The game listens on $PORT; its SDK is at $AGONES_SDK_HTTP_PORT and
  $AGONES_SDK_GRPC_PORT. What it prints is in {data / "run"}/<match>.game.log
"""
