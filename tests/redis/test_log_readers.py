"""reader_join, reader_commit, reader_leave, and how log_append trims: not before all registered readers have read."""

from __future__ import annotations

import json
import time

import pytest

from core import keys
from core.errors import Conflict, Invalid, NotFound
from core.interactions import Action, pack, unpack
from core.redis.client import Caller, Database
from core.redis.logreader import Entry, LogReader

GAME, MATCH = "duel", "m-1"
BASE = keys.shard(GAME, MATCH)
BIG = "x" * 5_000  # a node of the stream takes 4 KB: so each batch is one, and trimming is exact


async def fill(client: Caller, first: int, last: int, keep: int) -> list[list[object]]:
    """Append batches first..last; the replies that said more than ok."""
    replies = [await client.call("log_append", BASE, MATCH, n, 1, BIG, keep) for n in range(first, last + 1)]
    return [reply for reply in replies if len(reply) > 2]


async def kept(data: Database) -> list[int]:
    rows = await data.do("XRANGE", f"{BASE}:log", "-", "+")
    return [int(fields["batch"]) for _, fields in rows]


async def ids(data: Database) -> list[str]:
    return [id_ for id_, _ in await data.do("XRANGE", f"{BASE}:log", "-", "+")]


async def test_what_a_reader_has_not_read_is_not_trimmed(client: Caller, data: Database) -> None:
    """The log waits for the slowest reader, and is as short as ever once all have read."""
    assert await client.call("reader_join", BASE, "sink", "oldest") == ["0-0", 0]
    assert await client.call("reader_join", BASE, "fast", "oldest") == ["0-0", 0]
    assert await fill(client, 1, 20, 10) == []
    assert await kept(data) == list(range(1, 21))
    entries = await ids(data)
    assert await client.call("reader_commit", BASE, "fast", entries[19]) == ["ok", 0]
    assert await client.call("reader_commit", BASE, "sink", entries[4]) == ["ok", 0]
    await fill(client, 21, 21, 10)
    assert await kept(data) == list(range(5, 22))
    await client.call("reader_commit", BASE, "sink", entries[19])
    await fill(client, 22, 22, 10)
    assert await kept(data) == list(range(13, 23))


async def test_a_cursor_never_goes_back_and_joining_again_keeps_it(client: Caller, data: Database) -> None:
    """A late commit changes nothing; who starts again goes on where it was, a new one may begin at the end."""
    await fill(client, 1, 12, 100)
    entries = await ids(data)
    await client.call("reader_join", BASE, "sink", "oldest")
    assert await client.call("reader_commit", BASE, "sink", entries[9]) == ["ok", 0]
    assert await client.call("reader_commit", BASE, "sink", entries[3]) == ["ok", 0]
    assert await client.call("reader_join", BASE, "sink", "newest") == [entries[9], 0]
    assert await client.call("reader_join", BASE, "late", "newest") == [entries[11], 0]
    assert await client.call("reader_leave", BASE, "late") == 1
    assert await client.call("reader_leave", BASE, "late") == 0
    assert await client.call("reader_commit", BASE, "late", entries[11]) == ["gone", 0]


async def test_at_the_hard_bound_the_oldest_go_and_are_counted(client: Caller, data: Database) -> None:
    """A reader that reads nothing costs four times the log, not all memory; writer and reader are told what went."""
    await client.call("reader_join", BASE, "dead", "oldest")
    told = await fill(client, 1, 50, 10)
    assert await kept(data) == list(range(11, 51))
    assert [reply[2] for reply in told] == [1] * 10
    assert (await client.call("reader_join", BASE, "dead", "oldest"))[1] == 10


async def test_a_silent_reader_is_dropped_when_the_log_would_wait_for_it(client: Caller, data: Database) -> None:
    """After an hour without a word it is taken off the register; the writer hears its name."""
    await client.call("reader_join", BASE, "silent", "oldest")
    await client.call("reader_join", BASE, "alive", "oldest")
    long_ago = json.dumps({"at": "0-0", "seen": int(time.time()) - 3_700, "lost": 0})
    await data.do("HSET", f"{BASE}:readers", "silent", long_ago)
    assert await fill(client, 1, 10, 10) == []
    assert await fill(client, 11, 11, 10) == [["ok", 11, 0, "silent"]]
    assert set(await data.do("HKEYS", f"{BASE}:readers")) == {"alive"}


async def write(data: Database, match: str, first: int, last: int) -> None:
    for n in range(first, last + 1):
        payload = pack([Action(f"{match}-{n}", 1000 + n, "p", "x")])
        await data.call("log_append", keys.shard(GAME, match), match, n, 1, payload, 10_000)


def found(entries: list[Entry]) -> set[str]:
    return {one.id for entry in entries for one in unpack(entry.payload)}


async def test_a_reader_reads_all_shards_and_resumes(data: Database) -> None:
    """Each batch of every shard is read; what was not committed comes again to whoever takes the name next."""
    matches = [f"m-{number}" for number in range(40)]
    for match in matches:
        await write(data, match, 1, 5)
    reader = LogReader(data, GAME, "sink")
    await reader.register()
    seen: set[str] = set()
    while entries := await reader.read(60):
        seen |= found(entries)
        await reader.commit(entries)
    assert seen == {f"{match}-{n}" for match in matches for n in range(1, 6)}
    for match in matches:
        await write(data, match, 6, 6)
    again = await reader.read()
    assert found(again) == found(await reader.read()) == {f"{match}-6" for match in matches}
    await reader.commit(again[:7])
    heir = LogReader(data, GAME, "sink")
    await heir.register(start="newest")
    assert found(await heir.read()) == found(again[7:])
    assert {entry.shard for entry in again} == set(keys.shards(GAME))
    await heir.leave()
    with pytest.raises(NotFound):
        await reader.commit(again)
    with pytest.raises(NotFound):
        await heir.read()


@pytest.mark.parametrize(("name", "start"), [("", "oldest"), ("a b", "oldest"), ("fine", "middle")])
async def test_a_reader_with_a_wrong_name_or_start_is_refused(data: Database, name: str, start: str) -> None:
    """The error names the argument."""
    with pytest.raises(Invalid):
        await LogReader(data, GAME, name).register(start=start)


async def test_readers_are_bounded(client: Caller, data: Database) -> None:
    """One more than 64 is refused, unless one of them is silent; who is registered already comes again."""
    for n in range(64):
        await client.call("reader_join", BASE, f"r-{n}", "oldest")
    assert await client.call("reader_join", BASE, "more", "oldest") == ["full", 0]
    assert await client.call("reader_join", BASE, "r-5", "oldest") == ["0-0", 0]
    with pytest.raises(Conflict):
        await LogReader(data, GAME, "more").register()
    long_ago = json.dumps({"at": "0-0", "seen": int(time.time()) - 3_700, "lost": 0})
    await data.do("HSET", f"{BASE}:readers", "r-7", long_ago)
    await LogReader(data, GAME, "more").register()
    names = await data.do("HKEYS", f"{BASE}:readers")
    assert (len(names), "r-7" in names, "more" in names) == (64, False, True)
