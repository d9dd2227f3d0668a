"""What locust's users do, named after the people they stand for: `locust -f bench/loadtest/api_users.py --host URL`.

Lobby visitors queue in a game that no number of them fills, so that no server starts for people who never join: the
bots (bench/loadtest/bots.py) play. Every answer is checked; what a client is meant to do again (429, 503) is waited for
as the answer says, and counted under `told to wait`, not as a failure.
"""

from __future__ import annotations

import os
import random
import secrets
from typing import Any

import gevent
from locust import FastHttpUser, between, events, task
from locust.contrib.fasthttp import RestResponseContextManager

LOBBY = os.environ.get("MUSTER_LOAD_LOBBY", "load-lobby")
ARENA = os.environ.get("MUSTER_LOAD_ARENA", "tanks-10")
TRIES = 5  # of a request that is told to come again
PAUSE_S = 0.5  # where the answer does not say how long
REFRESH_SHARE = 0.02  # of the turns of a user


class Guest(FastHttpUser):
    """Somebody with a guest account of his own."""

    abstract = True
    wait_time = between(0.2, 1.0)

    def on_start(self) -> None:
        """Become a guest."""
        answer = self.ask("POST", "/v1/guests", {"name": f"load {secrets.token_hex(4)}"}, token="")
        self.player, self.token, self.refresh = answer["player"], answer["access_token"], answer["refresh_token"]

    def ask(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        name: str = "",
        expect: tuple[int, ...] = (),
        token: str | None = None,
    ) -> Any:
        """Ask, again where the answer says so. An answer below 400, or one that is expected, is good."""
        token = self.token if token is None else token
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        told: RestResponseContextManager
        for _ in range(TRIES):
            with self.rest(method, path, json=body, headers=headers, name=f"{method} {name or path}") as told:
                if told.status_code in (429, 503):
                    told.success()
                elif told.status_code < 400 or told.status_code in expect:
                    told.success()
                    return told.js or {}
                else:
                    told.failure(f"{told.status_code}: {(told.text or '')[:200]}")
                    return {}
            events.request.fire(
                request_type="", name="told to wait", response_time=0, response_length=0, exception=None, context={}
            )
            gevent.sleep(float((told.js or {}).get("retry_after_s", PAUSE_S)))
        return {}


class Visitor(Guest):
    """Looks around: boards, his own state, what is going on; now and then his tokens are renewed."""

    weight = 5

    @task(6)
    def board(self) -> None:
        """The best players, or those around him."""
        around = f"&player={self.player}&around=5" if random.random() < 0.5 else ""
        kind = random.choice(("activity", "score"))
        self.ask("GET", f"/v1/games/{ARENA}/boards/{kind}?top=20{around}", name="/v1/games/{game}/boards/{board}")

    @task(3)
    def overview(self) -> None:
        """What the page shows."""
        self.ask("GET", "/v1/overview")

    @task(3)
    def games(self) -> None:
        """What there is to play."""
        self.ask("GET", "/v1/games")

    @task(4)
    def heartbeat(self) -> None:
        """He is there."""
        self.ask("POST", "/v1/heartbeat", {"game": ARENA})

    @task(2)
    def himself(self) -> None:
        """Who he is; a few renew their session."""
        if random.random() < REFRESH_SHARE * 10:
            answer = self.ask("POST", "/v1/refresh", {"refresh_token": self.refresh}, token="")
            self.token, self.refresh = answer.get("access_token", self.token), answer.get("refresh_token", self.refresh)
        self.ask("GET", "/v1/me")


class Waiter(Guest):
    """Queues, asks how it goes, and gives up."""

    weight = 4

    @task
    def queue(self) -> None:
        """A ticket from its beginning to its end."""
        ticket = self.ask("POST", "/v1/tickets", {"game": LOBBY})
        if "id" not in ticket:
            return
        path, name = f"/v1/tickets/{LOBBY}/{ticket['id']}", "/v1/tickets/{game}/{ticket}"
        self.ask("GET", f"{path}?wait_s=1&after={ticket['seq']}", name=f"{name}?wait_s")
        self.ask("GET", f"{path}/why", name=f"{name}/why")
        self.ask("DELETE", path, name=name, expect=(409,))


class Leader(Guest):
    """Makes a party, queues with it, and lets it go."""

    weight = 1

    @task
    def party(self) -> None:
        """A party of one from its beginning to its end."""
        party = self.ask("POST", "/v1/parties", expect=(409,))
        if "code" not in party:
            return
        path, name = f"/v1/parties/{party['code']}", "/v1/parties/{code}"
        self.ask("PUT", f"{path}/ready", {}, name=f"{name}/ready")
        self.ask("GET", path, name=name)
        self.ask("POST", f"{path}/leave", name=f"{name}/leave")
