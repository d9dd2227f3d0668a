"""A simple sequential model of delayed commands, and random lives that are compared with it after every step.

The model executes a pack by calling the game's functions one after another, at the moment when the system
acknowledges it. The lives: packs (good, cheating, real-time), repeats, gaps, strange epochs, profile reads, workers
that take, write, die before or after writing, write twice, and write long after they were overtaken.
"""

from __future__ import annotations

import copy
import random
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import msgspec

from core import keys, packstore
from core.clock import now_ms
from core.errors import Conflict, Invalid, TooMany
from core.packs import PACKS_WAITING, Failure, NewPack, Outcome, check_pack
from core.packstore import Reload, Taken
from core.redis.client import Database
from gamepod.worker.execute import Done, Job, execute
from tests.commands.rules import COMMANDS
from tests.commands.support import GAME, MODULE, SPEC, pack

PLAYERS = 12
BALANCES: dict[int, Mapping[str, Any]] = {0: {}}


@dataclass
class Player:
    """What the model knows of a player."""

    state: dict[str, Any] = field(default_factory=lambda: {"sum": 0})
    accepted: int = 0
    epoch: int = 0
    waiting: list[NewPack] = field(default_factory=list)
    sent: dict[int, NewPack] = field(default_factory=dict)
    outcomes: dict[int, Outcome] = field(default_factory=dict)
    failed: tuple[int, int, str] | None = None  # seq, index, code of the last error
    clock_ms: int = 0
    ran_ms: int = 0

    @property
    def done(self) -> int:
        return self.accepted - len(self.waiting)

    def execute(self, count: int) -> bool:
        """Execute so many waiting packs; returns False where one failed, and with it all that waits."""
        for _ in range(count):
            new = self.waiting[0]
            state = copy.deepcopy(self.state)
            for index, command in enumerate(new.commands):
                try:
                    made = COMMANDS[command.name](state, dict(command.args), command.at_ms, {})
                except Exception as error:
                    code = "refused" if isinstance(error, ValueError) else "handler-failed"
                    self._fail(new.seq, index, code)
                    return False
                if made is not None and not isinstance(made, dict):
                    self._fail(new.seq, index, "bad-state")
                    return False
                state = state if made is None else made
            self.state, self.ran_ms = state, new.commands[-1].at_ms
            self.outcomes[new.seq] = "executed"
            self.waiting.pop(0)
        return True

    def _fail(self, seq: int, index: int, code: str) -> None:
        self.failed, self.epoch, self.clock_ms = (seq, index, code), self.epoch + 1, self.ran_ms
        self.outcomes.update({later.seq: "skipped" for later in self.waiting})
        self.outcomes[seq] = "failed"
        self.waiting.clear()


class Difference(AssertionError):
    """The system is not as the model: after which step, and how."""


