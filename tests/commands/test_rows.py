"""The row of a player's packs in Redis: order, repeats, refusals, leases, and errors."""

from __future__ import annotations

import msgspec
import pytest

from core import keys, packstore
from core.clock import now_ms
from core.errors import Conflict, Invalid, TooMany
from core.packs import PACKS_WAITING, Failure
from core.packstore import Reload
from core.redis.client import Database
from tests.commands.support import GAME, done, look, pack, send, take
from tests.support import eventually

A, B = "p-a", "p-b"
FAILURE = Failure(0, 0, "cheat", "refused", "no")


async def test_packs_queue_in_order_and_are_answered_with_their_position(db: Database) -> None:
    """Packs wait in the order of their numbers; each is told how many wait before it."""
    assert [(await send(db, A, pack(seq, n=seq))).position for seq in (1, 2, 3)] == [1, 2, 3]
    (work,) = await take(db, A)
    assert [msgspec.json.decode(text)[0] for text in work.packs] == [1, 2, 3]
    assert (work.done, work.state) == (0, "")


async def test_a_pack_sent_again_gets_the_same_answer_and_is_stored_once(db: Database) -> None:
    """A repeat is recognised while the pack waits and after it was executed; other content is refused."""
    first = pack(1)
    await send(db, A, first)
    await send(db, A, pack(2))
    again = await send(db, A, first)
    assert (again.position, again.repeat) == (1, True)
    (work,) = await take(db, A)
    assert len(work.packs) == 2
    assert (await done(db, work, 2, '{"sum":2}'))[0] == "ok"
    again = await send(db, A, first)
    assert (again.position, again.repeat, again.done) == (1, True, 2)
    with pytest.raises(Conflict) as refused:
        await send(db, A, pack(1, n=99))
    assert refused.value.code == "other-content"
    assert not await take(db, A)


async def test_gaps_strange_epochs_and_times_are_refused_and_nothing_is_lost(db: Database) -> None:
    """Each refusal says what is expected; the row stays as it was, and the right pack is taken after it."""
    await send(db, A, pack(1, at_ms=5000))
    cases = [
        (pack(3), Conflict, "gap", "that is 2"),
        (pack(2, epoch=1), Conflict, "future-epoch", "epoch is 0"),
        (pack(2, at_ms=4999), Invalid, "backwards", "5000"),
    ]
    for new, kind, code, words in cases:
        with pytest.raises(kind) as refused:
            await send(db, A, new)
        assert refused.value.code == code
        assert words in refused.value.detail
    assert (await look(db, A)).accepted == 1
    assert (await send(db, A, pack(2, at_ms=5000))).position == 2


async def test_a_row_is_bounded_and_takes_more_once_some_are_executed(db: Database) -> None:
    """The pack after the last that may wait is told to come later, and can."""
    for seq in range(1, PACKS_WAITING + 1):
        await send(db, A, pack(seq))
    with pytest.raises(TooMany) as refused:
        await send(db, A, pack(PACKS_WAITING + 1))
    assert (refused.value.code, refused.value.retry_after_s) == ("packs-waiting", 1)
    (work,) = await take(db, A)
    await done(db, work, 1, '{"sum":1}')
    assert (await send(db, A, pack(PACKS_WAITING + 1))).position == PACKS_WAITING


async def test_numbers_long_over_are_told_to_be_forgotten(db: Database) -> None:
    """Of the last 64 packs a repeat is known; an older number is refused as forgotten, and says which came last."""
    for seq in range(1, 67):
        await send(db, A, pack(seq))
        (work,) = await take(db, A)
        await done(db, work, 1, "{}")
    with pytest.raises(Conflict) as refused:
        await send(db, A, pack(2))
    assert refused.value.code == "forgotten"
    assert "66 came last" in refused.value.detail
    assert await packstore.outcome(db, GAME, A, 2) == ("forgotten", 132)
    assert (await packstore.outcome(db, GAME, A, 3))[0] == "executed"
    fields = await db.do("HKEYS", f"{keys.shard(GAME, A)}:commands:{A}")
    assert sum(name[0] in "do" and name[1:].isdigit() for name in fields) == 128


