"""Players of the tanks for tests of a release: they queue and wait through the API. tests/duel.py plays."""

from __future__ import annotations

import urllib.request
from typing import Any

from core.cli.games import BUILT_IN
from core.cli.rest import Rest
from tests.chart.release import Release
from tests.cluster.api import until

MATCHED_S = 120.0  # a pod starts on two busy cores


def admin(release: Release, url: str) -> Rest:
    """The admin of the release's Secret, signed in."""
    rest = Rest(url)
    login = {"name": release.secret("admin-name"), "password": release.secret("admin-password")}
    rest.token = rest.call("POST", "/v1/login", login)["access_token"]
    return rest


def register_tanks(release: Release, url: str) -> None:
    """The admin registers the duel of tanks, which goes on until its players leave: an upgrade takes its time."""
    server = {"arena": {"time_limit_s": 3600, "score_limit": 0}}
    timers = {"start_s": 180, "join_s": 120, "empty_s": 10, "length_s": 3600}
    game = {**BUILT_IN["tanks"], "id": "tanks", "server": server, "timers": timers}
    admin(release, url).call("POST", "/v1/games", game)


def queue(url: str, name: str, game: str = "tanks") -> tuple[Rest, str]:
    """A new player who waits for a match."""
    player = Rest(url)
    player.token = player.call("POST", "/v1/guests", {"name": name})["access_token"]
    return player, player.call("POST", "/v1/tickets", {"game": game})["id"]


def completed(player: Rest, ticket: str, game: str = "tanks", *, within_s: float = MATCHED_S) -> dict[str, Any]:
    """The ticket once it is COMPLETED."""

    def there() -> dict[str, Any] | None:
        found: dict[str, Any] = player.call("GET", f"/v1/tickets/{game}/{ticket}")
        return found if found["status"] == "COMPLETED" else None

    found = until(there, f"ticket {ticket} COMPLETED", within_s=within_s)
    assert found is not None
    return found


def stream(url: str, player: Rest, ticket: str) -> str:
    """All that a ticket's stream of events says until it ends."""
    request = urllib.request.Request(f"{url}/v1/tickets/tanks/{ticket}/events")
    request.add_header("Authorization", f"Bearer {player.token}")
    with urllib.request.urlopen(request, timeout=MATCHED_S) as answer:
        return str(answer.read(), "utf-8")
