"""Whatever is killed, and wherever it stood: no ticket is lost or in two matches, no server is left over."""

from __future__ import annotations

import json
import random
import signal
from collections import Counter
from pathlib import Path

import msgspec
import pytest

from core import keys
from core.clock import new_id, now_ms
from core.model import Limits, Match, Timers
from core.redis.client import Database
from core.redis.embedded import embedded_redis
from core.rules import rule_set
from matchmaker.leases import Leases
from matchmaker.matches import match_of
from matchmaker.mirror import Mirror
from matchmaker.rules import Pool, form
from matchmaker.store import GameStore
from tests.matchmaker.support import (
    SOON,
    Matchmakers,
    match,
    matchmakers,
    over,
    owner,
    queue,
    register,
    spec,
    status,
    ticket,
)
from tests.support import eventually, free_port, patient_database

pytestmark = pytest.mark.slow

GAMES = ("alpha", "beta", "gamma", "delta")


async def _owners(db: Database) -> Counter[str]:
    return Counter([await owner(db, game) for game in GAMES])


async def said(stack: Matchmakers, words: str) -> None:
    """Wait until it is in the log of the first matchmaker, which writes it after the players were told."""

    async def look() -> bool:
        return words in stack.log()

    await eventually(look)


async def test_two_replicas_share_games_and_one_takes_over(db: Database, stack: Matchmakers) -> None:
    """Two replicas hold half of the games each; when one is killed, the other works all of them."""
    for game in GAMES:
        await register(db, game, spec())
    first, _ = stack.start(), stack.start()

    async def shared() -> bool:
        found = await _owners(db)
        return "" not in found and sorted(found.values()) == [2, 2]

    await eventually(shared)
    first.kill()
    tickets = {game: [await queue(db, game), await queue(db, game)] for game in GAMES}
    for game, (one, _) in tickets.items():
        await status(db, game, one, "COMPLETED")

    async def all_by_one() -> bool:  # on a busy machine a lease may lapse for a moment
        found = await _owners(db)
        return len(found) == 1 and "" not in found

    await eventually(all_by_one)


async def test_a_stalled_owner_is_fenced_off(db: Database, stack: Matchmakers) -> None:
    """An owner that slept past its lease does nothing when it wakes up: each ticket is in one match."""
    await register(db, "duel", spec())
    stalled = stack.start()

    async def held() -> str:
        return await owner(db, "duel")

    before = await eventually(held)
    stalled.send_signal(signal.SIGSTOP)
    stack.start()
    tickets = [await queue(db, "duel") for _ in range(4)]

    async def taken_over() -> bool:
        return (await owner(db, "duel")) not in ("", before)

    await eventually(taken_over)
    stalled.send_signal(signal.SIGCONT)
    for name in tickets:
        await status(db, "duel", name, "COMPLETED")
    assert await db.do("ZCARD", f"{keys.game('duel')}:live") == 2
    await _each_in_one_match(db, "duel", tickets)


async def test_a_claimed_match_gets_its_server_from_the_next_matchmaker(db: Database, stack: Matchmakers) -> None:
    """Killed between claim and launch: whoever takes the game over starts the server."""
    await register(db, "duel", spec())
    one, _ = await queue(db, "duel"), await queue(db, "duel")
    leases = Leases(db, "one that is killed", 3.0)
    await leases.turn(["duel"])
    store = GameStore(db, "duel", leases.held["duel"].token)
    game = await store.registration()
    assert game is not None
    pool = Pool(rule_set(game.spec))
    mirror = Mirror(store, 10, pool.add, pool.remove)
    assert await mirror.read()
    [proposal] = form(pool, pool.rules, now_ms(), seed=1).proposals
    made = match_of(proposal, mirror, game, new_id("match"), now_ms())
    [claim], _ = await store.claim([made], [], now_ms=now_ms(), live_most=10)
    assert claim.made
    stack.start()
    assert (await status(db, "duel", one, "COMPLETED"))["match"] == made.id


async def test_a_server_killed_in_play_puts_its_players_back(db: Database, stack: Matchmakers) -> None:
    """Players whose server is lost are matched again with their wait kept, until their tries are used up."""
    await register(db, "duel", spec(limits=Limits(tries=2)))
    stack.start()
    one, _ = await queue(db, "duel", waited_s=3), await queue(db, "duel")
    since = (await ticket(db, "duel", one))["since_ms"]
    first = (await status(db, "duel", one, "COMPLETED"))["match"]
    (await stack.server_of(first)).kill()
    assert (await over(db, "duel", first))["reason"] == "server_lost"

    async def again() -> dict[str, str] | None:
        found = await ticket(db, "duel", one)
        return found if found["state"] == "COMPLETED" and found["match"] != first else None

    second = await eventually(again)
    assert second["since_ms"] == since
    (await stack.server_of(second["match"])).kill()
    assert (await status(db, "duel", one, "FAILED"))["reason"] == "server_lost"


