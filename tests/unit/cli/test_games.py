"""The built-in games come to the API once, are brought up to date, and leave other people's games alone."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any, ClassVar

import pytest

from core.cli.games import BUILT_IN, DEMO_GAME, register_all
from core.cli.rest import Answer, Rest
from core.errors import Unavailable
from tests.support import free_port


class Api(BaseHTTPRequestHandler):
    """The few routes that registering needs, over dictionaries."""

    accounts: ClassVar[dict[str, str]] = {}
    games: ClassVar[dict[str, tuple[str, Any]]] = {}
    calls: ClassVar[list[str]] = []

    def do_GET(self) -> None:
        _, _, game = self.path.rpartition("/")
        if self.path == "/text":
            self.reply(200, "plain words", raw=True)
        elif game in self.games:
            self.reply(200, {"id": game, "spec": {**self.games[game][1], "accepting": True}})
        else:
            self.reply(404, {"detail": "no such game"})

    def do_POST(self) -> None:
        body = self.body()
        if self.path == "/v1/accounts":
            self.accounts[body["name"]] = body["password"]
            self.reply(201, {"access_token": body["name"]})
        elif self.path == "/v1/login":
            known = self.accounts.get(body["name"]) == body["password"]
            self.reply(200 if known else 401, {"access_token": body["name"]} if known else {"detail": "no"})
        elif body["id"] in self.games:
            self.reply(409, {"detail": "there is one", "type": "urn:muster:problem:conflict"})
        else:
            self.games[body.pop("id")] = (self.caller(), body)
            self.reply(201, {})

    def do_PUT(self) -> None:
        game = self.path.rpartition("/")[2]
        if self.games[game][0] != self.caller():
            self.body()
            self.reply(403, {"detail": "not yours"})
        else:
            self.games[game] = (self.caller(), self.body())
            self.reply(200, {})

    def caller(self) -> str:
        return self.headers["Authorization"].removeprefix("Bearer ")

    def body(self) -> Any:
        self.calls.append(f"{self.command} {self.path}")
        return json.loads(self.rfile.read(int(self.headers["Content-Length"])))

    def reply(self, status: int, document: Any, *, raw: bool = False) -> None:
        content = document.encode() if raw else json.dumps(document).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *args: Any) -> None:
        pass


@pytest.fixture
def api() -> Iterator[str]:
    """URL of an empty API."""
    Api.accounts, Api.games, Api.calls = {}, {}, []
    with HTTPServer(("127.0.0.1", 0), Api) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def test_games_are_registered_once(api: str, tmp_path: Path) -> None:
    """The second start signs in again and changes nothing."""
    assert register_all(api, tmp_path) == []
    assert Api.games.keys() == BUILT_IN.keys()
    assert (tmp_path / "operator.json").stat().st_mode & 0o777 == 0o600
    Api.calls.clear()
    assert register_all(api, tmp_path) == []
    assert Api.calls == ["POST /v1/login", "POST /v1/games", "POST /v1/games"]


def test_changed_game_is_brought_up_to_date(api: str, tmp_path: Path) -> None:
    """A game of ours that is not as this version wants it is put right."""
    register_all(api, tmp_path)
    owner, spec = Api.games[DEMO_GAME]
    Api.games[DEMO_GAME] = (owner, {**spec, "teams": spec["teams"][:3]})
    assert register_all(api, tmp_path) == []
    assert Api.games[DEMO_GAME][1]["teams"] == spec["teams"]


def test_game_of_somebody_else_is_left_alone(api: str, tmp_path: Path) -> None:
    """A game that another developer has under the same id stays as it is, and that is told."""
    Api.games["tanks"] = ("somebody", {"teams": []})
    assert register_all(api, tmp_path) == ["the game 'tanks' belongs to somebody else here and is left as it is"]
    assert Api.games["tanks"] == ("somebody", {"teams": []})


def test_account_that_redis_does_not_know_is_made_anew(api: str, tmp_path: Path) -> None:
    """With another Redis under the same folder the kept password is refused and a new account made."""
    register_all(api, tmp_path)
    Api.accounts, Api.games = {}, {}
    assert register_all(api, tmp_path) == []
    assert len(Api.accounts) == 1


def test_refusals_carry_status_and_sentence(api: str) -> None:
    """A refusal is an error with what the problem document says; an answer that is no JSON is its text."""
    with pytest.raises(Answer, match="GET /v1/games/none: no such game") as caught:
        Rest(api).call("GET", "/v1/games/none")
    assert caught.value.status == 404
    assert Rest(api).call("GET", "/text") == "plain words"


def test_absent_server_is_unavailable() -> None:
    """A connection that is refused is told as passing."""
    with pytest.raises(Unavailable, match="does not answer"):
        Rest(f"http://127.0.0.1:{free_port()}").call("GET", "/status")
