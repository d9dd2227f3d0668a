"""The games that a stack on one machine brings along, and how they get there: through the API, like any other.

They belong to a developer account of the stack itself, whose name and password are made once and kept in the data
folder.
"""

from __future__ import annotations

import secrets
from pathlib import Path
from typing import Any, Final

import msgspec

from core.cli.folder import replace_private
from core.cli.rest import Answer, Rest

ACCOUNT: Final = "operator.json"
DEMO_GAME: Final = "tanks-10"
DEMO_PLAYERS: Final = 10
DEMO_LENGTH_S: Final = 10  # long enough for a thousand interactions, short enough to watch to its end


def _alone(number: int) -> dict[str, Any]:
    return {"name": f"tank {number}", "min_players": 1, "max_players": 1}


BUILT_IN: Final[dict[str, dict[str, Any]]] = {
    "tanks": {
        "name": "Tanks, a duel",
        "teams": [
            {"name": "red", "min_players": 1, "max_players": 1},
            {"name": "blue", "min_players": 1, "max_players": 1},
        ],
        # Long enough for a fight, short enough that a visitor sees the end of a match.
        "server": {"arena": {"time_limit_s": 90, "score_limit": 5}},
        "timers": {"join_s": 30, "empty_s": 10, "length_s": 300},
    },
    DEMO_GAME: {
        "name": "Tanks, everyone for themselves",
        "teams": [_alone(number) for number in range(1, DEMO_PLAYERS + 1)],
        "server": {"arena": {"time_limit_s": DEMO_LENGTH_S, "score_limit": 0}},
        "timers": {"join_s": 30, "empty_s": 5, "length_s": 60},
    },
}


class Account(msgspec.Struct, frozen=True):
    """Who owns the built-in games."""

    name: str
    password: str


def register_all(url: str, folder: Path) -> list[str]:
    """Make the API have the built-in games as they are here. Returns sentences about what was not as expected.

    Raises Answer for a refusal that is not understood, Unavailable.
    """
    rest = _sign_in(url, folder)
    return [said for game, spec in BUILT_IN.items() if (said := _register(rest, game, spec))]


def register(url: str, folder: Path, game: str, spec: dict[str, Any]) -> str | None:
    """Make the API have this one. Returns a sentence where it is somebody else's. Raises as `register_all`."""
    return _register(_sign_in(url, folder), game, spec)


def _register(rest: Rest, game: str, spec: dict[str, Any]) -> str | None:
    try:
        rest.call("POST", "/v1/games", {"id": game, **spec})
    except Answer as refusal:
        if refusal.status != 409:
            raise
    else:
        return None
    try:
        found = rest.call("GET", f"/v1/games/{game}")
        if not _covers(found.get("spec", found), spec):
            rest.call("PUT", f"/v1/games/{game}", spec)
    except Answer as refusal:
        if refusal.status != 403:
            raise
        return f"the game {game!r} belongs to somebody else here and is left as it is"
    return None


def _covers(found: Any, wanted: Any) -> bool:
    """Whether `found` says everything that `wanted` says; what only `found` has are defaults."""
    if isinstance(wanted, dict):
        return isinstance(found, dict) and all(_covers(found.get(key), value) for key, value in wanted.items())
    if isinstance(wanted, list):
        return (
            isinstance(found, list)
            and len(found) == len(wanted)
            and all(_covers(f, w) for f, w in zip(found, wanted, strict=True))
        )
    return bool(found == wanted)


def _sign_in(url: str, folder: Path) -> Rest:
    """A client that is signed in as the owner; the account is made where this Redis does not know it."""
    path = folder / ACCOUNT
    rest = Rest(url)
    try:
        account = msgspec.json.decode(path.read_bytes(), type=Account)
        rest.token = rest.call("POST", "/v1/login", account)["access_token"]
    except (FileNotFoundError, msgspec.DecodeError):
        return _sign_up(rest, path)
    except Answer as refusal:
        if refusal.status != 401:
            raise
        return _sign_up(rest, path)
    return rest


def _sign_up(rest: Rest, path: Path) -> Rest:
    account = Account(f"muster-{secrets.token_hex(4)}", secrets.token_urlsafe(24))
    made = rest.call("POST", "/v1/accounts", {"name": account.name, "password": account.password, "role": "developer"})
    replace_private(path, msgspec.json.encode(account))
    rest.token = made["access_token"]
    return rest