async def test_a_server_killed_before_ready(db: Database, stack: Matchmakers) -> None:
    """A server that is killed while it starts fails its match as died_early, at once."""
    await register(db, "duel", spec("hang", limits=Limits(tries=1)))
    stack.start()
    one, _ = await queue(db, "duel"), await queue(db, "duel")
    placed = await status(db, "duel", one, "PLACING")
    (await stack.server_of(placed["match"])).kill()
    assert (await status(db, "duel", one, "FAILED"))["reason"] == "died_early"


async def test_a_server_that_dies_at_once(db: Database, stack: Matchmakers) -> None:
    """A game whose server always dies fails its tickets after their tries; its last words are in the log."""
    await register(db, "duel", spec("die"))
    stack.start()
    one, _ = await queue(db, "duel"), await queue(db, "duel")
    assert (await status(db, "duel", one, "FAILED"))["reason"] == "died_early"
    assert await db.do("HGET", f"{keys.game('duel')}:stats", "matches_fail") == "2"
    await said(stack, "in mode die")


async def test_a_launch_command_that_does_not_exist(db: Database, stack: Matchmakers) -> None:
    """A server that cannot be started fails its tickets as launch_failed, and the log names the setting."""
    await register(db, "duel", spec())
    stack.start(MUSTER_SERVER_COMMAND="/nonexistent/server --flag")
    one, _ = await queue(db, "duel"), await queue(db, "duel")
    assert (await status(db, "duel", one, "FAILED"))["reason"] == "launch_failed"
    await said(stack, "MUSTER_SERVER_COMMAND")


async def test_a_server_that_never_becomes_ready(db: Database, stack: Matchmakers) -> None:
    """A server that lives but is not Ready within the start timer is ended, its match failed as never_ready."""
    await register(db, "duel", spec("hang", timers=Timers(start_s=1, drain_s=1), limits=Limits(tries=1)))
    stack.start(**SOON)
    one, _ = await queue(db, "duel"), await queue(db, "duel")
    assert (await status(db, "duel", one, "FAILED"))["reason"] == "never_ready"
    await stack.gone()


async def test_a_silent_server_is_lost_and_ended(db: Database, stack: Matchmakers) -> None:
    """A server that stops beating is counted as lost, its players are put back, and its process is ended."""
    await register(db, "duel", spec("silent", limits=Limits(tries=1)))
    stack.start(**SOON)
    one, _ = await queue(db, "duel"), await queue(db, "duel")
    lost = await status(db, "duel", one, "FAILED")
    found = await match(db, "duel", lost["match"])
    assert (lost["reason"], found["reason"], "ready_ms" in found) == ("server_lost", "server_lost", True)
    await stack.gone()


async def test_servers_outlive_the_matchmaker(db: Database, stack: Matchmakers) -> None:
    """Killed or stopped, a matchmaker leaves its servers alone; the next one knows them and notices their end."""
    await register(db, "duel", spec(limits=Limits(tries=1)))
    for how in (signal.SIGKILL, signal.SIGTERM):
        one, _ = await queue(db, "duel"), await queue(db, "duel")
        process = stack.start()
        done = await status(db, "duel", one, "COMPLETED")
        server = await stack.server_of(done["match"])
        process.send_signal(how)
        process.wait()
        assert server.is_running()
        ended_ms = now_ms()
        successor = stack.start()

        async def published(name: str = done["match"], since_ms: int = ended_ms) -> bool:  # and not by who was killed
            entries = [json.loads(text) for text in await db.do("HVALS", keys.SERVERS)]
            return any(entry["at_ms"] > since_ms and name in str(entry["servers"]) for entry in entries)

        await eventually(published)
        server.kill()
        assert (await status(db, "duel", one, "FAILED"))["reason"] == "server_lost"
        successor.terminate()
        successor.wait()


async def test_a_stop_ends_servers_where_told_so(db: Database, stack: Matchmakers) -> None:
    """With MUSTER_STOP_SERVERS a clean stop ends all servers first."""
    await register(db, "duel", spec())
    process = stack.start(MUSTER_STOP_SERVERS="true")
    one, _ = await queue(db, "duel"), await queue(db, "duel")
    done = await status(db, "duel", one, "COMPLETED")
    process.terminate()
    assert process.wait() == 0
    assert stack.servers() == []
    assert (await match(db, "duel", done["match"]))["reason"] == "stopped"


