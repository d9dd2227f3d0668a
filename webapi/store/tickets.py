"""Tickets in Redis: made, read, ended, and kept alive by those who wait for them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

import msgspec

from core import keys
from core.errors import Conflict, NotFound, TooMany
from core.lifecycle import TicketState
from core.model import Game, TicketPlayer
from core.redis.batch import Batch
from core.redis.client import function_call
from webapi.problems import TicketOpen
from webapi.records import Joining, TicketRecord, joining, seat_ticket, ticket_record

SEEN_AT_ONCE: Final = 500  # tickets of one `tickets_seen`: Redis serves nobody else meanwhile
READ_AT_ONCE: Final = 1000

Address = tuple[str, str]  # game, ticket


class Tickets:
    """See the module. Every method raises Unavailable."""

    def __init__(self, batch: Batch) -> None:
        self._batch = batch

    async def create(
        self, game: Game, ticket: str, players: Sequence[TicketPlayer], asker: str, now_ms: int, trace: str = ""
    ) -> None:
        """Put a ticket into the queue. The same ticket again is fine. `trace` is what the client brought, if anything.

        Raises TicketOpen (a player already waits), TooMany (the queue is full, or a player turned down too many
        matches), Conflict (the game takes no tickets), NotFound (there is no such game any more).
        """
        most = game.spec.limits.queued_tickets
        ids = [player.id for player in players]
        reply = await self._batch.call(
            "ticket_create", keys.game(game.id), ticket, now_ms, most, msgspec.json.encode(players), trace, *ids
        )
        match reply[0]:
            case "ok":
                return
            case "open" if reply[1] == asker:
                raise TicketOpen(
                    f"you already wait for a match of {game.id!r}: cancel ticket {reply[2]} first", ticket=reply[2]
                )
            case "open":
                raise TicketOpen(f"player {reply[1]} of the party already waits for a match of {game.id!r}")
            case "cancels":
                retry_after_s = int(reply[2]) // 1000 + 1
                who = "you" if reply[1] == asker else f"player {reply[1]} of the party"
                raise TooMany(
                    f"{who} turned down {game.spec.limits.cancels} matches of {game.id!r} lately",
                    retry_after_s=retry_after_s,
                    code="cancelled-too-often",
                )
            case "full":
                raise TooMany(
                    f"{most} tickets wait for {game.id!r}; it takes no more", retry_after_s=5, code="queue-full"
                )
        if await self._batch.do("EXISTS", keys.registration(game.id)):
            raise Conflict(f"the game {game.id!r} takes no new tickets", code="game-closed")
        raise NotFound(f"there is no game {game.id!r}", code="no-such-game")

    async def read(self, game: str, ticket: str, player: str) -> TicketRecord:
        """A ticket of this player. Raises NotFound, also for another's: whether it exists is not his business."""
        record = await self.find(game, ticket)
        if record.has(player):
            return record
        raise NotFound("you have no such ticket", code="no-such-ticket")

    async def current(self, game: str, player: str) -> str:
        """The player's ticket in this game: the one that waits, else that of the match in which he has a seat, else ''.

        Who left the match, by his own will or by not coming back in time, has no seat, nor who was turned out.
        """
        base = keys.game(game)
        ticket, match = await self._batch.do_many(
            [("HGET", f"{base}:open", player), ("HGET", f"{base}:playing", player)]
        )
        if ticket or not match:
            return str(ticket or "")
        state, doc, left = await self._batch.do("HMGET", keys.match(game, match), "state", "doc", "left")
        return seat_ticket(state, doc, left, player)

    async def find(self, game: str, ticket: str) -> TicketRecord:
        """A ticket, whoever's. Raises NotFound."""
        found = await self._batch.do("HGETALL", keys.ticket(game, ticket))
        if not found:
            raise NotFound("you have no such ticket", code="no-such-ticket")
        return ticket_record(game, ticket, found)

    async def joining(self, record: TicketRecord, player: str) -> Joining | None:
        """How `player` joins the ticket's match; None while it cannot be joined."""
        if not record.match:
            return None
        key = keys.match(record.game, record.match)
        found = await self._batch.do("HMGET", key, "state", "connection", "doc", "standby")
        return joining(record.match, found, player)

    async def cancel(self, game: str, ticket: str, player: str, now_ms: int) -> list[str] | None:
        """End a ticket before its match can be played; the match that was found for it fails.

        `player` is who wants it ('' for none): turned down matches are counted. Returns the tickets that changed, this
        one and others of its match; None where it is too late. Cancelled before is fine, and changes nothing.
        """
        return await self._end(game, ticket, "cancelled", player, "", now_ms)

    async def reject(self, game: str, ticket: str, player: str, match: str, now_ms: int) -> list[str] | None:
        """`player` does not want the match ('' for whichever asks). As `cancel`, only while players are asked."""
        return await self._end(game, ticket, "rejected", player, match, now_ms)

    async def accept(self, game: str, ticket: str, player: str, match: str, now_ms: int) -> list[str] | None:
        """`player` of the ticket wants the match ('' for whichever asks). Accepted before is fine.

        Returns the tickets that changed: all of the match. None where nobody asks.
        """
        kind, _, *moved = await self._batch.call("ticket_accept", keys.game(game), ticket, player, now_ms, match)
        return moved if kind in ("ok", "repeat") else None

    async def _end(self, game: str, ticket: str, event: str, player: str, match: str, now_ms: int) -> list[str] | None:
        reply = await self._batch.call("ticket_end", keys.game(game), ticket, event, now_ms, event, player, match)
        if reply == ["illegal", TicketState.CANCELLED]:
            return []
        return list(reply[2:]) if reply[0] == "ok" else None

    async def seqs(self, addresses: Sequence[Address]) -> list[int]:
        """The seq of each ticket, 0 for one that is gone."""
        found: list[int] = []
        for i in range(0, len(addresses), READ_AT_ONCE):
            part = addresses[i : i + READ_AT_ONCE]
            replies = await self._batch.do_many([("HGET", keys.ticket(*address), "seq") for address in part])
            found += [int(reply or 0) for reply in replies]
        return found

    async def seen(self, addresses: Iterable[Address], now_ms: int) -> None:
        """Tell that somebody waits for these tickets."""
        games: dict[str, list[str]] = {}
        for game, ticket in addresses:
            games.setdefault(game, []).append(ticket)
        for game, tickets in games.items():
            for i in range(0, len(tickets), SEEN_AT_ONCE):
                part = tickets[i : i + SEEN_AT_ONCE]
                await self._batch.do_many([function_call("tickets_seen", keys.game(game), now_ms, *part)])
