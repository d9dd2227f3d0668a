"""What runs, for the operator page: every game with its queue, matches, and the servers that launchers see."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from msgspec import UNSET
from msgspec.structs import replace

from core import keys, packstore
from core.drain import applying, read_orders
from core.insight import Figures
from core.lifecycle import MatchState
from core.model import Game
from core.redis.batch import Batch
from core.redis.logreader import entry_ms
from core.rules import rules_of
from core.stored_versions import CANARY_FIELDS, as_mapping, read_canary
from core.versions import Outcomes, outcomes
from webapi.overview_documents import (
    GameOverview,
    MatchOverview,
    Overview,
    PacksOverview,
    ReaderOverview,
    VersionOverview,
)
from webapi.records import game_decoder, iso, match_decoder, parsed
from webapi.store.presence import Presence
from webapi.store.queues import figures
from webapi.store.supplies import numbers, told_of
from webapi.supply_records import row_of

GAMES_MOST: Final = 100  # shown; an overview is for eyes
LIVE_MOST: Final = 50  # of a game
OVER_MOST: Final = 10  # of a game
SERVERS_MOST: Final = 500


class OverviewReader:
    """See the module. Raises Unavailable."""

    def __init__(self, batch: Batch) -> None:
        self._batch = batch
        self._presence = Presence(batch)

    async def read(self, now_ms: int) -> Overview:
        """Two round trips more than there are kinds of things; nothing here is atomic, nor need be."""
        ids, servers, drains = await self._batch.do_many(
            [("SMEMBERS", keys.GAMES), ("HGETALL", keys.SERVERS), ("HGETALL", keys.DRAINS)]
        )
        orders = read_orders(drains)
        found = await self._batch.do_many([command for game in sorted(ids)[:GAMES_MOST] for command in _asked(game)])
        games: list[GameOverview] = []
        wanted: list[tuple[str, str]] = []
        behind: dict[str, float] = {}
        for i in range(0, len(found), ASKED):
            text, waiting, oldest, live, shown, recent, stats, told, plan, spent, readers, last, *versions = found[
                i : i + ASKED
            ]
            if text is None:
                continue
            game = game_decoder.decode(text)
            shown_game = _game(game, waiting, oldest, live, stats, figures(told), now_ms)
            supply = row_of(game.spec.supply, told_of(plan), numbers(spent))
            draining = applying(orders, game.id) is not None
            told_game = replace(shown_game, supply=supply, draining=draining)
            games.append(_with_versions(told_game, game, *versions))
            _behind(readers, last, behind)
            wanted += [(game.id, match) for match in dict.fromkeys([*shown, *recent])]
        matches = await self._batch.do_many([("HGETALL", keys.match(*address)) for address in wanted])
        packs = await self._packs([game.id for game in games if game.packs is not UNSET], now_ms)
        return Overview(
            games=await self._with_online(games, packs),
            matches=[_match(fields) for fields in matches if "doc" in fields],
            servers=_servers(servers),
            readers=[ReaderOverview(name, behind_s) for name, behind_s in sorted(behind.items())],
        )

    async def _packs(self, games: list[str], now_ms: int) -> dict[str, PacksOverview]:
        """What waits of delayed commands, summed over each game's shards."""
        wanted = [command for game in games for base in keys.shards(game) for command in _packs_asked(base)]
        found = await self._batch.do_many(wanted)
        size = 2 * keys.SHARDS
        return {game: _packs_of(found[i * size : (i + 1) * size], now_ms) for i, game in enumerate(games)}

    async def _with_online(self, games: list[GameOverview], packs: dict[str, PacksOverview]) -> list[GameOverview]:
        online = await self._presence.online([game.id for game in games])
        return [replace(game, online=online[game.id], packs=packs.get(game.id, UNSET)) for game in games]


def _packs_asked(base: str) -> list[tuple[str | int, ...]]:
    return [
        ("HMGET", f"{base}:packs-stats", *packstore.STATS),
        ("ZRANGE", f"{base}:packs-since", 0, 0, "WITHSCORES"),
    ]


def _packs_of(found: list[Any], now_ms: int) -> PacksOverview:
    stats, oldest = found[::2], [since[0][1] for since in found[1::2] if since]
    _, executed, failed, skipped = (sum(int(shard[i] or 0) for shard in stats) for i in range(4))
    oldest_s = round(max(0.0, (now_ms - min(oldest)) / 1000), 1) if oldest else 0.0
    return PacksOverview(sum(map(packstore.waiting_of, stats)), oldest_s, executed, failed, skipped)