async def test_orphans_are_ended(db: Database, stack: Matchmakers) -> None:
    """A server whose match is over, and one whose match nobody knows, are ended; a live one is not."""
    await register(db, "duel", spec())
    stack.start(**SOON)
    tickets = [await queue(db, "duel") for _ in range(4)]
    one, other = {(await status(db, "duel", name, "COMPLETED"))["match"] for name in tickets}
    # SIGSTOP keeps it from hearing by itself that its match is over.
    (await stack.server_of(one)).send_signal(signal.SIGSTOP)
    await db.call("match_step", keys.game("duel"), one, "finish", now_ms(), "", "finished", "", 0, 0)
    await stack.gone(one)
    assert (await stack.server_of(other)).is_running()
    (await stack.server_of(other)).send_signal(signal.SIGSTOP)
    await db.do("DEL", keys.match("duel", other))
    await stack.gone(other)


async def test_children_of_a_killed_server_are_ended(db: Database, stack: Matchmakers) -> None:
    """What a killed server leaves behind, even in a session of its own, is ended."""
    await register(db, "duel", spec("child", limits=Limits(tries=1)))
    stack.start()
    one, _ = await queue(db, "duel"), await queue(db, "duel")
    done = await status(db, "duel", one, "COMPLETED")
    assert len(stack.servers(done["match"])) == 2
    (await stack.server_of(done["match"])).kill()
    await stack.gone(done["match"])


async def test_a_server_is_given_no_secret(db: Database, stack: Matchmakers) -> None:
    """A server's environment has the key of its match, and neither the secret nor what else ours holds."""
    await register(db, "duel", spec())
    stack.start(AWS_SECRET_ACCESS_KEY="not for servers")
    one, _ = await queue(db, "duel"), await queue(db, "duel")
    done = await status(db, "duel", one, "COMPLETED")
    env = (await stack.server_of(done["match"])).environ()
    assert stack.env["MUSTER_SECRET"] not in env.values()
    assert "AWS_SECRET_ACCESS_KEY" not in env
    assert env["MUSTER_MATCH"] == done["match"]


async def test_redis_away_longer_than_the_beat_timeout(tmp_path: Path) -> None:
    """While Redis is away nobody can beat: when it is back, no match that plays is failed for it."""
    options = ("--appendfsync", "always")  # a disk that hangs at the kill loses nothing that was answered
    with (
        embedded_redis(tmp_path / "redis", free_port(), options=options) as redis,
        matchmakers(redis.url, tmp_path) as stack,
    ):
        async with patient_database(redis.url) as db:
            await register(db, "duel", spec())
            stack.start(**SOON)
            one, _ = await queue(db, "duel"), await queue(db, "duel")
            done = await status(db, "duel", one, "COMPLETED")
            before = (await match(db, "duel", done["match"]))["beat_ms"]
            redis.kill()
            server = await stack.server_of(done["match"])
            timeout_ms = int(SOON["MUSTER_BEAT_TIMEOUT_S"]) * 1000
            until = now_ms() + timeout_ms + 500

            async def long_away() -> bool:
                return now_ms() > until

            await eventually(long_away)
            redis.start()

            async def judged() -> bool:
                found = await match(db, "duel", done["match"])
                return now_ms() > until + timeout_ms + 1000 and found["beat_ms"] > before

            await eventually(judged)
            assert (await match(db, "duel", done["match"]))["state"] == "RUNNING"
            assert server.is_running()
            # ... and it works on.
            two, _ = await queue(db, "duel"), await queue(db, "duel")
            await status(db, "duel", two, "COMPLETED")


async def test_matchmakers_killed_again_and_again(db: Database, stack: Matchmakers) -> None:
    """Under a load of tickets and kills of both replicas, every ticket ends up in exactly one match."""
    chance = random.Random(1)
    await register(db, "duel", spec(limits=Limits(tries=5)))
    alive = [stack.start(MUSTER_LEASE_S="0.6"), stack.start(MUSTER_LEASE_S="0.6")]
    tickets: list[str] = []
    for _ in range(5):
        tickets += [await queue(db, "duel") for _ in range(8)]
        victim = alive.pop(chance.randrange(2))
        victim.kill()
        alive.append(stack.start(MUSTER_LEASE_S="0.6"))
    for name in tickets:
        await status(db, "duel", name, "COMPLETED", within_s=60)
    await _each_in_one_match(db, "duel", tickets)
    assert await db.do("ZCARD", f"{keys.game('duel')}:live") == len(tickets) // 2


async def _each_in_one_match(db: Database, game: str, tickets: list[str]) -> None:
    """Each ticket is named by one live match, and that is the one it names."""
    named: Counter[str] = Counter()
    for name in await db.do("ZRANGE", f"{keys.game(game)}:live", 0, -1):
        document = msgspec.json.decode((await match(db, game, name))["doc"], type=Match)
        named.update(document.tickets)
        for member in document.tickets:
            assert (await ticket(db, game, member))["match"] == name
    assert named == Counter(tickets)
