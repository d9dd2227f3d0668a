"""Play rock-paper-scissors through Muster: `python3 client.py [http://127.0.0.1:22548]`, twice, in two terminals.

Only the standard library, so that it can be read as the list of calls a client makes: a guest account, a ticket, the
wait for COMPLETED, then the game's own protocol at the address that the ticket holds.
"""

from __future__ import annotations

import json
import random
import socket
import sys
import urllib.request
from typing import Any

GAME = "shifumi"
WINS = 2


def call(url: str, token: str = "", body: dict[str, Any] | None = None) -> Any:
    """POST `body`, or GET without one."""
    headers = {"Content-Type": "application/json", **({"Authorization": f"Bearer {token}"} if token else {})}
    request = urllib.request.Request(url, None if body is None else json.dumps(body).encode(), headers)
    with urllib.request.urlopen(request, timeout=60) as response:
        return json.load(response)


def find_match(api: str) -> tuple[str, int]:
    """Queue as a guest and wait for a match. Returns its address and port."""
    token = call(f"{api}/v1/guests", body={})["access_token"]
    ticket = call(f"{api}/v1/tickets", token, {"game": GAME})
    print("waiting for an opponent")
    while ticket["status"] != "COMPLETED":
        if ticket["status"] in ("CANCELLED", "TIMED_OUT", "FAILED"):
            sys.exit(f"no match: {ticket['status']} {ticket.get('reason', '')}")
        ticket = call(f"{api}/v1/tickets/{GAME}/{ticket['id']}?wait_s=20&after={ticket['seq']}", token)
    connection = ticket["connection"]
    return connection["address"], connection["ports"][0]["port"]


def main() -> None:
    """Play one game with random throws."""
    api = sys.argv[1].rstrip("/") if len(sys.argv) > 1 else "http://127.0.0.1:22548"
    score = {"W": 0, "L": 0, "D": 0}
    with socket.create_connection(find_match(api)) as connection:
        while max(score["W"], score["L"]) < WINS:
            mine = random.choice("RPS")
            connection.sendall(mine.encode())
            answer = connection.recv(1).decode()
            if answer not in score:
                break
            score[answer] += 1
            print(f"{mine}: {answer}")
    print("won" if score["W"] >= WINS else "lost" if score["L"] >= WINS else "ended early")


if __name__ == "__main__":
    main()