async def test_one_worker_has_a_player_and_a_dead_ones_work_is_taken_over(db: Database) -> None:
    """While the lease lasts nobody else is given the player; after it packs and state come with a new token."""
    for player in (A, B):
        await send(db, player, pack(1))
    await take(db, B, lease_s=60)
    assert not await take(db, B, owner="other")
    assert (await look(db, B)).running
    (first,) = await take(db, A, lease_s=0.3)
    (second,) = await eventually(lambda: take(db, A, owner="other"))
    assert (second.packs, second.state) == (first.packs, first.state)
    assert second.token > first.token
    assert await done(db, first, 1, '{"sum":"old"}') == ["fenced"]
    assert await done(db, second, 1, '{"sum":1}') == ["ok", 0, 0]
    assert await done(db, first, 1, '{"sum":"old"}') == ["fenced"]
    assert (await look(db, A, profile=True)).state == '{"sum":1}'


async def test_a_result_written_again_changes_nothing(db: Database) -> None:
    """A lost reply is asked again: all is as it was after the first time, also when packs came since."""
    await send(db, A, pack(1))
    (work,) = await take(db, A)
    await send(db, A, pack(2))
    assert await done(db, work, 1, '{"sum":1}') == ["ok", 0, 1]
    before = await look(db, A)
    assert await done(db, work, 1, '{"sum":1}') == ["repeat", 0, 1]
    after = await look(db, A)
    assert after == msgspec.structs.replace(before, now_ms=after.now_ms)
    assert (before.done, before.version, before.waiting) == (1, 1, 1)
    (work,) = await take(db, A)
    assert [msgspec.json.decode(text)[0] for text in work.packs] == [2]


async def test_an_error_keeps_its_time_skips_what_waits_and_asks_for_a_reload(db: Database) -> None:
    """Packs before the failed one count, it and all later ones do not; packs of the old epoch are told to reload."""
    for seq in (1, 2, 3):
        await send(db, A, pack(seq))
    (work,) = await take(db, A)
    fourth = pack(4)  # made before its client knew
    await send(db, A, fourth)
    before = now_ms()
    assert await done(db, work, 1, '{"sum":1}', msgspec.structs.replace(FAILURE, seq=2)) == ["ok", 1, 0]
    outcomes = [(await packstore.outcome(db, GAME, A, seq))[0] for seq in (1, 2, 3, 4)]
    assert outcomes == ["executed", "failed", "skipped", "skipped"]
    found = await look(db, A, profile=True)
    assert (found.state, found.epoch, found.done, found.accepted) == ('{"sum":1}', 1, 4, 4)
    assert found.failure is not None
    assert (found.failure.seq, found.failure.epoch, found.failure.code) == (2, 1, "refused")
    assert abs(found.failure.at_ms - before) < 60_000
    with pytest.raises(Reload) as reload:
        await send(db, A, pack(5))
    assert reload.value.failure == found.failure
    assert (await send(db, A, fourth)).repeat  # it had come, and says so still
    with pytest.raises(Reload):
        await send(db, A, pack(4, n=7))
    assert (await send(db, A, pack(5, epoch=1))).position == 1
    assert not (await take(db, B))
    (work,) = await take(db, A)
    assert work.state == '{"sum":1}'


async def test_after_an_error_times_go_on_from_the_last_executed_command(db: Database) -> None:
    """A client that was ahead of the clock is not kept out by the times of its skipped packs."""
    await send(db, A, pack(1, at_ms=1000))
    (work,) = await take(db, A)
    name, base, args = packstore.done_call(work, 1, 1, "{}", 1000, None)
    await db.call(name, base, *args)
    await send(db, A, pack(2, at_ms=9000))
    (work,) = await take(db, A)
    await done(db, work, 0, "", msgspec.structs.replace(FAILURE, seq=2))
    assert (await look(db, A)).clock_ms == 1000
    assert (await send(db, A, pack(3, epoch=1, at_ms=2000))).position == 1


