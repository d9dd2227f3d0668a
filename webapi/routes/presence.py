"""Presence: heartbeats, who is online, and how long somebody played."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final

from msgspec import UNSET

from core.errors import Forbidden, Invalid, NotFound, Unavailable
from core.ids import is_game_id
from core.model import Game
from core.playtime import Playing
from core.presence import DAY_MS, Session
from webapi import presence_documents as doc
from webapi import records
from webapi.context import Call
from webapi.endpoint import DEVELOPERS, PLAYERS, Table
from webapi.store.presence import Record, playing

TABLE: Final = Table("presence")


@TABLE.route("POST", "/v1/heartbeat", who=PLAYERS, errors=(NotFound, Unavailable))
async def beat(call: Call, body: doc.Beat) -> doc.Beaten:
    """You are there, playing this game. Open streams, long polls of a ticket and a running match say so by themselves.

    Where the game has limits to play-time that apply to you, the answer tells how you stand.
    """
    services, player = call.services, call.caller.player
    if not is_game_id(body.game):
        raise NotFound(f"there is no game {body.game!r}", code="no-such-game")
    game = await services.games.recent(body.game, call.now_ms)
    await services.beats.beat(game.id, player)
    settings = services.settings
    found = await services.presence.playing(game, player, call.now_ms)
    return doc.Beaten(
        settings.presence_interval_s, settings.presence_timeout_s, UNSET if found is None else shown_play(found)
    )


@TABLE.route("GET", "/v1/games/{game}/online", known=False, errors=(NotFound,))
async def online(call: Call) -> doc.Online:
    """How many play this game now, or wait to."""
    game = await call.services.games.recent(call.path("game"), call.now_ms)
    return doc.Online(game.id, (await call.services.presence.online([game.id]))[game.id])


@TABLE.route("GET", "/v1/games/{game}/players/{player}/playtime", who=PLAYERS, errors=(NotFound, Forbidden))
async def read(call: Call) -> doc.Playtime:
    """How long a player played this game: for the player, the game's developer, and admins."""
    game, player = await call.services.games.read(call.path("game")), call.path("player")
    if player != call.caller.player and call.caller.role != "admin" and call.caller.player != game.owner:
        raise Forbidden("play-time is told to the player and the game's developer", code="not-yours")
    return _shown(game, player, await call.services.presence.read(game, player), call.now_ms)


@TABLE.route("PUT", "/v1/games/{game}/players/{player}/limits", who=DEVELOPERS, errors=(NotFound, Forbidden))
async def limit(call: Call, body: doc.Limited) -> doc.Playtime:
    """Whether the game's limits to play-time apply to a player: for its developer, who knows who is a minor."""
    game, player = await owned(call), call.path("player")
    if game.spec.play is None or game.spec.play.applies_to != "listed":
        raise Invalid("the game's registration has no play limits that apply to listed players", pointer="/limited")
    await call.services.accounts.read(player)
    await call.services.presence.limit(game.id, player, limited=body.limited)
    return _shown(game, player, await call.services.presence.read(game, player), call.now_ms)


async def owned(call: Call) -> Game:
    """The game of the path, if the caller is its developer or an admin. Raises NotFound, Forbidden."""
    game = await call.services.games.read(call.path("game"))
    if call.caller.role != "admin" and call.caller.player != game.owner:
        raise Forbidden(f"the game {game.id!r} is another developer's", code="not-yours")
    return game


def shown_play(found: Playing) -> doc.Play:
    """The limits as players are told of them."""
    return doc.Play(
        allowed=found.allowed,
        warn=found.warn,
        why=found.why,
        left_s=UNSET if found.left_s is None else found.left_s,
        retry_after_s=UNSET if found.allowed else found.retry_after_s,
    )


def _shown(game: Game, player: str, record: Record, now_ms: int) -> doc.Playtime:
    limits, running = playing(game, record, now_ms), record.running
    return doc.Playtime(
        game=game.id,
        player=player,
        online=running is not None,
        limited=record.limited,
        utc_offset_min=game.spec.play.utc_offset_min if game.spec.play is not None else 0,
        days=[
            doc.PlayedDay(datetime.fromtimestamp(day * DAY_MS / 1000, UTC).date().isoformat(), ms // 1000)
            for day, ms in sorted(record.days.items(), reverse=True)
        ],
        sessions=[_session(it) for it in record.sessions],
        since=UNSET if running is None else records.iso(running.began_ms),
        heard_at=UNSET if running is None else records.iso(running.ended_ms),
        play=UNSET if limits is None else shown_play(limits),
    )


def _session(session: Session) -> doc.PlayedSession:
    lasted_ms = max(0, session.ended_ms - session.began_ms)
    return doc.PlayedSession(records.iso(session.began_ms), records.iso(session.ended_ms), lasted_ms // 1000)
