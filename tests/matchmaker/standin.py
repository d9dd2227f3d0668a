"""A server process for tests of the matchmaker: attaches, beats, becomes ready and ends as its match's settings say.

`server.arena` of the game: {"mode": "play" | "die" | "crash" | "silent" | "hang" | "child", "play_s": seconds,
"leave": how many, "ranked": bool}.
play: Ready, beats until its match is over or it is told to stop, or finishes after play_s. die: exits before Ready.
silent: Ready, then never beats again. hang: beats and is never Ready. child: as play, with a child of its own.
leave: so many of the first players have left by their own will. ranked: the result ranks the players by their seats.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from typing import Any

from core import keys
from core.clock import new_id, now_ms
from core.errors import MusterError
from core.redis.lean import LeanRedis
from gamepod.store import until_answered

BEAT_S = 0.1
BEAT_TIMEOUT_MS = 10_000
CONNECTION = json.dumps({"address": "127.0.0.1", "ports": [{"name": "game", "protocol": "tcp", "port": 1234}]})


async def main() -> int:
    db, game, match = LeanRedis(os.environ["REDIS_URL"]), os.environ["MUSTER_GAME"], os.environ["MUSTER_MATCH"]
    base, server = keys.game(game), new_id("server")
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    answer = await until_answered(lambda: db.call("server_attach", base, match, server, now_ms(), "{}"))
    if answer[0] != "ok":
        return 3
    document: dict[str, Any] = json.loads(answer[2])
    settings: dict[str, Any] = document["server"]["arena"]
    mode = settings.get("mode", "play")
    left = json.dumps([player["id"] for player in json.loads(answer[2])["players"][: settings.get("leave", 0)]])
    print(f"stand-in for {match} in mode {mode}", flush=True)
    if mode == "die":
        return 1
    if mode == "child":
        env = {k: v for k, v in os.environ.items() if k != "MUSTER_JOIN_KEY"}
        subprocess.Popen([sys.executable, "-c", "import time; time.sleep(300)"], env=env, start_new_session=True)
    if mode != "hang" and answer[1] == "PLACING":
        ready = ("ready", now_ms(), server, "", CONNECTION, now_ms() + BEAT_TIMEOUT_MS, 0)
        await until_answered(lambda: db.call("match_step", base, match, *ready))
    ends = time.monotonic() + settings["play_s"] if "play_s" in settings else float("inf")
    while not stop.is_set() and time.monotonic() < ends:
        await asyncio.sleep(BEAT_S)
        if mode == "silent":
            continue
        look_at = 0 if mode == "hang" else now_ms() + BEAT_TIMEOUT_MS
        with suppress(MusterError):  # while Redis is away it plays on
            beat = await db.call("server_beat", base, match, server, now_ms(), look_at, "Ready", "{}", left)
            if beat[0] != "ok":
                return 0
    reason = "stopped" if stop.is_set() else "finished"
    seats = document["players"] if settings.get("ranked") else ()
    ranks = [{"player": seat["id"], "rank": i + 1} for i, seat in enumerate(seats)]
    result = json.dumps({"players": ranks} if ranks else {})
    finish = ("finish", now_ms(), server, reason, result, 0, 0)
    await until_answered(lambda: db.call("match_step", base, match, *finish))
    db.close()
    return 0


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
