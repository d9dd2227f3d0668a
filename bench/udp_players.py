"""Many players over UDP in one plain process: `python -m bench.udp_players PORT SECONDS [HZ MOVES] < tokens`.

A token a line. Each player sends HZ inputs a second (60) with so many moves (1) and now and then a shot, and reads
every snapshot. Prints one JSON object.
"""

from __future__ import annotations

import json
import math
import socket
import sys
import time
from typing import Any

RATE_HZ = 60
SHOOT_EVERY = 20  # inputs


def join(port: int, token: str) -> socket.socket:
    """A joined socket: challenge, cookie, welcome."""
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
    sock.connect(("127.0.0.1", port))
    sock.settimeout(2)
    message: dict[str, Any] = {"type": "join", "token": token}
    while True:
        sock.send(json.dumps(message).encode())
        answer = json.loads(sock.recv(65_536))
        if answer["type"] == "welcome":
            sock.setblocking(False)
            return sock
        assert answer["type"] == "challenge", answer
        message["cookie"] = answer["cookie"]


def inputs(tick: int, seq: int, player: int, moves: int = 1) -> tuple[bytes, int]:
    """The input of one player at one moment, and how many commands it has."""
    commands: list[dict[str, Any]] = []
    for number in range(moves):
        turn = round(math.sin((tick + number / moves) / 50 + player), 2)
        commands.append({"type": "move", "throttle": 1, "turn": turn, "aim": (tick * 3 + number) % 360})
    if (tick + player) % SHOOT_EVERY == 0:
        commands.append({"type": "shoot"})
    return json.dumps({"type": "input", "seq": seq, "commands": commands}).encode(), len(commands)


def play(sockets: list[socket.socket], seconds: float, rate_hz: int = RATE_HZ, moves: int = 1) -> dict[str, float]:
    """Everybody plays for so long."""
    sequence = [1] * len(sockets)
    sent = received = size = tick = 0
    start = time.monotonic()
    while (now := time.monotonic()) < start + seconds:
        for player, sock in enumerate(sockets):
            data, commands = inputs(tick, sequence[player], player, moves)
            sequence[player] += commands
            try:
                sock.send(data)
                sent += 1
                while True:
                    size += len(sock.recv(2048))
                    received += 1
            except BlockingIOError:
                pass
        tick += 1
        time.sleep(max(0.0, start + tick / rate_hz - now - (time.monotonic() - now)))
    took = time.monotonic() - start
    return {
        "sent_per_s": sent / took,
        "received_per_s": received / took,
        "mb_per_s": size / took / 1e6,
        "hz": tick / took,
    }


if __name__ == "__main__":
    joined = [join(int(sys.argv[1]), line.strip()) for line in sys.stdin]
    print(json.dumps(play(joined, float(sys.argv[2]), *map(int, sys.argv[3:]))))
