"""Queues: why a ticket still waits, and how a game's queue goes."""

from __future__ import annotations

import time
from typing import Final

import msgspec

from core.clock import now_ms
from core.errors import Conflict, Forbidden, NotFound, TooMany, Unavailable
from core.insight import WhyNot
from core.lifecycle import WAITING_TICKET
from webapi import sentences
from webapi.context import Call
from webapi.endpoint import DEVELOPERS, PLAYERS, Table
from webapi.queue_documents import Queue, WhyNotYet
from webapi.store.tickets import Address

TABLE: Final = Table("queues")

WAIT_S: Final = 2.0  # for the matchmaker: it answers in milliseconds, or within a second where a ring was lost
AGAIN_S: Final = 0.5  # how late a lost ring is made good
NO_ANSWER: Final = {
    "asked": ("the game's matchmaker has not looked at this ticket yet: ask again", "not-searched"),
    "full": ("too many ask about this game's queue at the same time: ask again", "busy"),
    "nobody": ("no matchmaker works this game at the moment: ask again", "no-matchmaker"),
}


@TABLE.route("GET", "/v1/tickets/{game}/{ticket}/why", who=PLAYERS, errors=(NotFound, Conflict, TooMany))
async def why(call: Call) -> WhyNotYet:
    """Why a ticket has no match yet: the rule that stands in the way most, the values it saw, and when it relaxes.

    For the ticket's players, the game's developer and admins. The answer may be a few seconds old (`age_s`). 409 once
    the ticket waits no longer; 503, with Retry-After, where no matchmaker has looked at it yet.
    """
    address = call.path("game"), call.path("ticket")
    call.headers["Cache-Control"] = "no-store"
    record = await call.services.tickets.find(*address)
    if not record.has(call.caller.player) and not await call.is_insider(record.game):
        raise NotFound("you have no such ticket", code="no-such-ticket")
    if record.has(call.caller.player):
        call.services.streams.was_read(address)
    told: WhyNot | str = "past"
    if record.state in WAITING_TICKET:
        told = await _ask(call, address, record.seq)
    if told == "past":
        record = await call.services.tickets.find(*address)
        raise Conflict(f"the ticket is {record.state}, past waiting", code="past-waiting")
    if isinstance(told, str):
        detail, code = NO_ANSWER[told]
        raise Unavailable(detail, retry_after_s=2, code=code)
    return msgspec.structs.replace(sentences.why_document(told, now_ms()), trace=record.trace)


@TABLE.route("GET", "/v1/games/{game}/queue", who=DEVELOPERS, errors=(NotFound,))
async def queue(call: Call) -> Queue:
    """How a game's queue goes: who waits, how long it took lately, which rules turn tickets away, who works it."""
    game = await call.services.games.recent(call.path("game"), call.now_ms)
    if not await call.is_insider(game.id):
        raise Forbidden(f"the game {game.id!r} is another developer's", code="not-yours")
    facts, told = await call.services.queues.read(game.id, call.now_ms)
    return sentences.queue_document(facts, told, call.now_ms)


async def _ask(call: Call, address: Address, seq: int) -> WhyNot | str:
    """The matchmaker's answer, or why there is none. Raises TooMany, Unavailable at the bounds of waiting."""
    queues, deadline = call.services.queues, time.monotonic() + WAIT_S
    told = await queues.ask(address)
    if told not in ("asked", "full"):
        return told
    with call.services.streams.watch(address, call.caller.player, seq, asks=True) as watcher:
        while told in ("asked", "full"):
            left_s = deadline - time.monotonic()
            if left_s <= 0 or call.services.streams.closing:
                break
            call.services.bell.ring("asked", [address[0]])
            await watcher.waker.wait(min(left_s, AGAIN_S))
            told = await queues.ask(address)
    return told