async def test_a_profile_is_given_only_when_nothing_waits(db: Database) -> None:
    """A newcomer gets the initial state, once for all; while packs wait none is given, and the asking is noted."""
    found = await look(db, A, profile=True)
    assert (found.state, found.version) == ('{"sum":0}', 0)
    await send(db, A, pack(1))
    first = await look(db, A, profile=True)
    later = await look(db, A, profile=True)
    assert (first.state, first.waiting) == ("", 1)
    assert first.asked_ms == later.asked_ms > 0
    (work,) = await take(db, A)
    assert work.state == '{"sum":0}'
    await done(db, work, 1, '{"sum":1}')
    found = await look(db, A, profile=True)
    assert (found.state, found.asked_ms, found.version) == ('{"sum":1}', 0, 1)


async def test_who_asks_or_buys_is_taken_first(db: Database) -> None:
    """Of one shard the player with a real-time pack, or who waits for a profile, is worked on before earlier ones."""
    shard = keys.shard(GAME, A)
    players = [name for i in range(400) if keys.shard(GAME, name := f"p-{i}") == shard][:4]
    for player in players[:3]:
        await send(db, player, pack(1))
    await send(db, players[3], pack(1, "buy"))
    await look(db, players[1], profile=True)
    name, base, args = packstore.take_call(shard, "w", 60, 2)
    found = packstore.taken(base, await db.call(name, base, *args))
    assert {work.player for work in found} == {players[1], players[3]}
    assert len(await take(db, A)) == 2


async def test_work_given_back_is_due_again_after_its_pause(db: Database) -> None:
    """Row and state stay; the try counts and its reason is told; a real-time pack does not break the pause."""
    await send(db, A, pack(1))
    (work,) = await take(db, A)
    name, base, args = packstore.return_call(work, 60, "the handler is away")
    assert await db.call(name, base, *args) == 1
    found = await look(db, A)
    assert (found.trouble, found.running, found.waiting) == ("the handler is away", False, 1)
    await send(db, A, pack(2, "buy"))
    assert not await take(db, A)
    await db.do("ZADD", f"{keys.shard(GAME, A)}:packs-due", 1, A)
    (again,) = await take(db, A)
    assert (again.tries, len(again.packs)) == (1, 2)
    await done(db, again, 2, "{}")
    assert (await look(db, A)).trouble == ""


async def test_many_players_share_a_shard_without_mixing(db: Database) -> None:
    """Each of 300 players keeps a row of its own, in the slots of all shards; the index is empty at the end."""
    players = [f"p-{i}" for i in range(300)]
    for player in players:
        await send(db, player, pack(1, n=int(player[2:])))
    seen = {}
    for base in keys.shards(GAME):
        while True:
            name, base_, args = packstore.take_call(base, "w", 60, 32)
            found = packstore.taken(base_, await db.call(name, base_, *args))
            if not found:
                break
            for work in found:
                seen[work.player] = msgspec.json.decode(work.packs[0])[2][0][2]["n"]
                await done(db, work, 1, "{}")
    assert seen == {player: int(player[2:]) for player in players}
    for base in keys.shards(GAME):
        assert await db.do("ZCARD", f"{base}:packs-due") == await db.do("ZCARD", f"{base}:packs-since") == 0


async def test_balances_are_versions_that_follow_each_other(db: Database) -> None:
    """A version is written once, by who knows the one before; the oldest beyond the eighth is dropped."""
    assert await packstore.put_balance(db, GAME, 0, b'{"worth":2}') == (True, 1)
    assert await packstore.put_balance(db, GAME, 0, b'{"worth":2}') == (True, 1)
    assert await packstore.put_balance(db, GAME, 0, b'{"worth":3}') == (False, 1)
    for version in range(1, 10):
        assert await packstore.put_balance(db, GAME, version, b"{}") == (True, version + 1)
    kept = await db.do("HKEYS", keys.balance(GAME))
    assert {name for name in kept if name.startswith("v:")} == {f"v:{version}" for version in range(3, 11)}
