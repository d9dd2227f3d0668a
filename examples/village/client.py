"""A client of the village: plays by the rules on its own copy of the state, and sends what it did in packs.

    python3 examples/village/client.py [--url URL] [--cheat] [--rounds N] [--register]

It needs nothing but Python. With --cheat it gives itself coins before it builds: its own copy believes that, and the
server does not. It is told to reload, and goes on with the state that the server has.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
import urllib.error
import urllib.request
import uuid
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))
from rules import COMMANDS

HERE = Path(__file__).parent
TRIES = 10  # of one call, while Muster is away or busy


class Problem(Exception):
    """An answer that is none of success."""

    def __init__(self, status: int, document: dict[str, Any], after_s: float) -> None:
        super().__init__(f"{status} {document.get('detail', '')}")
        self.status, self.document, self.after_s = status, document, after_s

    @property
    def code(self) -> str:
        return str(self.document.get("type", "")).rpartition(":")[2]


class Api:
    """Muster's REST API."""

    def __init__(self, url: str) -> None:
        self.url, self.token = url, ""

    def call(self, method: str, path: str, body: Any = None) -> tuple[int, Any, float]:
        """Status, document and Retry-After. A call is repeated while Muster is away: every one here may be."""
        for _ in range(TRIES):
            try:
                return self._once(method, path, body)
            except Problem as problem:
                if problem.status not in (429, 503):
                    raise
                time.sleep(problem.after_s)
            except OSError:
                time.sleep(0.5)
        raise SystemExit("Muster stays away")

    def _once(self, method: str, path: str, body: Any) -> tuple[int, Any, float]:
        headers = {"Content-Type": "application/json"} | (
            {"Authorization": f"Bearer {self.token}"} if self.token else {}
        )
        data = json.dumps(body).encode() if body is not None else None
        request = urllib.request.Request(self.url + path, data, headers, method=method)
        try:
            with urllib.request.urlopen(request, timeout=40) as answer:
                return answer.status, json.load(answer), float(answer.headers.get("Retry-After", 0))
        except urllib.error.HTTPError as error:
            raise Problem(error.code, json.load(error), float(error.headers.get("Retry-After", 1))) from None


class Village:
    """One player's village: the state as the client believes it, and what it has not sent yet."""

    def __init__(self, api: Api, player: str) -> None:
        self.api, self.path = api, f"/v1/games/village/players/{player}"
        self.reloads = 0
        self.load()

    def load(self) -> None:
        """Fetch state and balance; wait while packs are being executed."""
        while True:
            status, profile, after_s = self.api.call("GET", f"{self.path}/profile?wait_s=5")
            if status == 200:
                break
            time.sleep(after_s)
        balance = self.api.call("GET", "/v1/games/village/balance")[1]
        self.state, self.epoch, self.next_seq = profile["state"], profile["epoch"], profile["next_seq"]
        self.balance, self.version = balance["document"], balance["version"]
        self.ahead_ms = profile["now_ms"] - time.time() * 1000  # of the server's clock before ours
        self.last_ms = profile["clock_ms"]
        self.commands: list[dict[str, Any]] = []

    def now_ms(self) -> int:
        self.last_ms = max(self.last_ms, int(time.time() * 1000 + self.ahead_ms))
        return self.last_ms

    def do(self, name: str, **args: Any) -> None:
        """Execute a command here and now, and note it for the next pack. Raises ValueError where rules forbid it."""
        at_ms = self.now_ms()
        COMMANDS[name](self.state, args, at_ms, self.balance)
        self.commands.append({"name": name, "at_ms": at_ms, "args": args})

    def send(self) -> str:
        """Send what was done: "waiting", or with a real-time command its outcome; "reload" after an error."""
        if not self.commands:
            return "nothing"
        pack = {"seq": self.next_seq, "epoch": self.epoch, "balance": self.version, "commands": self.commands}
        try:
            _, answer, _ = self.api.call("POST", f"{self.path}/packs", pack)
        except Problem as problem:
            if problem.code != "reload":
                raise
            return self._reload(problem.document.get("failure"))
        if answer["outcome"] in ("failed", "skipped"):
            return self._reload(answer.get("failure"))
        self.next_seq, self.commands = self.next_seq + 1, []
        return str(answer["outcome"])

    def check(self) -> bool:
        """Wait until all is executed. Whether the server's state is the same as ours."""
        before, epoch = self.state, self.epoch
        self.load()
        return before == self.state and epoch == self.epoch

    def _reload(self, failure: Any) -> str:
        print(f"  the server did not believe it: {failure}")
        self.reloads += 1
        self.load()
        return "reload"


def play(village: Village, rounds: int, *, cheat: bool) -> bool:
    """Build, collect, hurry and buy; returns whether client and server agree at the end."""
    for number in range(rounds):
        if cheat and number == rounds // 2:
            village.state["coins"] += 10_000
            print("  cheating: 10,000 coins from nowhere")
        cell = number % 16
        try:
            if str(cell) not in village.state["map"]:
                village.do("build", what="mill" if cheat and number >= rounds // 2 else "hut", cell=cell)
            else:
                village.do("collect", cell=cell)
            if number % 5 == 1:
                village.do("hurry", cell=cell)
        except ValueError as error:
            print(f"  not now: {error}")
        if number % 5 == 4:
            village.do("buy_gems", offer="small", receipt=uuid.uuid4().hex)
        if number % 3 == 2 or number % 5 == 4:
            print(f"round {number}: {len(village.commands)} commands sent: {village.send()}")
        time.sleep(0.05)
    village.send()
    agreed = village.check()
    print(
        f"coins {village.state['coins']}, gems {village.state['gems']}, buildings {len(village.state['map'])}, "
        f"reloads {village.reloads}, agreed {agreed}"
    )
    return agreed


def register(url: str) -> None:
    """Register the game and its balance, as a new developer."""
    api = Api(url)
    name = f"village-{uuid.uuid4().hex[:8]}"
    made = api.call("POST", "/v1/accounts", {"name": name, "password": uuid.uuid4().hex, "role": "developer"})[1]
    api.token = made["access_token"]
    api.call("POST", "/v1/games", json.loads((HERE / "game.json").read_text()))
    document = json.loads((HERE / "balance.json").read_text())
    api.call("PUT", "/v1/games/village/balance", {"document": document, "after": 0})


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--url", default="http://127.0.0.1:22548")
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--cheat", action="store_true")
    parser.add_argument("--register", action="store_true", help="register the game first")
    chosen = parser.parse_args()
    if chosen.register:
        register(chosen.url)
    api = Api(chosen.url)
    guest = api.call("POST", "/v1/guests", {})[1]
    api.token = guest["access_token"]
    village = Village(api, guest["player"])
    agreed = play(village, chosen.rounds, cheat=chosen.cheat)
    return 0 if village.reloads or agreed else 1


if __name__ == "__main__":
    sys.exit(main())
