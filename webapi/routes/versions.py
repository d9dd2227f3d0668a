"""Versions of a game: listed and compared, rolled back, a candidate tried on a share of new matches. docs/games.md."""

from __future__ import annotations

from typing import Final

from msgspec import UNSET, UnsetType

from core.errors import Conflict, Forbidden, NotFound
from core.model import Game
from core.versions import Outcomes, check_candidate, check_share
from webapi import documents
from webapi import version_documents as doc
from webapi.context import Call
from webapi.endpoint import DEVELOPERS, Table
from webapi.problems import PreconditionFailed
from webapi.records import iso
from webapi.routes.games import IF_MATCH, checked, own_game, tagged
from webapi.store.versions import Kept

TABLE: Final = Table("versions")

PATH: Final = "/v1/games/{game}/versions"
CANARY: Final = "/v1/games/{game}/canary"
REFUSED: Final = (NotFound, Conflict, Forbidden, PreconditionFailed)


@TABLE.route("GET", PATH, who=DEVELOPERS, errors=(NotFound, Forbidden))
async def every(call: Call) -> doc.VersionList:
    """The current version, the last ones, the canary, and what came of the matches of each."""
    return await _listed(call, await own_game(call))


@TABLE.route("GET", PATH + "/{version}", who=DEVELOPERS, errors=(NotFound, Forbidden))
async def one(call: Call) -> documents.Registration:
    """A version as it was registered."""
    game = await own_game(call)
    return tagged(call, await call.services.versions.read(game.id, int(call.path("version"))))


@TABLE.route("POST", "/v1/games/{game}/rollback", who=DEVELOPERS, errors=REFUSED, header=IF_MATCH)
async def roll_back(call: Call, body: doc.Rollback) -> documents.Registration:
    """New matches get an older version again, as a new version equal to it. A canary that is tried is aborted.

    What was registered before is checked as if it came now: this installation may not allow it any more.
    """
    game = await own_game(call)
    old = await call.services.versions.read(game.id, body.version)
    why = f"rolled back to version {body.version}"
    made = await call.services.games.change(game, checked(call, game.id, old.spec), call.now_ms, instead=why)
    call.services.bell.ring("queue", [game.id])
    return tagged(call, made)


@TABLE.route("PUT", CANARY, who=DEVELOPERS, errors=REFUSED, header=IF_MATCH)
async def try_out(call: Call, body: doc.NewCanary) -> doc.VersionList:
    """Try a candidate on a share of new matches, or change that share. If-Match names the current version.

    It differs from the current version in what runs, not in its rules. Where it fails clearly more often it is stopped.
    """
    game = await own_game(call)
    check_share(body.percent)
    if body.spec is None:
        await call.services.versions.change_share(game, body.percent, call.now_ms)
    else:
        spec = checked(call, game.id, body.spec)
        check_candidate(game.spec, spec, game.version)
        await call.services.versions.try_out(game, spec, body.percent, call.now_ms)
    call.services.bell.ring("queue", [game.id])
    return await _listed(call, game)


@TABLE.route("POST", CANARY + "/promote", who=DEVELOPERS, errors=REFUSED, header=IF_MATCH)
async def promote(call: Call, body: doc.CanaryNamed) -> documents.Registration:
    """The canary becomes the current version. The same again is fine; 409 where it ended otherwise meanwhile."""
    game = await own_game(call)
    how = await call.services.versions.end(game, body.version, "promoted", "", call.now_ms)
    if how != "promoted":
        raise Conflict(f"version {body.version} was {how}: it is no canary any more", code="canary-over")
    call.services.bell.ring("queue", [game.id])
    return tagged(call, await call.services.games.read(game.id))


@TABLE.route("DELETE", CANARY, who=DEVELOPERS, status=204, errors=REFUSED, header=IF_MATCH)
async def abort(call: Call) -> None:
    """Try the canary no more. Matches that it has play on."""
    game = await own_game(call)
    kept = await call.services.versions.kept(game)
    if kept.canary is None:
        raise NotFound(f"no version of {game.id!r} is tried as a canary", code="no-canary")
    await call.services.versions.end(game, kept.canary.game.version, "aborted", "by its developer", call.now_ms)
    call.services.bell.ring("queue", [game.id])


async def _listed(call: Call, game: Game) -> doc.VersionList:
    kept = await call.services.versions.kept(game)
    tried = kept.canary.game.version if kept.canary else 0
    states = {game.version: "current", tried: "canary"}
    return doc.VersionList(
        game.id,
        game.version,
        [
            doc.Version(
                it.version,
                iso(it.updated_ms),
                states.get(it.version, "kept"),
                doc.figures(kept.outcomes.get(it.version, Outcomes())),
            )
            for it in kept.versions
        ],
        _canary(kept),
        UNSET if kept.over is None else doc.CanaryOver(
            kept.over.version, kept.over.how, kept.over.why, iso(kept.over.at_ms)
        ),
    )  # fmt: skip


def _canary(kept: Kept) -> doc.TriedCanary | UnsetType:
    canary = kept.canary
    if canary is None:
        return UNSET
    both = (doc.figures(kept.since.get(it, Outcomes())) for it in (canary.game.version, kept.current.version))
    return doc.TriedCanary(canary.game.version, canary.percent, iso(canary.since_ms), *both)