class Lives:
    """Random steps against a Redis; `step` raises Difference."""

    def __init__(self, db: Database, seed: int) -> None:
        self._db = db
        self._chance = random.Random(seed)
        self.players = {f"p-{seed}-{i}": Player() for i in range(PLAYERS)}
        self._held: dict[str, tuple[Taken, Done]] = {}  # by a live worker, computed and not written
        self._lost: list[tuple[Taken, Done]] = []  # of workers that died, or stall
        self.steps = 0
        self.counts: dict[str, int] = {}

    async def step(self) -> None:
        """One random step, and the comparison after it."""
        self.steps += 1
        name = self._chance.choice(list(self.players))
        actions = [self._send] * 8 + [self._work] * 6 + [self._write] * 5
        actions += [self._repeat, self._wrong, self._die, self._haunt, self._write_twice, self._give_back]
        action = self._chance.choice(actions)
        self.counts[action.__name__] = self.counts.get(action.__name__, 0) + 1
        await action(name)
        await self.compare(name)

    async def _send(self, name: str) -> None:
        player = self.players[name]
        names = self._chance.choices(
            ["add", "buy", "cheat", "crash", "rubbish"], [90, 6, 2, 1, 1], k=self._chance.randint(1, 5)
        )
        at_ms = max(player.clock_ms, now_ms() - self._chance.randint(0, 1000))
        new = pack(player.accepted + 1, *names, epoch=player.epoch, at_ms=at_ms, n=self._chance.randint(-9, 99))
        if len(player.waiting) == PACKS_WAITING:
            await self._refused(name, new, TooMany, "packs-waiting")
            return
        answer = await self._accept(name, new)
        player.accepted += 1
        player.waiting.append(new)
        player.sent[new.seq] = new
        player.clock_ms = at_ms
        self._same("position", answer.position, len(player.waiting))

    async def _repeat(self, name: str) -> None:
        player = self.players[name]
        known = [seq for seq in player.sent if seq > player.accepted - 60]
        if not known:
            return
        new = player.sent[self._chance.choice(known)]
        self._same("a repeat", (await self._accept(name, new)).repeat, True)
        other = msgspec.structs.replace(new, commands=[*new.commands, *new.commands])
        if new.epoch < player.epoch:
            await self._reload(name, other)
        else:
            await self._refused(name, other, Conflict, "other-content")

    async def _wrong(self, name: str) -> None:
        player = self.players[name]
        next_seq, epoch = player.accepted + 1, player.epoch
        await self._refused(name, pack(next_seq + self._chance.randint(1, 9), epoch=epoch), Conflict, "gap")
        await self._refused(name, pack(next_seq, epoch=epoch + 1), Conflict, "future-epoch")
        if player.clock_ms:
            early = pack(next_seq, epoch=epoch, at_ms=player.clock_ms - 1)
            await self._refused(name, early, Invalid, "backwards")
        if epoch:
            await self._reload(name, pack(next_seq, epoch=epoch - 1))

    async def _work(self, name: str) -> None:
        """A worker takes the shard of this player; it has long enough."""
        await self._take(name, 600)

    async def _take(self, name: str, lease_s: float) -> list[str]:
        base = keys.shard(GAME, name)
        function, base, args = packstore.take_call(base, "w", lease_s, self._chance.randint(1, 4))
        found = packstore.taken(base, await self._db.call(function, base, *args))
        for work in found:
            player = self.players[work.player]
            self._same("not held by two", work.player in self._held, False)
            self._same(
                "packs taken", [msgspec.json.decode(text)[0] for text in work.packs], [p.seq for p in player.waiting]
            )
            some = self._chance.randint(1, len(work.packs))  # the slice may end early
            job = Job(GAME, MODULE, work.state or msgspec.json.encode(SPEC.initial).decode(), work.packs[:some])
            self._held[work.player] = (work, execute(job, COMMANDS, BALANCES, lambda *_: None, lambda: True))
        return [work.player for work in found]

    async def _write(self, name: str) -> None:
        """The worker that has this player writes what came of it."""
        if name in self._held:
            work, done = self._held.pop(name)
            reply = await self._done(work, done)
            self._same("written", reply[0], "ok")
            self._executed(work.player, done)
            self._lost.append((work, done))  # a repeat of it may come at any time

    async def _write_twice(self, name: str) -> None:
        """... and asks again, as its reply was lost."""
        if name in self._held:
            work, done = self._held[name]
            await self._write(name)
            self._same("recognised", (await self._done(work, done))[0], "repeat")

    async def _die(self, name: str) -> None:
        """The worker of this player dies, or stalls: the lease ends, and another one may take over."""
        if name in self._held:
            self._lost.append(self._held.pop(name))
            await self._db.do("ZADD", f"{keys.shard(GAME, name)}:packs-due", now_ms() - 1000, name)

    async def _haunt(self, name: str) -> None:
        """A worker that died or stalled writes after all. It may, where nobody took over; else it is refused."""
        if not self._lost:
            return
        work, done = self._lost.pop(self._chance.randrange(len(self._lost)))
        key = f"{work.base}:commands:{work.player}"
        token, ended = await self._db.do("HMGET", key, "token", "ended")
        reply = await self._done(work, done)
        if token != str(work.token):
            self._same("a stale result", reply, ["fenced"])
        elif ended == token:
            self._same("a late repeat", reply[0], "repeat")
        else:
            self._same("a late result", reply[0], "ok")
            self._executed(work.player, done)
        await self.compare(work.player)

    async def _give_back(self, name: str) -> None:
        if name in self._held:
            work, _ = self._held.pop(name)
            function, base, args = packstore.return_call(work, 0, self._chance.choice(["", "away"]))
            self._same("given back", await self._db.call(function, base, *args), 1)

    def _executed(self, name: str, done: Done) -> None:
        player = self.players[name]
        went_well = player.execute(done.ran + (done.failed is not None))
        self._same("an error", done.failed is None, went_well)

    async def _done(self, work: Taken, done: Done) -> list[Any]:
        failure = None
        if done.failed is not None:
            failed = done.failed
            failure = Failure(work.done + done.ran + 1, failed.index, failed.command, failed.code, failed.detail)
        function, base, args = packstore.done_call(work, done.ran, done.commands, done.state, done.last_ms, failure)
        return list(await self._db.call(function, base, *args))

    async def _accept(self, name: str, new: NewPack) -> packstore.Accepted:
        text, realtime = check_pack(new, SPEC, now_ms() + 10_000)
        return await packstore.accept(self._db, GAME, name, new, text, realtime=realtime)

    async def _refused(self, name: str, new: NewPack, kind: type[Any], code: str) -> None:
        try:
            await self._accept(name, new)
        except kind as error:
            self._same("refusal", error.code, code)
        else:
            raise Difference(f"step {self.steps}: {new} was accepted, and {code} was expected")

    async def _reload(self, name: str, new: NewPack) -> None:
        try:
            await self._accept(name, new)
        except Reload as reload:
            failed = self.players[name].failed
            self._same(
                "told error", reload.failure and (reload.failure.seq, reload.failure.index, reload.failure.code), failed
            )
        else:
            raise Difference(f"step {self.steps}: {new} was accepted, and a reload was expected")

    async def compare(self, name: str) -> None:
        """Everything that can be asked of a player."""
        player = self.players[name]
        profile = self._chance.random() < 0.5
        found = await packstore.look(self._db, GAME, name, profile=profile, initial='{"sum":0}')
        self._same(
            "accepted, done, epoch",
            (found.accepted, found.done, found.epoch),
            (player.accepted, player.done, player.epoch),
        )
        failure = found.failure and (found.failure.seq, found.failure.index, found.failure.code)
        self._same("error", failure, player.failed)
        if profile:
            state = msgspec.json.decode(found.state) if found.state else None
            self._same("state", state, None if player.waiting else player.state)
        seq = max(1, player.accepted - self._chance.randint(0, 40))
        if player.accepted:
            outcome, _ = await packstore.outcome(self._db, GAME, name, seq)
            self._same("outcome", outcome, player.outcomes.get(seq, "waiting"))

    def _same(self, what: str, found: Any, wanted: Any) -> None:
        if found != wanted:
            raise Difference(f"step {self.steps}, {what}: {found!r}, and not {wanted!r}")


async def live(db: Database, steps: int, seed: int) -> Lives:
    """So many steps, then everything is worked off and compared."""
    lives = Lives(db, seed)
    for _ in range(steps):
        await lives.step()
    for name, player in lives.players.items():
        while player.waiting:
            await lives._write(name) if name in lives._held else await lives._work(name)
        await lives.compare(name)
    return lives
