"""Games: a developer registers what is to be started for a match."""

from __future__ import annotations

from typing import Final

from core.admission import check_server
from core.errors import Conflict, Forbidden, Invalid, NotFound
from core.model import Game, GameSpec
from core.registration import check_game
from webapi import documents as doc
from webapi import records
from webapi.context import Call
from webapi.endpoint import DEVELOPERS, Table
from webapi.problems import PreconditionFailed

TABLE: Final = Table("games")

IF_MATCH: Final = ("If-Match", "the version that is meant, in quotes; another one is refused")


@TABLE.route("GET", "/v1/games")
async def every(call: Call) -> doc.Registrations:
    """All games. A developer also sees what runs for his own."""
    return doc.Registrations([_shown(call, game) for game in await call.services.games.every()])


@TABLE.route("POST", "/v1/games", who=DEVELOPERS, status=201, errors=(Conflict,))
async def add(call: Call, body: doc.NewGame) -> doc.Registration:
    """Register a game."""
    spec = checked(call, body.id, body.spec())
    admin = call.caller.role == "admin"
    game = await call.services.games.add(body.id, call.caller.player, spec, call.now_ms, anybodys=admin)
    call.headers["Location"] = f"/v1/games/{game.id}"
    return tagged(call, game)


@TABLE.route("GET", "/v1/games/{game}", errors=(NotFound,))
async def read(call: Call) -> doc.Registration:
    """One game; its version is the ETag."""
    return tagged(call, await call.services.games.read(call.path("game")))


@TABLE.route(
    "PUT", "/v1/games/{game}", who=DEVELOPERS, errors=(NotFound, Conflict, PreconditionFailed), header=IF_MATCH
)
async def change(call: Call, body: GameSpec) -> doc.Registration:
    """Change a game; new matches take the new version. If-Match guards against another's change.

    The same again is no change, and no new version. 409 while a canary is tried: promote or abort it first.
    """
    game = await own_game(call)
    spec = checked(call, game.id, body)
    if spec == game.spec:
        return tagged(call, game)
    made = await call.services.games.change(game, spec, call.now_ms)
    call.services.bell.ring("queue", [game.id])
    return tagged(call, made)


@TABLE.route(
    "DELETE",
    "/v1/games/{game}",
    who=DEVELOPERS,
    status=204,
    errors=(NotFound, Conflict, PreconditionFailed),
    header=IF_MATCH,
)
async def remove(call: Call) -> None:
    """Forget a game that nobody waits for or plays. Its boards and items stay, and its id its owner's."""
    game = await own_game(call)
    await call.services.games.remove(game.id)
    call.services.bell.ring("queue", [game.id])


def checked(call: Call, game: str, spec: GameSpec) -> GameSpec:
    """The spec as it may be stored. Raises Invalid, Refused."""
    settings = call.services.settings
    check_server(spec.server, settings.admission)
    return check_game(game, spec, commands_allowed=settings.allow_commands, modules=settings.modules)


async def own_game(call: Call) -> Game:
    """The game of the path, if the caller may change it, and If-Match fits."""
    game = await call.services.games.read(call.path("game"))
    if not _owns(call, game):
        raise Forbidden(f"the game {game.id!r} is another developer's", code="not-yours")
    wanted = call.request.headers.get("If-Match", "*").strip()
    if wanted != "*":
        tags = [tag.strip() for tag in wanted.split(",")]
        if any(len(tag) < 2 or tag[0] != '"' or tag[-1] != '"' for tag in tags):
            raise Invalid('If-Match is the version in quotes, such as "3"', pointer="If-Match")
        if _tag(game) not in tags:
            raise PreconditionFailed(f"the game {game.id!r} is at version {game.version}: read it again")
    return game


def _owns(call: Call, game: Game) -> bool:
    caller = call.known
    return caller is not None and (caller.role == "admin" or caller.player == game.owner)


def _tag(game: Game) -> str:
    return f'"{game.version}"'


def tagged(call: Call, game: Game) -> doc.Registration:
    """The registration as the caller may see it; its version is the answer's ETag."""
    call.headers["ETag"] = _tag(game)
    return _shown(call, game)


def _shown(call: Call, game: Game) -> doc.Registration:
    return records.registration(game, whole=_owns(call, game))
