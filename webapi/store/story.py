"""What happened to a match, and to a player: read from the logs, the tickets, presence, logins and flags.

Nothing is written for it. Logs are looked through in bounded stretches, the beginning and the end of a match first, for
what lies between is play; where more was logged than that, the story says that it is partial.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Final

import msgspec

from core import keys
from core.errors import Invalid, NotFound
from core.presence import Session
from core.redis.batch import Batch
from core.redis.logreader import Entry, entry
from core.sinks.reading import messages
from webapi.records import ticket_record
from webapi.story_records import Told, of_body, of_flag, of_match, of_session, of_ticket, until_over

PAGE: Final = 500  # entries of a log, in one step of Redis
FACTS_MOST: Final = 10_000  # of a game, or of logins: as many as are kept
BATCHES: Final = 100  # of interactions, likewise: 6 MB where all are full
BATCHES_MOST: Final = 500  # of a shard, from each end of a match
LATE_MS: Final = 120_000  # what ends a match is logged within
MATCHES_MOST: Final = 20  # of a player
PLAYED_MOST: Final = 3  # of these, the latest, whose play is told
EVER_MS: Final = 2**53
TICKETS_MOST: Final = 64  # of a match
PLAYERS_MOST: Final = 64
COUNTED: Final = frozenset(
    {"tank_moved", "tank_shot", "tank_took_damage", "game_action"}
)  # too many to be told one by one

_session: Final = msgspec.json.Decoder(Session)


class Stories:
    """See the module. Every method raises Unavailable."""

    def __init__(self, batch: Batch) -> None:
        self._batch = batch

    async def of_match(self, game: str, match: str, now_ms: int) -> tuple[list[Told], bool, str]:
        """What happened to a match, whether something may be missing, and its state. Raises NotFound."""
        found = await self._batch.do("HGETALL", keys.match(game, match))
        if "doc" not in found:
            raise NotFound("there is no such match", code="no-such-match")
        facts = of_match(found)
        until = (facts.ended_ms or now_ms) + LATE_MS
        told, cut = await self._facts(keys.game(game), game, facts.created_ms - 1000, until, match)
        played, more = await self._play(game, match, facts.created_ms - 1000, until)
        told += played
        for ticket in facts.tickets[:TICKETS_MOST]:
            told += until_over(await self._ticket(game, ticket), match)
        over = facts.ended_ms or EVER_MS
        told += await self._sessions(game, facts.players[:PLAYERS_MOST], facts.created_ms, over)
        told += await self._flags(game, lambda body: body.get("match") == match)
        return told, cut or more, str(found["state"])

    async def of_player(self, game: str, player: str) -> tuple[list[Told], bool, list[str]]:
        """What happened to a player in a game: his latest matches with his tickets, sessions and flags."""
        told, cut = await self._latest(keys.game(game), game, player)
        created = [one for one in told if one.event == "new_match_created"]
        matches = list(dict.fromkeys(one.match for one in reversed(created)))[:MATCHES_MOST]
        docs = await self._batch.do_many([("HGETALL", keys.match(game, match)) for match in matches])
        base = keys.game(game)
        tickets = [await self._batch.do("HGET", f"{base}:open", player)]
        for number, (match, found) in enumerate(zip(matches, docs, strict=True)):
            if "doc" not in found:
                continue
            facts = of_match(found)
            tickets += [ticket for ticket, who in facts.seats if who == player]
            begin, until = facts.created_ms - 1000, (facts.ended_ms or facts.created_ms) + LATE_MS
            known, more = await self._facts(base, game, begin, until, match)
            played, missing = await self._play(game, match, begin, until) if number < PLAYED_MOST else ([], False)
            told += [one for one in [*known, *played] if one.player in ("", player)]
            cut = cut or more or missing
        for ticket in dict.fromkeys(filter(None, tickets)):
            told += await self._ticket(game, ticket)
        told += await self._sessions(game, [player], 0, EVER_MS)
        told += await self._flags(game, lambda body: body.get("player") == player)
        return told, cut, matches

    async def of_account(self, player: str) -> tuple[list[Told], bool]:
        """Who came in as a player, and how, in any game; and when he was online."""
        told, cut = await self._latest(keys.AUDIT, "", player)
        return [*told, *await self._sessions("", [player], 0, EVER_MS)], cut

    async def games_of_match(self, games: Sequence[str], match: str) -> list[str]:
        """In which of these games a match is: one, or none."""
        found = await self._batch.do_many([("EXISTS", keys.match(game, match)) for game in games])
        return [game for game, there in zip(games, found, strict=True) if there]

    async def games_of_player(self, games: Sequence[str], player: str) -> list[str]:
        """In which of these games a player waits, plays, or did something in the last 24 h."""
        found = await self._batch.do_many(
            [
                command
                for game in games
                for command in (
                    ("HEXISTS", f"{keys.game(game)}:open", player),
                    ("HEXISTS", f"{keys.game(game)}:playing", player),
                    ("ZSCORE", f"{keys.boards(game)}:activity", player),
                    ("HEXISTS", f"{keys.boards(game)}:since:score", player),
                )
            ]
        )
        return [game for n, game in enumerate(games) if any(found[4 * n : 4 * n + 4])]

    async def _facts(self, base: str, game: str, since_ms: int, until_ms: int, match: str) -> tuple[list[Told], bool]:
        """Facts of one match; those of matches are a few each, so its time is looked through whole."""
        told: list[Told] = []
        start = str(max(0, since_ms))
        for _ in range(FACTS_MOST // PAGE):
            rows = await self._batch.do("XRANGE", f"{base}:log", start, str(until_ms), "COUNT", PAGE)
            told += _told(game, (found for found in _entries(base, rows) if found.match == match))
            if len(rows) < PAGE:
                return told, False
            start = f"({rows[-1][0]}"
        return told, True

    async def _latest(self, base: str, game: str, player: str) -> tuple[list[Told], bool]:
        """Facts that name a player, of the latest ones."""
        told: list[Told] = []
        end = "+"
        for _ in range(FACTS_MOST // PAGE):
            rows = await self._batch.do("XREVRANGE", f"{base}:log", end, "-", "COUNT", PAGE)
            told += _told(game, (found for found in _entries(base, rows) if f'"{player}"' in found.payload))
            if len(rows) < PAGE:
                return told, False
            end = f"({rows[-1][0]}"
        return told, True

    async def _play(self, game: str, match: str, since_ms: int, until_ms: int) -> tuple[list[Told], bool]:
        """Who came and left, and what they did: events one by one, what there is much of as counts by player."""
        base = keys.shard(game, match)
        found: dict[str, Entry] = {}
        whole = True
        for backwards in (False, True):
            rows = await self._stretch(base, since_ms, until_ms, backwards=backwards)
            found |= {one.id: one for one in _entries(base, rows) if one.match == match}
            whole = len(rows) < BATCHES_MOST
            if whole:
                break
        batches = sorted(found.values(), key=lambda one: one.batch)
        return _summed(game, batches), not whole and len(batches) != (batches[-1].batch if batches else 0)

    async def _stretch(self, base: str, since_ms: int, until_ms: int, *, backwards: bool) -> list[Any]:
        found: list[Any] = []
        low, high = str(max(0, since_ms)), str(until_ms)
        while len(found) < BATCHES_MOST:
            command = ("XREVRANGE", f"{base}:log", high, low) if backwards else ("XRANGE", f"{base}:log", low, high)
            rows = await self._batch.do(*command, "COUNT", BATCHES)
            found += rows
            if len(rows) < BATCHES:
                break
            low, high = (low, f"({rows[-1][0]}") if backwards else (f"({rows[-1][0]}", high)
        return found

    async def _ticket(self, game: str, ticket: str) -> list[Told]:
        found = await self._batch.do("HGETALL", keys.ticket(game, ticket))
        return of_ticket(ticket_record(game, ticket, found)) if found else []

    async def _sessions(self, game: str, players: Sequence[str], since_ms: int, until_ms: int) -> list[Told]:
        bases = [keys.presence(keys.presence_number(player)) for player in players]
        rows = await self._batch.do_many(
            [("LRANGE", f"{base}:sessions:{player}", 0, -1) for base, player in zip(bases, players, strict=True)]
        )
        told: list[Told] = []
        for player, texts in zip(players, rows, strict=True):
            for session in map(_session.decode, texts):
                if session.game == game or not game:
                    told += [one for one in of_session(player, session) if since_ms <= one.at_ms <= until_ms]
        return told

    async def _flags(self, game: str, fits: Any) -> list[Told]:
        found = await self._batch.do("HVALS", f"{keys.game(game)}:flags")
        bodies = [msgspec.json.decode(text) for text in found]
        return [of_flag(game, body) for body in bodies if fits(body)]


def _entries(base: str, rows: Iterable[Any]) -> Iterator[Entry]:
    return (entry(base, row) for row in rows)


def _told(game: str, entries: Iterable[Entry]) -> Iterator[Told]:
    for one in entries:
        try:
            for message in messages(game, one):
                yield of_body(msgspec.json.decode(message.body))
        except Invalid:
            continue  # of another version


def _summed(game: str, batches: Sequence[Entry]) -> list[Told]:
    told: list[Told] = []
    sums: dict[str, dict[str, float]] = {}
    last: dict[str, int] = {}
    for one in batches:
        for event in _told(game, [one]):
            if event.event not in COUNTED:
                told.append(event)
                continue
            who = str(event.detail.get("attacker") or event.player)
            mine = sums.setdefault(who, {})
            mine[event.event] = mine.get(event.event, 0) + 1
            if event.event == "tank_took_damage":
                mine["damage"] = round(mine.get("damage", 0) + float(event.detail.get("damage") or 0), 1)
            last[who] = max(last.get(who, 0), event.at_ms)
    match = batches[0].match if batches else ""
    for who, detail in sums.items():
        told.append(Told(last[who], "played", "play", player=who, match=match, game=game, detail=detail))
    return told
