"""What was counted, what cannot be right, and what happened: for developers of their own games, for admins of all."""

from __future__ import annotations

from typing import Final

from core.errors import Forbidden, Invalid, NotFound
from core.ids import is_id
from webapi import story_documents as doc
from webapi.context import Call
from webapi.endpoint import ADMINS, DEVELOPERS, Table
from webapi.store.analytics import MINUTES_MOST
from webapi.story_records import Told, in_order

TABLE: Final = Table("analytics")

FLAGS_MOST: Final = 500
FLAGGED_GAMES_MOST: Final = 1000


@TABLE.route("GET", "/v1/analytics", who=ADMINS, errors=(Invalid,))
async def of_all(call: Call, query: doc.MinutesQuery) -> doc.Analytics:
    """Logins and whatever else is of no game, by the minute. Counted by `python -m core.analytics`."""
    return await call.services.counted.read("", _minutes(query), call.now_ms)


@TABLE.route("GET", "/v1/games/{game}/analytics", who=DEVELOPERS, errors=(NotFound, Forbidden, Invalid))
async def of_game(call: Call, query: doc.MinutesQuery) -> doc.Analytics:
    """What happened in a game, by the minute: matches, players, interactions by kind, damage. Kept for a day."""
    game = await _own(call)
    return await call.services.counted.read(game, _minutes(query), call.now_ms)


@TABLE.route("GET", "/v1/flags", who=ADMINS, errors=(Invalid,))
async def flags(call: Call, query: doc.FlagQuery) -> doc.Flags:
    """What cannot be right, of all games, and storms of failed logins."""
    games = ["", *(game.id for game in await call.services.games.every())][:FLAGGED_GAMES_MOST]
    return await _flags(call, games, query)


@TABLE.route("GET", "/v1/games/{game}/flags", who=DEVELOPERS, errors=(NotFound, Forbidden, Invalid))
async def flags_of_game(call: Call, query: doc.FlagQuery) -> doc.Flags:
    """What cannot be right in a game: a tank too fast, damage too high."""
    return await _flags(call, [await _own(call)], query)


@TABLE.route("GET", "/v1/search", who=DEVELOPERS, errors=(NotFound,))
async def search(call: Call, query: doc.SearchQuery) -> doc.Found:
    """Where a match or a player is, by id; for admins also a player by the name he logs in with.

    Of a player: the games in which he waits, plays, or did something within a day. Of developers: their own games.
    """
    what, services, admin = query.what.strip(), call.services, call.caller.role == "admin"
    games = [game.id for game in await services.games.every() if admin or game.owner == call.caller.player]
    if is_id("match", what):
        found = await services.stories.games_of_match(games, what)
        if found:
            return doc.Found("match", what, found)
        raise NotFound("there is no such match, or it has been over for more than a day", code="no-such-match")
    if not is_id("player", what):
        record = await services.accounts.login(what) if admin and what else None
        if record is None:
            raise NotFound("this is the id of no match (m-...) and no player (p-...), nor a name", code="not-found")
        what = record.account.player
    found = await services.stories.games_of_player(games, what)
    return doc.Found("player", what, found, await _name(call, what) if found or admin else "")


@TABLE.route("GET", "/v1/matches/{game}/{match}/story", who=DEVELOPERS, errors=(NotFound,))
async def of_match(call: Call) -> doc.Story:
    """All that happened to a match and its tickets, in order. Who may not see it is told that there is none."""
    game, match = call.path("game"), call.path("match")
    if not await call.is_insider(game):
        raise NotFound("there is no such match", code="no-such-match")
    told, partial, state = await call.services.stories.of_match(game, match, call.now_ms)
    return doc.Story(await _shown(call, told), partial, game=game, match=match, state=state)


@TABLE.route("GET", "/v1/games/{game}/players/{player}/story", who=DEVELOPERS, errors=(NotFound, Forbidden))
async def of_player(call: Call) -> doc.Story:
    """What happened to a player in a game: tickets, his latest matches, when he was online, what cannot be right."""
    game, player = await _own(call), call.path("player")
    told, partial, matches = await call.services.stories.of_player(game, player)
    shown = await _shown(call, told)
    return doc.Story(shown, partial, game=game, player=player, name=await _name(call, player), matches=matches)


@TABLE.route("GET", "/v1/players/{player}/story", who=ADMINS, errors=(NotFound,))
async def of_account(call: Call) -> doc.Story:
    """How a player came in, and when he was online, in all games."""
    player = call.path("player")
    told, partial = await call.services.stories.of_account(player)
    return doc.Story(await _shown(call, told), partial, player=player, name=await _name(call, player))


async def _flags(call: Call, games: list[str], query: doc.FlagQuery) -> doc.Flags:
    counted, limit = call.services.counted, _limit(query)
    found = await counted.flags(games, limit)
    return doc.Flags(found, *await counted.counter(games[0], call.now_ms))


async def _own(call: Call) -> str:
    """The game of the path, if the caller may see its inside. Raises NotFound, Forbidden."""
    game = (await call.services.games.recent(call.path("game"), call.now_ms)).id
    if not await call.is_insider(game):
        raise Forbidden(f"the game {game!r} is another developer's", code="not-yours")
    return game


async def _shown(call: Call, told: list[Told]) -> list[doc.StoryEvent]:
    players = {one.player for one in told if is_id("player", one.player)}  # a server may tell anything
    return in_order(told, await call.services.accounts.names(sorted(players)))


async def _name(call: Call, player: str) -> str:
    return (await call.services.accounts.names([player])).get(player, "")


def _minutes(query: doc.MinutesQuery) -> int:
    if not 1 <= query.minutes <= MINUTES_MOST:
        raise Invalid(f"ask for 1 to {MINUTES_MOST} minutes", pointer="minutes")
    return query.minutes


def _limit(query: doc.FlagQuery) -> int:
    if not 1 <= query.limit <= FLAGS_MOST:
        raise Invalid(f"ask for 1 to {FLAGS_MOST} flags", pointer="limit")
    return query.limit
