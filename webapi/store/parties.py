"""Parties in Redis: one document each, changed by compare-and-set; `core.party` decides.

Three keys in three slots: the document is the truth; the code leads to it, and `partyof` keeps a player out of a
second party. A crash between them leaves a pointer to a party that does not list its player, which counts as none.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import suppress
from typing import Final

import msgspec

from core import keys
from core import party as rules
from core.clock import new_id
from core.errors import Conflict, NotFound, Unavailable
from core.party import Party
from core.redis.batch import Batch
from core.stored import Stored

KEPT_S: Final = 6 * 3600  # after its last change; an evening
TRIES: Final = 8  # of a change that others are faster with; a party has ten members

DISBANDED_KEPT_S: Final = 60  # so that a join that was under way finds out

_party: Final = Stored(Party)

Decision = Callable[[Party], Party]


class _PartyOf(msgspec.Struct, frozen=True):
    """Which party a player is in; a document with a version, so that one of two joins at once loses."""

    version: int
    party: str


class Parties:
    """See the module. Every method raises Unavailable."""

    def __init__(self, batch: Batch) -> None:
        self._batch = batch

    async def found(self, player: str, name: str, now_ms: int) -> Party:
        """A new party. Raises Conflict where the player is in one."""
        before = await self._free(player, "")
        party = rules.found(new_id("party"), rules.code(os.urandom(rules.CODE_LENGTH)), player, name, now_ms)
        await self._batch.call("doc_put", keys.party(party.id), 0, msgspec.json.encode(party), KEPT_S)
        if not await self._batch.do("SET", keys.party_code(party.code), party.id, "NX", "EX", KEPT_S):
            raise Unavailable("this invitation code was drawn before: try again", code="busy")
        await self._enter(player, before, party.id)
        return party

    async def read(self, code: str) -> Party:
        """The party of an invitation code. Raises NotFound."""
        party = await self._batch.do("GET", keys.party_code(code.lower()))
        found = await self._load(party) if party else None
        if found is None:
            raise NotFound("there is no such party", code="no-such-party")
        return found

    async def of(self, player: str) -> Party | None:
        """The party that a player is in."""
        text = await self._batch.do("GET", keys.party_of(player))
        found = await self._load(msgspec.json.decode(text, type=_PartyOf).party) if text else None
        return found if found is not None and any(member.id == player for member in found.members) else None

    async def leave(self, party: Party, player: str) -> None:
        """Go, where the player is still in it."""
        with suppress(NotFound):
            await self.change(party, lambda found: rules.leave(found, player))

    async def join(self, code: str, player: str, name: str) -> Party:
        """Become a member. Raises NotFound, Conflict (full, or in another party)."""
        party = await self.read(code)
        rules.join(party, player, name)  # refuses before anything is written
        await self._enter(player, await self._free(player, party.id), party.id)
        return await self.change(party, lambda found: rules.join(found, player, name))

    async def change(self, party: Party, decide: Decision) -> Party:
        """Write what `decide` makes of the party. Raises what `decide` raises, NotFound where it disbanded."""
        for _ in range(TRIES):
            after = decide(party)
            if after is party:
                return party
            if await self._write(party, after):
                return after
            fresh = await self._load(party.id)
            if fresh is None:
                raise NotFound("the party has disbanded", code="no-such-party")
            party = fresh
        raise Unavailable("the party changes too fast: try again", code="busy")

    async def _write(self, before: Party, after: Party) -> bool:
        kept_s = KEPT_S if after.members else DISBANDED_KEPT_S
        stored = await self._batch.do("GET", keys.party(after.id))
        text = _party.encode(after, stored or b"{}")  # where it has changed meanwhile, this is refused
        put = await self._batch.call("doc_put", keys.party(after.id), before.version, text, kept_s)
        if put[0] != "ok":
            return False
        pointers = [keys.party_of(member.id) for member in after.members]
        await self._batch.do_many([("EXPIRE", key, kept_s) for key in (keys.party_code(after.code), *pointers)])
        return True

    async def _free(self, player: str, party: str) -> _PartyOf:
        """Where the player was last. Raises Conflict where he is in another party than this one."""
        text = await self._batch.do("GET", keys.party_of(player))
        last = msgspec.json.decode(text, type=_PartyOf) if text else _PartyOf(0, "")
        other = await self._load(last.party) if last.party not in ("", party) else None
        if other is not None and any(member.id == player for member in other.members):
            raise Conflict(f"you are in party {other.code}: leave it first", code="in-a-party")
        return last

    async def _enter(self, player: str, last: _PartyOf, party: str) -> None:
        entered = msgspec.json.encode(_PartyOf(last.version + 1, party))
        put = await self._batch.call("doc_put", keys.party_of(player), last.version, entered, KEPT_S)
        if put[0] != "ok":
            raise Conflict("you are joining another party at this moment", code="in-a-party")

    async def _load(self, party: str) -> Party | None:
        text = await self._batch.do("GET", keys.party(party))
        found = _party.decode(text) if text else None
        return found if found is not None and found.members else None
