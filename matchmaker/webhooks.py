"""Delivers a game's feed to its developer's webhook: in order, signed, at least once.

A delivery is the next events of the feed after those that are done with. It is tried again with back-off, later ones
behind it; after `core.webhook.TRIES` it is given up, kept for its developer to look at, and the next one has its turn.
Killed between the receiver's answer and our note of it, the next owner delivers the same events again: they have ids.
"""

from __future__ import annotations

import random
import time
from typing import Any, Final

import msgspec

from core import events, keys, log, webhook
from core.clock import now_ms
from matchmaker.leases import Lease
from matchmaker.shared import Shared

IDLE_S: Final = 5.0  # without a ring; a developer's new webhook, or his replay, rings too

_dead: Final = msgspec.json.Decoder(webhook.Dead)


class Webhooks:
    """See the module. `step` is run by one task only."""

    def __init__(self, shared: Shared, lease: Lease) -> None:
        self._shared, self._token, self._game = shared, lease.token, lease.game
        self._base = keys.game(lease.game)
        self._name = shared.metrics.name(lease.game)
        self._log = log.get("matchmaker.webhooks").bind(game=lease.game)

    async def step(self) -> float:
        """One attempt, if there is one to make. Returns the seconds until the next. Raises Unavailable, Fenced."""
        db = self._shared.db
        hook = await db.do("HGETALL", f"{self._base}:hook")
        if "url" not in hook:
            return IDLE_S
        again, dead = await db.do_many([("LINDEX", f"{self._base}:hook:again", 0), ("HLEN", f"{self._base}:hook:dead")])
        self._shared.metrics.hook_waiting.labels(self._name).set(int(hook["fed"]) - int(hook["passed"]))
        self._shared.metrics.hook_dead.labels(self._name).set(dead)
        if again is not None:
            return await self._again(hook, _dead.decode(again))
        wait_s = (int(hook["due_ms"]) - now_ms()) / 1000
        if wait_s > 0:
            return min(wait_s, webhook.LONGEST_PAUSE_S)  # a clock that was set back shall not hold deliveries for hours
        found = await db.do("XRANGE", f"{self._base}:feed", f"({hook['at']}", "+", "COUNT", webhook.AT_ONCE)
        if not found:
            return IDLE_S
        return await self._next(hook, events.entries(found))

    async def _next(self, hook: dict[str, str], rows: list[tuple[str, dict[str, str]]]) -> float:
        documents = [fields["e"].encode() for _, fields in rows]
        delivery, last, tries = rows[0][0], rows[-1][0], int(hook["tries"]) + 1
        error = await self._post(hook, delivery, documents)
        wait_s = webhook.pause_s(tries, random.random()) if error else 0.0  # noqa: S311 - no secret
        if wait_s is None:
            self._log.warning("webhook given up", delivery=delivery, events=len(rows), tries=tries, error=error)
            await self._done(
                "dead", hook["at"], last, len(rows), 0, error, self._dead(delivery, tries, error, documents)
            )
        elif error:
            due_ms = now_ms() + int(wait_s * 1000)
            await self._done("retry", hook["at"], last, len(rows), due_ms, error, None)
        else:
            await self._done("ok", hook["at"], last, len(rows), 0, "", None)
        return wait_s or 0.0

    async def _again(self, hook: dict[str, str], given_up: webhook.Dead) -> float:
        """One more attempt, and no further ones: who asked for it sees what came of it."""
        documents = [bytes(it) for it in given_up.events]
        error = await self._post(hook, given_up.id, documents)
        dead = self._dead(given_up.id, given_up.tries + 1, error, documents)
        await self._done("dead" if error else "ok", "again", "", len(documents), 0, error, dead)
        return 0.0

    async def _post(self, hook: dict[str, str], delivery: str, documents: list[bytes]) -> str:
        body = webhook.body(delivery, self._game, documents)
        key = webhook.key(self._shared.secret, self._game, hook["salt"])
        headers = {webhook.SIGNATURE: webhook.sign(key, body, int(time.time())), webhook.DELIVERY: delivery}
        error = await self._shared.outgoing.post(hook["url"], body, headers)
        self._shared.metrics.hooks.labels("failed" if error else "delivered").inc()
        return error[: webhook.ERROR_LENGTH]

    def _dead(self, delivery: str, tries: int, error: str, documents: list[bytes]) -> webhook.Dead:
        return webhook.Dead(delivery, now_ms(), tries, error, [msgspec.Raw(it) for it in documents])

    async def _done(
        self, outcome: str, before: str, last: str, count: int, due_ms: int, error: str, dead: webhook.Dead | None
    ) -> None:
        kept: tuple[Any, ...] = (dead.id, msgspec.json.encode(dead)) if dead is not None else ("", "")
        args = (self._token, outcome, before, last, count, due_ms, error, *kept, now_ms(), webhook.DEAD_MOST)
        await self._shared.db.call("hook_done", self._base, *args)
