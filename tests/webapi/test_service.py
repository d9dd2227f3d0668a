"""The process: its ports, its signals, its metrics, its doorbell, its batches."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import sys
from contextlib import suppress

import aiohttp
import msgspec
import pytest

from core import keys
from core.doorbell import open_doorbell
from core.errors import MusterError, Unavailable
from core.redis import batch
from core.redis.batch import Batch
from core.redis.client import Database
from tests.support import eventually, free_port
from tests.webapi.support import SECRET, Api


async def _start(redis_url: str, **env: str) -> asyncio.subprocess.Process:
    ports = {"MUSTER_WEBAPI_PORT": "0", "MUSTER_WEBAPI_METRICS_PORT": "0", "MUSTER_WEBAPI_AUTH_PORT": "0"}
    return await asyncio.create_subprocess_exec(
        sys.executable, "-m", "webapi", stderr=asyncio.subprocess.PIPE,
        env=os.environ | {"REDIS_URL": redis_url, "MUSTER_SECRET": SECRET} | ports | env,
    )  # fmt: skip


async def test_the_process_serves_and_stops_cleanly(redis_url: str) -> None:
    """It says where it listens, counts what it serves, and ends with 0 at SIGTERM."""
    metrics_port = free_port()
    process = await _start(redis_url, MUSTER_WEBAPI_METRICS_PORT=str(metrics_port))
    assert process.stderr is not None
    found = re.search(rb"http://[0-9.:]+", await process.stderr.readline())
    assert found is not None
    async with aiohttp.ClientSession() as client:
        async with client.get(f"{found[0].decode()}/status") as answer:
            assert await answer.text() == "Server is running !"
        async with client.get(f"http://127.0.0.1:{metrics_port}/metrics") as answer:
            assert 'muster_http_requests_total{method="GET",route="/status",status="200"} 1.0' in await answer.text()
    process.send_signal(signal.SIGTERM)
    _, errors = await process.communicate()
    assert process.returncode == 0, errors


async def test_the_process_listens_for_lines(redis_url: str) -> None:
    """At a port of its own; the audit is written whatever the level of the log."""
    port = free_port()
    process = await _start(redis_url, MUSTER_WEBAPI_AUTH_PORT=str(port), MUSTER_LOG_LEVEL="error")

    async def connected() -> tuple[asyncio.StreamReader, asyncio.StreamWriter] | None:
        with suppress(OSError):
            return await asyncio.open_connection("127.0.0.1", port)
        return None

    connection = await eventually(connected)
    assert connection is not None
    reader, writer = connection
    writer.write(b'{"type":"register","id":1,"name":"Ada","password":"correct horse"}\n')
    answer = msgspec.json.decode(await reader.readline())
    assert (answer["ok"], answer["id"], answer["name"]) == (True, 1, "Ada")
    process.send_signal(signal.SIGTERM)
    assert await reader.read() == b""
    writer.close()
    _, errors = await process.communicate()
    assert process.returncode == 0, errors
    events = [msgspec.json.decode(line) for line in errors.splitlines()]
    assert [(event["event"], event["player"]) for event in events] == [("user_registered", answer["player"])]


async def test_a_misspelt_setting_is_told_of(redis_url: str) -> None:
    """The service starts all the same, and its first line names the variable and the one that may have been meant."""
    process = await _start(redis_url, MUSTER_STREAM="7")
    assert process.stderr is not None
    told = msgspec.json.decode(await process.stderr.readline())
    assert (told["level"], told["variable"], told["meant"]) == ("warning", "MUSTER_STREAM", "MUSTER_STREAMS")
    process.send_signal(signal.SIGTERM)
    await process.communicate()
    assert process.returncode == 0


@pytest.mark.parametrize(
    ("env", "setting"),
    [
        ({"MUSTER_SECRET": ""}, "MUSTER_SECRET"),
        ({"MUSTER_SECRET": "short"}, "MUSTER_SECRET"),
        ({"MUSTER_STREAMS": "many"}, "MUSTER_STREAMS"),
        ({"MUSTER_WEBAPI_PORT": "taken"}, "MUSTER_WEBAPI_PORT"),
        ({"MUSTER_WEBAPI_METRICS_PORT": "taken"}, "MUSTER_WEBAPI_METRICS_PORT"),
        ({"MUSTER_WEBAPI_AUTH_PORT": "taken"}, "MUSTER_WEBAPI_AUTH_PORT"),
    ],
)
async def test_a_wrong_setting_is_named(redis_url: str, env: dict[str, str], setting: str) -> None:
    """A taken port, a missing secret, a number that is none: one line with the setting, and exit code 78."""
    holder = await asyncio.start_server(lambda *_: None, "127.0.0.1", 0)
    port = str(holder.sockets[0].getsockname()[1])
    process = await _start(redis_url, **{name: port if value == "taken" else value for name, value in env.items()})
    _, errors = await process.communicate()
    holder.close()
    assert process.returncode == 78
    assert f"(setting: {setting})" in errors.decode().splitlines()[-1]


async def test_a_ticket_rings_the_queue_and_a_ring_wakes_the_replica(api: Api, db: Database) -> None:
    """A new ticket rings `queue` with its game; a ring for `ticket` from elsewhere reaches this replica's watchers."""
    await api.game()
    heard: list[str] = []
    async with open_doorbell(db, topics=["queue"], heard=lambda _, ids: heard.extend(ids)) as bell:

        async def connected() -> bool:
            return await db.do("HLEN", keys.DOORBELLS) == 2

        await eventually(connected)
        await api.services.bell.refresh()
        await bell.refresh()

        async def ringing() -> bool:
            guest = await api.guest()
            ticket = await api.ticket(guest)
            with api.services.streams.watch(("tanks", ticket["id"]), guest["player"], 1) as watcher:
                bell.ring("ticket", [ticket["id"]])
                return await watcher.waker.wait(0.2) and "tanks" in heard

        assert await eventually(ringing)


