"""What is known of a player, piece by piece: each is told (export) and taken away (erasure) by the same module.

A piece of the installation is asked once, a piece of a game once for each game. Whoever keeps something new of players
adds a piece here. Keys that carry the player's id in their name are found and removed by `webapi.erasing` in any case;
pieces are for what stands within keys that others share, and for telling it.

What stays carries the player's id alone, which leads to nobody any more: the log of interactions, the audit of items,
events of presence, feeds, and the webhook's deliveries that were given up. His tickets and the documents of his matches
have his name until they end by themselves, 25 hours after they were over; what a match's sidecar keeps ends with it.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Final

import msgspec

from core import keys, packstore
from core.clock import now_ms
from core.errors import NotFound, Refused
from core.inventory import MOST_ENTRIES, Inventories
from core.items import MOST_ITEMS
from core.packs import read_pack
from core.presence import member
from core.redis.batch import Batch
from webapi.store import attempts
from webapi.store.boards import Boards
from webapi.store.parties import Parties
from webapi.store.tickets import Tickets

TAKES_MOST: Final = 64  # of what a player has, 32 kinds each; somebody may give him more meanwhile
ERASURE: Final = "erasure"
FACTS_AT_ONCE: Final = 500  # of the log of a game's matches: half a ms of Redis
FACTS_STEPS: Final = 100  # ... which has 40,000 at most
COMMANDS_TOLD: Final = ("state", "version", "accepted", "done", "epoch", "error", "clock", "ran")
TOLD_AS_JSON: Final = {"state", "error"}


@dataclass(frozen=True, slots=True)
class Stores:
    """Where pieces are."""

    batch: Batch
    tickets: Tickets
    boards: Boards
    parties: Parties


Told = AsyncIterator[tuple[str, Any]]


@dataclass(frozen=True, slots=True)
class Piece:
    """One kind of what is known: `tell(stores, game, player)` and `erase` of it; `game` is '' for the installation."""

    tell: Callable[[Stores, str, str], Told]
    erase: Callable[[Stores, str, str], Awaitable[None]]


async def _tell_account(stores: Stores, _: str, player: str) -> Told:
    found, sessions, api_keys, used = await stores.batch.do_many(
        [
            ("HGETALL", keys.account(player)),
            ("HGETALL", keys.sessions(player)),
            ("HGETALL", keys.api_keys(player)),
            ("HGETALL", keys.api_keys_used(player)),
        ]
    )
    yield "account", found
    for session, text in sessions.items():
        yield "session", {"id": session, "until_ms": msgspec.json.decode(text)["until_ms"]}
    for id_, text in api_keys.items():
        kept = {name: value for name, value in msgspec.json.decode(text).items() if name != "digest"}
        yield "api_key", {**kept, "used_ms": int(used.get(id_, 0))}


async def _erase_account(stores: Stores, _: str, player: str) -> None:
    own = (keys.sessions(player), keys.api_keys(player), keys.api_keys_used(player), keys.developer(player))
    await stores.batch.do_many([("DEL", key) for key in own])


async def _tell_play(stores: Stores, game: str, player: str) -> Told:
    base = keys.presence(keys.presence_number(player))
    if game:
        known = member(game, player)
        limited, heard, since = await stores.batch.do_many(
            [
                ("SISMEMBER", f"{base}:limited", known),
                ("ZSCORE", f"{base}:heard", known),
                ("HGET", f"{base}:since", known),
            ]
        )
        if limited:
            yield "play_limited", True
        if heard:
            yield "online", {"heard_ms": int(float(heard)), "since_ms": int(since or 0)}
        return
    days, sessions = await stores.batch.do_many(
        [("HGETALL", f"{base}:days:{player}"), ("LRANGE", f"{base}:sessions:{player}", 0, -1)]
    )
    if days:
        yield "played_ms", days
    for text in sessions:
        yield "played", msgspec.json.decode(text)


async def _erase_play(stores: Stores, game: str, player: str) -> None:
    """Who is online still goes offline by himself: what that writes is looked after at the end."""
    base = keys.presence(keys.presence_number(player))
    if game:
        await stores.batch.do("SREM", f"{base}:limited", member(game, player))
    else:
        await stores.batch.do_many([("DEL", f"{base}:days:{player}"), ("DEL", f"{base}:sessions:{player}")])


async def _tell_party(stores: Stores, _: str, player: str) -> Told:
    party = await stores.parties.of(player)
    if party is not None:
        own = [member for member in party.members if member.id == player]
        yield "party", {"code": party.code, "leader": party.leader == player, "member": msgspec.to_builtins(own[0])}


async def _erase_party(stores: Stores, _: str, player: str) -> None:
    party = await stores.parties.of(player)
    if party is not None:
        if party.ticket is not None:
            await stores.tickets.cancel(party.ticket.game, party.ticket.id, player, now_ms())
        await stores.parties.leave(party, player)
    await stores.batch.do_many([("DEL", keys.party_of(player)), ("DEL", keys.invitations(player))])


async def _tell_ticket(stores: Stores, game: str, player: str) -> Told:
    ticket = await stores.batch.do("HGET", f"{keys.game(game)}:open", player)
    if ticket:
        try:
            record = await stores.tickets.find(game, ticket)
        except NotFound:
            return
        yield "ticket", {"id": ticket, "status": record.state, "since_ms": record.since_ms}


async def _erase_ticket(stores: Stores, game: str, player: str) -> None:
    base = keys.game(game)
    ticket = await stores.batch.do("HGET", f"{base}:open", player)
    if ticket:
        await stores.tickets.cancel(game, ticket, "", now_ms())


async def _tell_seat(stores: Stores, game: str, player: str) -> Told:
    base = keys.game(game)
    match, cancels = await stores.batch.do_many(
        [("HGET", f"{base}:playing", player), ("ZRANGE", f"{base}:cancels:{player}", 0, -1, "WITHSCORES")]
    )
    if match:
        yield "playing", {"match": match}
    for turned_down, at_ms in cancels:
        yield "turned_down", {"match": turned_down, "at_ms": int(float(at_ms))}


async def _erase_seat(stores: Stores, game: str, player: str) -> None:
    base = keys.game(game)
    await stores.batch.do_many([("HDEL", f"{base}:playing", player), ("DEL", f"{base}:cancels:{player}")])
    # Facts of his matches have his name; what a sink has not carried goes in the last look.
    for log in (base, keys.facts(base), keys.facts(keys.shard(game, player))):
        start = "-"
        for _ in range(FACTS_STEPS):
            _, last = await stores.batch.call("facts_forget", log, player, start, FACTS_AT_ONCE)
            if not last:
                break
            start = f"({last}"


async def _tell_attempts(stores: Stores, _: str, player: str) -> Told:
    async for _id, event in attempts.of_player(stores.batch, player):
        yield "attempt", {name: value for name, value in event.items() if value != ""}


async def _erase_attempts(stores: Stores, _: str, player: str) -> None:
    await attempts.forget(stores.batch, player)


async def _tell_commands(stores: Stores, game: str, player: str) -> Told:
    base = keys.shard(game, player)
    known, packs = await stores.batch.do_many(
        [("HGETALL", f"{base}:commands:{player}"), ("LRANGE", f"{base}:packs:{player}", 0, -1)]
    )
    # Not which worker has them, nor what repeats are recognised by.
    told = {name: known[name] for name in COMMANDS_TOLD if name in known}
    for name in TOLD_AS_JSON & told.keys():
        told[name] = msgspec.json.decode(told[name])
    if told:
        yield "commands", told
    for text in packs:
        yield "pack", msgspec.to_builtins(read_pack(text))


async def _erase_commands(stores: Stores, game: str, player: str) -> None:
    await packstore.forget(stores.batch, game, player)


async def _tell_views(stores: Stores, game: str, player: str) -> Told:
    base = keys.shard(game, player)
    state, place = await stores.batch.do_many(
        [("HGETALL", f"{base}:player:{player}"), ("HGETALL", f"{base}:move:{player}")]
    )
    if state:
        yield "state", state
    if place:
        yield "position", place


async def _erase_views(stores: Stores, game: str, player: str) -> None:
    base = keys.shard(game, player)
    await stores.batch.do_many(
        [
            ("DEL", f"{base}:player:{player}"),
            ("DEL", f"{base}:move:{player}"),
            ("ZREM", f"{base}:near", player),
            ("SREM", f"{base}:near:polar", player),
            ("ZREM", f"{base}:near:until", player),
        ]
    )


async def _tell_boards(stores: Stores, game: str, player: str) -> Told:
    base = keys.boards(game)
    activity, since, seasons, modes, rating = await stores.batch.do_many(
        [
            ("ZSCORE", f"{base}:activity", player),
            ("HGET", f"{base}:since:score", player),
            ("HGETALL", f"{base}:seasons"),
            ("SMEMBERS", f"{base}:modes"),
            ("HGET", f"{base}:ratings", player),
        ]
    )
    if activity:
        yield "activity", float(activity)
    if since:
        yield "score", float(await stores.batch.do("ZSCORE", f"{base}:score", since + player) or 0)
    ratings = {"": rating} | {
        mode: await stores.batch.do("HGET", keys.ratings(game, mode), player) for mode in modes if mode
    }
    for mode, kept in ratings.items():
        if kept:
            yield "rating", {"mode": mode, "kept": kept}
    for field, text in seasons.items():
        number = field.removeprefix("e:")
        for board in msgspec.json.decode(text)["boards"] if number != field else ():
            archive = f"{base}:season:{number}"
            tie = await stores.batch.do("HGET", f"{archive}:since:{board}", player)
            if tie:
                value = await stores.batch.do("ZSCORE", f"{archive}:{board}", tie + player)
                yield "season", {"season": int(number), "board": board, "score": float(value or 0)}


async def _erase_boards(stores: Stores, game: str, player: str) -> None:
    base = keys.boards(game)
    modes = await stores.batch.do("SMEMBERS", f"{base}:modes")
    found = await stores.batch.do("GET", keys.registration(game))
    spec = msgspec.json.decode(found).get("spec", {}) if found else {}
    declared = (spec.get("rating") or {}).get("modes") or ()
    named = sorted({*modes, *(str(mode) for mode in declared)} - {""})
    await stores.batch.call("boards_forget", base, player, *named)


async def _tell_items(stores: Stores, game: str, player: str) -> Told:
    inventories = Inventories(stores.batch, game)
    for item in await inventories.inventory(player):
        yield "item", msgspec.to_builtins(item)
    for moved in await inventories.audit(player, limit=MOST_ENTRIES):
        yield "move", msgspec.to_builtins(moved)


async def _erase_items(stores: Stores, game: str, player: str) -> None:
    inventories = Inventories(stores.batch, game)
    for _ in range(TAKES_MOST):
        found = await inventories.inventory(player)
        if not found:
            break
        try:
            await inventories.take(player, found[:MOST_ITEMS], by=ERASURE)
        except Refused:
            break  # changed at this moment, or not whole: it goes in the next step
    await stores.batch.call("items_forget", keys.items(game), player)


async def _tell_flags(stores: Stores, game: str, player: str) -> Told:
    for text in await stores.batch.do("HVALS", f"{keys.game(game)}:flags"):
        flag = msgspec.json.decode(text)
        if flag.get("player") == player:
            yield "flag", flag


async def _erase_flags(stores: Stores, game: str, player: str) -> None:
    await stores.batch.call("flags_forget", keys.game(game), player)


INSTALLATION: Final = (
    Piece(_tell_account, _erase_account),
    Piece(_tell_play, _erase_play),
    Piece(_tell_party, _erase_party),
    Piece(_tell_attempts, _erase_attempts),
)
OF_A_GAME: Final = (
    Piece(_tell_play, _erase_play),
    Piece(_tell_ticket, _erase_ticket),
    Piece(_tell_seat, _erase_seat),
    Piece(_tell_commands, _erase_commands),
    Piece(_tell_views, _erase_views),
    Piece(_tell_boards, _erase_boards),
    Piece(_tell_items, _erase_items),
    Piece(_tell_flags, _erase_flags),
)