NOTHING: Final = PacksOverview(0, 0.0, 0, 0, 0)


def _asked(game: str) -> list[tuple[str | int, ...]]:
    base = keys.game(game)
    return [
        ("GET", keys.registration(game)),
        ("ZCARD", f"{base}:queue"),
        ("ZRANGE", f"{base}:queue", 0, 0, "WITHSCORES"),
        ("ZCARD", f"{base}:live"),
        ("ZRANGE", f"{base}:live", 0, LIVE_MOST - 1),
        ("LRANGE", f"{base}:recent", 0, OVER_MOST - 1),
        ("HGETALL", f"{base}:stats"),
        ("GET", f"{base}:figures"),
        ("GET", f"{base}:plan"),
        ("HGETALL", f"{base}:supply"),
        ("HGETALL", f"{base}:readers"),
        ("XREVRANGE", f"{base}:log", "+", "-", "COUNT", 1),
        ("HMGET", f"{base}:canary", *CANARY_FIELDS),
        ("HGETALL", f"{base}:outcomes"),
        ("HGET", keys.versions(game), "over"),
    ]


ASKED: Final = len(_asked("x"))


def _behind(readers: Mapping[str, str], last: list[Any], found: dict[str, float]) -> None:
    """How far each reader of a game's log is behind it, s: the most over all games. It reads a game's logs together."""
    for name, text in readers.items():
        at = parsed(text, {}).get("at", "0-0")
        behind_s = (entry_ms(last[0][0]) - entry_ms(at)) / 1000 if last and at != "0-0" else 0.0
        found[name] = max(found.get(name, 0.0), round(max(0.0, behind_s), 1))


def _game(
    game: Game,
    waiting: int,
    oldest: list[tuple[str, float]],
    live: int,
    stats: Mapping[str, str],
    told: Figures | None,
    now_ms: int,
) -> GameOverview:
    wait_ms = now_ms - oldest[0][1] if oldest else 0
    return GameOverview(
        id=game.id,
        name=game.spec.name,
        accepting=game.spec.accepting,
        players_per_match=rules_of(game).most_players,
        waiting=waiting,
        oldest_wait_s=round(max(0.0, wait_ms / 1000), 1),
        live=live,
        stats={name: int(value) for name, value in stats.items()},
        matched=told.lately.matched_tickets if told else UNSET,
        waits=told.lately.waits if told and told.lately.waits else UNSET,
        packs=NOTHING if game.spec.commands else UNSET,
    )


def _with_versions(
    shown: GameOverview, game: Game, row: list[str | None], counted: Any, over: str | None
) -> GameOverview:
    """With what new matches get, for a game that changed or has a canary."""
    canary = read_canary(row)
    if game.version == 1 and canary is None:
        return shown
    found = outcomes(as_mapping(counted), canary.before if canary else None)
    share = canary.percent if canary else 0.0
    versions = [(game.version, False, 100.0 - share), *([(canary.game.version, True, share)] if canary else [])]
    last = parsed(over, {})
    return replace(
        shown,
        versions=[
            VersionOverview(number, tried, percent, (of := found.get(number, Outcomes())).judged, of.faults)
            for number, tried, percent in versions
        ],
        last_canary=f"{last['version']} {last['how']}" if last else "",
    )


def _match(found: Mapping[str, str]) -> MatchOverview:
    match = match_decoder.decode(found["doc"])
    return MatchOverview(
        id=match.id,
        game=match.game,
        state=MatchState(found["state"]),
        reason=found.get("reason", ""),
        players=len(match.players),
        created_at=iso(match.created_ms),
        server=found.get("server", ""),
        server_state=found.get("server_state", ""),
        figures=parsed(found.get("figures"), {}),
    )


def _servers(found: Mapping[str, str]) -> list[dict[str, Any]]:
    """Each launcher tells a list of what it sees; whose it is stands beside each."""
    shown: list[dict[str, Any]] = []
    for launcher, text in sorted(found.items()):
        told = parsed(text, [])
        for server in told if isinstance(told, list) else [told]:
            if isinstance(server, dict) and len(shown) < SERVERS_MOST:
                shown.append({"launcher": launcher, **server})
    return shown