async def test_commands_of_one_turn_share_a_round_trip(db: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is asked at once goes out at once; a command that fails fails alone."""
    trips: list[int] = []
    run_many = db.run_many

    async def counted(commands: object) -> object:
        trips.append(len(commands))  # type: ignore[arg-type]
        return await run_many(commands)  # type: ignore[arg-type]

    monkeypatch.setattr(db, "run_many", counted)
    shared = Batch(db)
    replies = await asyncio.gather(
        *(shared.do("SET", f"k{i}", i) for i in range(5)), shared.do("INCR"), return_exceptions=True
    )
    assert trips == [6]
    assert replies[:5] == [True] * 5
    assert isinstance(replies[5], MusterError)
    assert not isinstance(replies[5], Unavailable)


async def test_what_is_asked_meanwhile_shares_the_next_trip(db: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """While as many round trips as may be are under way, further commands wait, and leave together when one is back."""
    trips: list[int] = []
    run_many, back = db.run_many, asyncio.Event()

    async def held(commands: object) -> object:
        trips.append(len(commands))  # type: ignore[arg-type]
        await back.wait()
        return await run_many(commands)  # type: ignore[arg-type]

    monkeypatch.setattr(db, "run_many", held)
    shared = Batch(db)
    asked: list[asyncio.Task[object]] = []
    for number in range(6):
        asked.append(asyncio.create_task(shared.do("SET", f"k{number}", number)))
        for _ in range(5):
            await asyncio.sleep(0)
    assert trips == [1] * batch.TRIPS
    back.set()
    assert await asyncio.gather(*asked) == [True] * 6
    assert trips == [1] * batch.TRIPS + [6 - batch.TRIPS]


async def test_one_command_that_fails_is_its_error(db: Database) -> None:
    """A command alone is answered as it would be among others: with its error, and with no other trouble."""
    (reply,) = await db.run_many([("INCR",)])
    assert isinstance(reply, MusterError)
    assert not isinstance(reply, Unavailable)
    assert await db.run_many([("ECHO", "still here")]) == ["still here"]


async def test_commands_under_way_are_bounded(db: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """Beyond the bound a command is refused at once, and those before it are served."""
    monkeypatch.setattr(batch, "UNDER_WAY", 3)
    shared = Batch(db)
    replies = await asyncio.gather(*(shared.do("PING") for _ in range(5)), return_exceptions=True)
    assert [isinstance(reply, Unavailable) for reply in replies] == [False] * 3 + [True] * 2
    assert await shared.do("PING")
