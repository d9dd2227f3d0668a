"""Workers: packs executed by Python functions, whatever these do, and taken over from workers that died."""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec
import pytest
from prometheus_client import CollectorRegistry

from core import keys, packstore
from core.redis.client import Database
from tests.commands.support import DRAINED_S, GAME, SPEC, look, pack, register, running, send, worker
from tests.support import eventually

A, B = "p-a", "p-b"


async def drained(db: Database, player: str) -> bool:
    return (await look(db, player)).waiting == 0


async def state(db: Database, player: str) -> Any:
    return msgspec.json.decode((await look(db, player, profile=True)).state)


async def test_packs_are_executed_in_order_and_written_once_a_pack(db: Database) -> None:
    """Many packs of many players come to what one after another come to; the version counts writes, not commands."""
    async with running(db), running(db, "second"):
        for seq in range(1, 8):
            for i in range(20):
                await send(db, f"p-{i}", pack(seq, *["add"] * 5, n=seq * 10 + i))
        for i in range(20):
            await eventually(lambda i=i: drained(db, f"p-{i}"), within_s=DRAINED_S)
    for i in range(20):
        found = await state(db, f"p-{i}")
        assert found["sum"] == sum((seq * 10 + i) * 5 for seq in range(1, 8))
        assert found["log"] == [n * 10 + i for n in (6, 7) for _ in range(5)]
        assert (await look(db, f"p-{i}")).version <= 7


@pytest.mark.parametrize(
    ("command", "code", "words"),
    [
        ("cheat", "refused", "there is no such treasure"),
        ("crash", "handler-failed", "KeyError"),
        ("leave", "handler-failed", "SystemExit"),
        ("hang", "handler-too-slow", "took longer than 1 s"),
        ("die", "handler-died", "ended the process"),
        ("rubbish", "bad-state", "returned a int"),
        ("unwritable", "bad-state", "no JSON"),
        ("huge", "state-too-large", "262144"),
    ],
)
async def test_a_failed_command_is_named_and_nothing_of_its_pack_is_written(
    db: Database, command: str, code: str, words: str
) -> None:
    """The packs before it count; its own pack and later ones do not, whatever came first in it; others go on."""
    await send(db, A, pack(1, "add"))
    await send(db, A, pack(2, "add", command, "add"))
    await send(db, A, pack(3, "add"))
    await send(db, B, pack(1, "add"))
    # The other handlers are given long enough: where the machine is busy a good pack may take a second too.
    async with running(db, pack_s=1.0 if command == "hang" else 30.0, lanes=1):
        await eventually(lambda: drained(db, A), within_s=DRAINED_S)
        await eventually(lambda: drained(db, B), within_s=DRAINED_S)
    found = await look(db, A)
    assert found.failure is not None
    # A state that cannot be written is found out at the pack's end, and its last command is named.
    named = (2, "add") if command in ("unwritable", "huge") else (1, command)
    assert (found.failure.seq, found.failure.index, found.failure.command) == (2, *named)
    assert found.failure.code == code
    assert words in found.failure.detail
    assert (await state(db, A))["sum"] == 1
    assert [(await packstore.outcome(db, GAME, A, seq))[0] for seq in (1, 2, 3)] == ["executed", "failed", "skipped"]
    assert (await state(db, B))["sum"] == 1


async def test_a_module_that_cannot_be_loaded_loses_nothing(db: Database) -> None:
    """Packs wait, the status says why, and they are executed once the module is there."""
    missing = msgspec.structs.replace(SPEC, python="tests.commands.missing")
    await register(db, missing)
    await send(db, A, pack(1))
    async with running(db, command_modules="tests.commands.missing"):
        await eventually(lambda: _troubled(db), within_s=DRAINED_S)
    found = await look(db, A)
    assert "tests.commands.missing" in found.trouble
    assert found.waiting == 1
    await register(db)
    async with running(db):
        await eventually(lambda: drained(db, A), within_s=DRAINED_S)
    assert (await state(db, A))["sum"] == 1


async def test_a_worker_leaves_alone_what_it_may_not_run(db: Database) -> None:
    """A module that the operator did not name is not imported, and its game's packs are left to other workers."""
    await send(db, A, pack(1))
    async with worker(db, command_modules="another.module") as made:
        assert not await made.turn((GAME, keys.shard(GAME, A)))
    assert not (await look(db, A)).running


async def test_packs_are_executed_with_the_balance_that_they_were_made_with(db: Database) -> None:
    """A pack of the version before and one of the version just written differ in what they come to."""
    await packstore.put_balance(db, GAME, 0, b'{"worth":10}')
    async with running(db):
        await send(db, A, pack(1, balance=1))
        await eventually(lambda: drained(db, A), within_s=DRAINED_S)
        await packstore.put_balance(db, GAME, 1, b'{"worth":100}')
        await send(db, A, pack(2, balance=1))
        await send(db, A, pack(3, balance=2))
        await eventually(lambda: drained(db, A), within_s=DRAINED_S)
    assert (await state(db, A))["sum"] == 120


async def test_a_stalled_worker_is_overtaken_and_its_result_thrown_away(db: Database) -> None:
    """A worker that writes after its lease is fenced: what the next one wrote stays, and nothing counts twice."""
    await send(db, A, pack(1))
    async with worker(db, "stalled", lease_s=0.5) as stalled:
        shard = (GAME, keys.shard(GAME, A))
        write, late = stalled._write, asyncio.Event()

        async def wait_and_write(*args: Any) -> None:
            await late.wait()
            await write(*args)

        stalled._write = wait_and_write  # type: ignore[method-assign]
        turn = asyncio.create_task(stalled.turn(shard))
        async with running(db, "next"):
            await eventually(lambda: drained(db, A), within_s=DRAINED_S)
            await send(db, A, pack(2))
            await eventually(lambda: drained(db, A), within_s=DRAINED_S)
            late.set()
            await turn
    assert (await state(db, A))["sum"] == 2
    assert (await look(db, A)).version == 2


async def test_long_rows_are_cut_into_slices(db: Database) -> None:
    """What takes longer than a slice is written in parts, each at a pack's end, and goes on from there."""
    for seq in range(1, 6):
        await send(db, A, pack(seq, "slow", "add", n=400))
    async with running(db):
        await eventually(lambda: drained(db, A), within_s=DRAINED_S)
    assert (await state(db, A))["sum"] == 5 * 400
    assert 1 < (await look(db, A)).version <= 5


async def test_a_worker_tells_what_waits_and_what_became_of_it(db: Database) -> None:
    """Packs waiting with their age, executed and failed ones by game and code, as Prometheus reads them."""
    registry = CollectorRegistry()
    async with worker(db, registry=registry) as made:
        await send(db, A, pack(1, "add", "add"))
        await send(db, A, pack(2, "cheat"))
        await made.look()
        label = {"game": GAME}
        assert registry.get_sample_value("muster_packs_waiting", label) == 2
        assert (registry.get_sample_value("muster_packs_oldest_seconds", label) or 0) >= 0
        assert await made.turn((GAME, keys.shard(GAME, A)))
        await made.look()
        assert registry.get_sample_value("muster_packs_waiting", label) == 0
    assert registry.get_sample_value("muster_packs_total", {**label, "outcome": "executed"}) == 1
    assert registry.get_sample_value("muster_commands_executed_total", label) == 2
    assert registry.get_sample_value("muster_packs_failures_total", {**label, "code": "refused"}) == 1


async def _troubled(db: Database) -> bool:
    return bool((await look(db, A)).trouble)
