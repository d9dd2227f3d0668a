"""Client libraries of strangers, unchanged, against `gamepod local`: they find what Agones' own local server has."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from agones_python_sdk import ApiClient, Configuration, SDKApi
from agones_python_sdk.exceptions import ApiException
from agones_python_sdk.models.sdk_duration import SdkDuration
from agones_python_sdk.models.sdk_key_value import SdkKeyValue

from tests import agones_node
from tests.gamepod.sdk.side import Program, program

CONFORMANCE = Path(__file__).parent / "conformance.js"


@pytest.fixture
def sidecar(tmp_path: Path) -> Iterator[Program]:
    """The program that stands for Agones' local server."""
    with program(tmp_path / "log") as made:
        yield made


def test_node_s_library_over_grpc(sidecar: Program) -> None:
    """Each of its calls, stable, beta and alpha, answers as the reference's server does, refusals included."""
    env = os.environ | {"AGONES_SDK_GRPC_PORT": str(sidecar.ports.grpc), "NODE_PATH": str(agones_node.modules())}
    done = subprocess.run(["node", CONFORMANCE], env=env, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    told: dict[str, Any] = {}
    for line in done.stdout.splitlines():
        one = json.loads(line)
        told[one["call"]] = one["answer"]
    server = told.pop("gameserver")
    assert (server["objectMeta"]["name"], server["objectMeta"]["namespace"]) == ("local", "default")
    assert server["status"]["portsList"] == [{"name": "default", "port": 7777}]
    assert server["status"]["countersMap"] == [["rooms", {"count": 1, "capacity": 10}]]
    values = ["test0", "test1", "test2"]
    assert server["status"]["listsMap"] == [["players", {"capacity": 100, "valuesList": values}]]
    labels = dict(told["last"].pop("labels"))
    assert labels["agones.dev/sdk-timestamp"] == str(server["objectMeta"]["creationTimestamp"])
    watched = told.pop("watch")
    assert (watched[0], watched[-1], "Reserved" in watched) == ("Ready", "Shutdown", True)
    assert told == {
        **{call: {} for call in ("ready", "allocate", "reserve", "setlabel", "setannotation", "shutdown")},
        "bad label": 3,
        "large": 8,
        "count": 3,
        "counters": [15, 20],
        "out of range": 2,
        "unknown counter": 2,
        "contains": True,
        "duplicate": 2,
        "lists": [["test1", "test2", "x"], 3],
        "list capacity": [2, 2],
        "connect": [True, False],
        "full": 2,
        "players": [1, 1, True, ["ada"], True],
        "last": {"state": "Reserved", "health": False},
    }


def test_python_s_library_over_rest(sidecar: Program) -> None:
    """Each call of the generated REST client, with its own models of what comes back."""
    with ApiClient(Configuration(host=f"http://127.0.0.1:{sidecar.ports.rest}")) as client:
        sdk = SDKApi(client)
        server = sdk.get_game_server()
        assert (server.object_meta.name, server.status.state) == ("local", "Ready")
        assert server.status.ports[0].port == 7777
        assert server.status.counters["rooms"].capacity == "10"
        assert server.status.lists["players"].values == ["test0", "test1", "test2"]
        sdk.ready({})
        sdk.allocate({})
        assert sdk.get_game_server().status.state == "Allocated"
        sdk.reserve(SdkDuration(seconds="30"))
        assert sdk.get_game_server().status.state == "Reserved"
        sdk.health({})
        sdk.set_label(SdkKeyValue(key="timestamp", value=server.object_meta.creation_timestamp))
        sdk.set_annotation(SdkKeyValue(key="UID", value=server.object_meta.uid))
        meta = sdk.get_game_server().object_meta
        assert meta.labels["agones.dev/sdk-timestamp"] == server.object_meta.creation_timestamp
        assert meta.annotations["agones.dev/sdk-UID"] == server.object_meta.uid
        with pytest.raises(ApiException) as caught:
            sdk.set_label(SdkKeyValue(key="bad key", value="x"))
        assert caught.value.status == 400
        watch = sdk.watch_game_server_without_preload_content()
        first = json.loads(next(iter(watch.stream(65_536))))
        assert first["result"]["status"]["state"] == "Reserved"
        watch.close()
        sdk.shutdown({})
        assert sdk.get_game_server().status.state == "Shutdown"
