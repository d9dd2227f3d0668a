"""The same calls over gRPC, by the C library that the C++, C# and Python clients are made of."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import grpc
import grpc.aio
import pytest

from gamepod.sdk.grpc_port import MAX_CONNECTIONS
from gamepod.sdk.proto import alpha_pb2 as alpha
from gamepod.sdk.proto import beta_pb2 as beta
from gamepod.sdk.proto.sdk_pb2 import Duration, Empty, GameServer, KeyValue
from tests.gamepod.sdk.side import Program, Side, program, side
from tests.support import eventually

GRPC = grpc.StatusCode


@pytest.fixture
async def local() -> AsyncIterator[Side]:
    """A sidecar with the reference's fixture."""
    async with side() as made:
        yield made


@pytest.fixture
async def channel(local: Side) -> AsyncIterator[grpc.aio.Channel]:
    """A connection to its gRPC port."""
    async with grpc.aio.insecure_channel(f"127.0.0.1:{local.ports.grpc}") as made:
        yield made


def unary(channel: grpc.aio.Channel, path: str, reply: Any) -> Callable[[Any], Any]:
    """A call of one message each way."""
    return channel.unary_unary(
        f"/agones.dev.sdk.{path}",
        request_serializer=lambda it: it.SerializeToString(),
        response_deserializer=reply.FromString,
    )


async def refused(call: Any) -> tuple[grpc.StatusCode, str]:
    """With what a call is refused."""
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call
    return caught.value.code(), caught.value.details() or ""


async def server(channel: grpc.aio.Channel) -> GameServer:
    found: GameServer = await unary(channel, "SDK/GetGameServer", GameServer)(Empty())
    return found


async def test_the_life_of_a_server(local: Side, channel: grpc.aio.Channel) -> None:
    """Ready, Allocate, Reserve, Health and Shutdown, each seen in the server that is told."""
    found = await server(channel)
    assert (found.object_meta.name, found.status.state) == ("local", "Ready")
    assert (found.status.counters["rooms"].capacity, found.status.lists["players"].values[0]) == (10, "test0")
    await unary(channel, "SDK/Allocate", Empty)(Empty())
    assert (await server(channel)).status.state == "Allocated"
    await unary(channel, "SDK/Reserve", Empty)(Duration(seconds=100))
    assert (await server(channel)).status.state == "Reserved"
    await unary(channel, "SDK/Ready", Empty)(Empty())
    assert (await server(channel)).status.state == "Ready"
    beats = channel.stream_unary(
        "/agones.dev.sdk.SDK/Health",
        request_serializer=lambda it: it.SerializeToString(),
        response_deserializer=Empty.FromString,
    )
    await beats(iter([Empty(), Empty()]))
    assert not (await server(channel)).spec.health.disabled
    await unary(channel, "SDK/Shutdown", Empty)(Empty())
    code, why = await refused(unary(channel, "SDK/Ready", Empty)(Empty()))
    assert (code, "Shutdown" in why) == (GRPC.FAILED_PRECONDITION, True)


async def test_labels_and_annotations(local: Side, channel: grpc.aio.Channel) -> None:
    """They are those of REST, with the same refusals."""
    await unary(channel, "SDK/SetLabel", Empty)(KeyValue(key="a", value="b"))
    await unary(channel, "SDK/SetAnnotation", Empty)(KeyValue(key="c", value="any text"))
    meta = (await local.call("GET", "/gameserver"))[1]["object_meta"]
    assert meta["labels"]["agones.dev/sdk-a"] == "b"
    assert meta["annotations"]["agones.dev/sdk-c"] == "any text"
    code, why = await refused(unary(channel, "SDK/SetLabel", Empty)(KeyValue(key="a b", value="c")))
    assert (code, "'a b'" in why) == (GRPC.INVALID_ARGUMENT, True)


async def test_counters_and_lists(local: Side, channel: grpc.aio.Channel) -> None:
    """The beta calls, their masks and their refusals."""
    update = unary(channel, "beta.SDK/UpdateCounter", beta.Counter)
    asked = beta.CounterUpdateRequest(name="rooms", countDiff=4)
    assert (await update(beta.UpdateCounterRequest(counterUpdateRequest=asked))).count == 5
    asked = beta.CounterUpdateRequest(name="rooms")
    asked.count.value = 0
    assert (await update(beta.UpdateCounterRequest(counterUpdateRequest=asked))).count == 0
    asked.count.value = 11
    assert (await refused(update(beta.UpdateCounterRequest(counterUpdateRequest=asked))))[0] == GRPC.UNKNOWN
    assert (await refused(update(beta.UpdateCounterRequest())))[0] == GRPC.INVALID_ARGUMENT
    get = unary(channel, "beta.SDK/GetCounter", beta.Counter)
    assert (await get(beta.GetCounterRequest(name="rooms"))).capacity == 10
    assert await refused(get(beta.GetCounterRequest(name="no"))) == (GRPC.UNKNOWN, "counter not found: no")

    add = unary(channel, "beta.SDK/AddListValue", beta.List)
    assert list((await add(beta.AddListValueRequest(name="players", value="x"))).values)[-1] == "x"
    assert (await refused(add(beta.AddListValueRequest(name="players", value="x"))))[0] == GRPC.UNKNOWN
    remove = unary(channel, "beta.SDK/RemoveListValue", beta.List)
    assert "x" not in (await remove(beta.RemoveListValueRequest(name="players", value="x"))).values
    patch = unary(channel, "beta.SDK/UpdateList", beta.List)
    wanted = beta.UpdateListRequest(list=beta.List(name="players", capacity=2, values=["a", "b", "c"]))
    assert (await refused(patch(wanted)))[0] == GRPC.UNKNOWN  # no mask
    wanted.update_mask.paths.append("capacity")
    assert list((await patch(wanted)).values) == ["test0", "test1"]
    wanted.update_mask.paths.append("values")
    assert list((await patch(wanted)).values) == ["a", "b"]
    wanted.update_mask.paths.append("colour")
    assert (await refused(patch(wanted)))[0] == GRPC.UNKNOWN
    seen = unary(channel, "beta.SDK/GetList", beta.List)
    assert (await seen(beta.GetListRequest(name="players"))).capacity == 2


async def test_players(local: Side, channel: grpc.aio.Channel) -> None:
    """The alpha calls."""
    await unary(channel, "alpha.SDK/SetPlayerCapacity", Empty)(alpha.Count(count=1))
    connect = unary(channel, "alpha.SDK/PlayerConnect", alpha.Bool)
    assert (await connect(alpha.PlayerID(playerID="ada"))).bool
    assert not (await connect(alpha.PlayerID(playerID="ada"))).bool
    assert (await refused(connect(alpha.PlayerID(playerID="bob"))))[0] == GRPC.UNKNOWN
    assert (await unary(channel, "alpha.SDK/GetPlayerCount", alpha.Count)(Empty())).count == 1
    assert (await unary(channel, "alpha.SDK/GetPlayerCapacity", alpha.Count)(Empty())).count == 1
    assert (await unary(channel, "alpha.SDK/IsPlayerConnected", alpha.Bool)(alpha.PlayerID(playerID="ada"))).bool
    listed = await unary(channel, "alpha.SDK/GetConnectedPlayers", alpha.PlayerIDList)(Empty())
    assert list(listed.list) == ["ada"]
    assert (await unary(channel, "alpha.SDK/PlayerDisconnect", alpha.Bool)(alpha.PlayerID(playerID="ada"))).bool


async def test_watch(local: Side, channel: grpc.aio.Channel) -> None:
    """A watcher is told the server at once and after each change, and may go at any time."""
    watch = channel.unary_stream(
        "/agones.dev.sdk.SDK/WatchGameServer",
        request_serializer=lambda it: it.SerializeToString(),
        response_deserializer=GameServer.FromString,
    )
    stream = watch(Empty())
    assert (await stream.read()).status.state == "Ready"
    await unary(channel, "SDK/Allocate", Empty)(Empty())
    assert (await stream.read()).status.state == "Allocated"
    stream.cancel()
    assert (await server(channel)).status.state == "Allocated"


async def test_what_comes_in_is_bounded(local: Side, channel: grpc.aio.Channel) -> None:
    """A 10 MB annotation is refused by its announced length; strangers' bytes end their own connection only."""
    set_annotation = unary(channel, "SDK/SetAnnotation", Empty)
    code, why = await refused(set_annotation(KeyValue(key="big", value="x" * 10 * 1024 * 1024)))
    assert (code, "32768 bytes" in why) == (GRPC.RESOURCE_EXHAUSTED, True)
    assert (await refused(unary(channel, "SDK/Nothing", Empty)(Empty())))[0] == GRPC.UNIMPLEMENTED
    with socket.create_connection(("127.0.0.1", local.ports.grpc)) as stranger:
        stranger.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n" * 100)
    await set_annotation(KeyValue(key="small", value="x"))
    held = []
    for _ in range(MAX_CONNECTIONS + 4):
        held.append(await asyncio.open_connection("127.0.0.1", local.ports.grpc))
    reader = held[-1][0]
    assert await reader.read() == b""  # turned away
    await set_annotation(KeyValue(key="small", value="y"))
    for _, writer in held:
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()


def loaded(sidecar: Program, name: str) -> bool:
    """Whether a process has mapped a file of that name."""
    return name in Path(f"/proc/{sidecar.pid}/maps").read_text()


async def test_grpc_is_loaded_with_the_first_connection_only(tmp_path: Path) -> None:
    """A game that speaks REST pays nothing for gRPC; with the first gRPC call it is there, and stays small."""
    with program(tmp_path / "log") as sidecar:
        from tests.gamepod.sdk.side import call

        assert (await call(sidecar.ports.rest, "POST", "/ready", b"{}"))[0] == 200
        assert not loaded(sidecar, "_upb")
        async with grpc.aio.insecure_channel(f"127.0.0.1:{sidecar.ports.grpc}") as channel:
            assert (await server(channel)).status.state == "Ready"
        assert loaded(sidecar, "_upb")
        assert sidecar.memory_kb() < 40 * 1024  # bench/sidecar.py has the figures
        assert not loaded(sidecar, "libssl")


async def test_without_grpc_installed_rest_works(monkeypatch: pytest.MonkeyPatch, caplog: Any) -> None:
    """A gamepod without the extra turns gRPC away, says in its log what to install, and answers REST."""
    monkeypatch.setitem(sys.modules, "gamepod.sdk.grpc_face", None)
    async with side() as local:
        reader, writer = await asyncio.open_connection("127.0.0.1", local.ports.grpc)
        assert await reader.read() == b""
        writer.close()
        assert (await local.call("POST", "/ready", {}))[0] == 200
    assert "install muster[grpc]" in caplog.text


def test_the_generated_modules_are_those_of_the_proto_files(tmp_path: Path) -> None:
    """`make proto` would change nothing."""
    root = Path(__file__).parents[3]
    files = sorted(str(path.relative_to(root)) for path in (root / "gamepod/sdk/proto").glob("*.proto"))
    command = [sys.executable, "-m", "grpc_tools.protoc", "-I.", f"--python_out={tmp_path}", f"--pyi_out={tmp_path}"]
    subprocess.run([*command, *files], cwd=root, check=True)
    made = sorted((tmp_path / "gamepod/sdk/proto").iterdir())
    assert len(made) == 2 * len(files) == 6
    for path in made:
        assert (root / "gamepod/sdk/proto" / path.name).read_text() == path.read_text(), f"{path.name}: run make proto"


async def test_a_sidecar_that_ends_ends_its_watchers() -> None:
    """At the end every call is ended, and nothing is left running."""
    async with side() as local:
        channel = grpc.aio.insecure_channel(f"127.0.0.1:{local.ports.grpc}")
        watch = channel.unary_stream("/agones.dev.sdk.SDK/WatchGameServer", response_deserializer=GameServer.FromString)
        stream = watch(b"")
        await stream.read()
    with pytest.raises(grpc.aio.AioRpcError):
        await stream.read()
    await channel.close()

    async def nothing_left() -> bool:
        return len(asyncio.all_tasks()) <= 2  # this one, and the look

    await eventually(nothing_left)
