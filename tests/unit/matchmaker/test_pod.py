"""Pods as documents, whole: what is not written here is not in them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import msgspec
import pytest

from core import trace
from core.errors import Invalid, Misconfigured
from core.gameenv import settings_text, traceparent
from core.model import GivenPort, Match, MatchPlayer, Port, Resources, Server, Timers
from core.settings import from_env
from matchmaker.kube_settings import KubernetesSettings
from matchmaker.launch.pod import Given, pod_document

SETTINGS = KubernetesSettings(gamepod_image="example/gamepod:1")
TIMERS = Timers(start_s=60, length_s=600, drain_s=4.5)
CLOSED = {
    "allowPrivilegeEscalation": False,
    "capabilities": {"drop": ["ALL"]},
    "privileged": False,
    "readOnlyRootFilesystem": True,
}
NEAR = {
    "labelSelector": {
        "matchLabels": {
            "app.kubernetes.io/name": "muster-server",
            "app.kubernetes.io/instance": "main",
            "app.kubernetes.io/managed-by": "muster",
        }
    },
    "topologyKey": "kubernetes.io/hostname",
}


def a_match(server: Server) -> Match:
    """The match of all these pods."""
    seats = [MatchPlayer("p-1", "", "players", "t-1")]
    return Match("m-1", "tanks", 1, 0, seats, server, TIMERS, 3, 30, "p-developer")


def given(*ports: GivenPort) -> Given:
    """What the launcher chose."""
    return Given("main", "key", list(ports), tuning={"MUSTER_FLUSH_S": "0.1"})


METADATA = {
    "name": "m-1",
    "labels": {
        "app.kubernetes.io/name": "muster-server",
        "app.kubernetes.io/instance": "main",
        "app.kubernetes.io/managed-by": "muster",
        "app.kubernetes.io/component": "server",
        "app.kubernetes.io/part-of": "muster",
        "muster.dev/match": "m-1",
        "muster.dev/game": "tanks",
        "muster.dev/developer": "p-developer",
    },
    "annotations": {
        "cluster-autoscaler.kubernetes.io/safe-to-evict": "false",
        "muster.dev/trace": trace.of("m-1"),
    },
}
POD = {
    "restartPolicy": "Never",
    "automountServiceAccountToken": False,
    "enableServiceLinks": False,
    "terminationGracePeriodSeconds": 5,
    "activeDeadlineSeconds": 785,
    "securityContext": {
        "runAsNonRoot": True,
        "seccompProfile": {"type": "RuntimeDefault"},
        "runAsUser": 65532,
        "runAsGroup": 65532,
    },
    "affinity": {
        "podAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": [{"weight": 100, "podAffinityTerm": NEAR}]}
    },
}


def gamepod(ports: str, *, sidecar: bool) -> dict[str, Any]:
    """The part of gamepod's container that the arena and a sidecar share."""
    env = {
        "MUSTER_GAME": "tanks",
        "MUSTER_MATCH": "m-1",
        "MUSTER_TRACE": trace.of("m-1"),
        "MUSTER_JOIN_KEY": "key",
        "MUSTER_SERVER": "main/m-1",
        "MUSTER_PORTS": ports,
        "MUSTER_BIND": "0.0.0.0",
        "MUSTER_METRICS_BIND": "0.0.0.0",
        "MUSTER_METRICS_PORT": "8001",
        "MUSTER_SDK_PORT": "9358",
        "MUSTER_SDK_GRPC_PORT": "9357",
        "MUSTER_RUN_DIR": "/dev/shm",
        "MUSTER_LOG_LEVEL": "info",
        **({"MUSTER_SIDECAR": "true"} if sidecar else {"MUSTER_LAUNCHER_TELLS": "true"}),
        "MUSTER_FLUSH_S": "0.1",
    }
    fields = {"MUSTER_ADDRESS": "status.hostIP", **({"MUSTER_SERVER_ID": "metadata.uid"} if sidecar else {})}
    return {
        "name": "gamepod",
        "image": "example/gamepod:1",
        "imagePullPolicy": "IfNotPresent",
        "command": ["python3", "-m", "gamepod"],
        "env": [
            *({"name": name, "value": value} for name, value in env.items()),
            *({"name": name, "valueFrom": {"fieldRef": {"fieldPath": path}}} for name, path in fields.items()),
            {"name": "REDIS_URL", "valueFrom": {"secretKeyRef": {"name": "muster-redis", "key": "url"}}},
        ],
        "securityContext": CLOSED,
        "terminationMessagePolicy": "FallbackToLogsOnError",
    }


def test_the_arena() -> None:
    """One container, which runs gamepod on the ports that were chosen."""
    document = pod_document(a_match(Server(arena={})), SETTINGS, given(GivenPort("udp", "udp", 20_001, 20_001)))
    ports = '[{"name":"udp","protocol":"udp","port":20001,"listen":20001}]'
    container = gamepod(ports, sidecar=False) | {
        "ports": [{"containerPort": 20_001, "protocol": "UDP", "hostPort": 20_001}],
        "resources": {
            "requests": {"cpu": "100m", "memory": "128Mi"},
            "limits": {"cpu": "1000m", "memory": "128Mi", "ephemeral-storage": "512Mi"},
        },
    }
    assert document == {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": METADATA,
        "spec": POD | {"containers": [container]},
    }


def test_an_image() -> None:
    """The game with its own environment and no secret; gamepod beside it as a native sidecar."""
    server = Server(
        image="example/game:7",
        args=["serve", "{port}", "--voice={port:voice-chat}"],
        ports=[Port("game", "tcp", 7777), Port("voice-chat", "udp")],
        env={"MODE": "fast", "PORT": "1"},
        resources=Resources(cpu=0.5, memory_mib=300),
    )
    chosen = GivenPort("game", "tcp", 20_005, 7777), GivenPort("voice-chat", "udp", 20_006, 20_006)
    document = pod_document(a_match(server), SETTINGS, given(*chosen))
    sidecar = gamepod(msgspec.json.encode(list(chosen)).decode(), sidecar=True) | {
        "restartPolicy": "Always",
        "lifecycle": {"postStart": {"exec": {"command": ["python3", "-m", "gamepod.up", "9358"]}}},
        "resources": {
            "requests": {"cpu": "20m", "memory": "64Mi"},
            "limits": {"cpu": "1000m", "memory": "64Mi", "ephemeral-storage": "512Mi"},
        },
    }
    env = {
        "MODE": "fast",
        "PORT": "7777",
        "MUSTER_GAME": "tanks",
        "MUSTER_GAME_VERSION": "1",
        "MUSTER_SETTINGS": settings_text(a_match(server)),
        "TRACEPARENT": traceparent(a_match(server)),
        "MUSTER_ROSTER": '[{"id":"p-1","team":"players"}]',
        "MUSTER_PORT_GAME": "7777",
        "MUSTER_PORT_VOICE_CHAT": "20006",
        "AGONES_SDK_HTTP_PORT": "9358",
        "AGONES_SDK_GRPC_PORT": "9357",
        "MUSTER_MATCH": "m-1",
        "MUSTER_SERVER": "main/m-1",
    }
    game = {
        "name": "game",
        "image": "example/game:7",
        "imagePullPolicy": "IfNotPresent",
        "args": ["serve", "7777", "--voice=20006"],
        "env": [{"name": name, "value": value} for name, value in env.items()],
        "ports": [
            {"containerPort": 7777, "protocol": "TCP", "hostPort": 20_005},
            {"containerPort": 20_006, "protocol": "UDP", "hostPort": 20_006},
        ],
        "resources": {
            "requests": {"cpu": "500m", "memory": "300Mi"},
            "limits": {"cpu": "2000m", "memory": "300Mi", "ephemeral-storage": "512Mi"},
        },
        "securityContext": CLOSED,
        "volumeMounts": [{"name": "tmp", "mountPath": "/tmp"}],
        "terminationMessagePolicy": "FallbackToLogsOnError",
    }
    assert document["spec"] == POD | {
        "initContainers": [sidecar],
        "containers": [game],
        "volumes": [{"name": "tmp", "emptyDir": {"sizeLimit": "512Mi"}}],
    }


def test_the_nodes_own_network() -> None:
    """With host_network no port is mapped, the cluster's names resolve, and none of our ports is fixed."""
    settings = replace(SETTINGS, network="host_network")
    chosen = replace(given(GivenPort("tcp", "tcp", 20_001, 20_001)), sdk_ports=(20_002, 20_003))
    spec = pod_document(a_match(Server(arena={})), settings, chosen)["spec"]
    assert (spec["hostNetwork"], spec["dnsPolicy"]) == (True, "ClusterFirstWithHostNet")
    assert spec["containers"][0]["ports"] == [{"containerPort": 20_001, "protocol": "TCP"}]
    env = {variable["name"]: variable.get("value") for variable in spec["containers"][0]["env"]}
    assert (env["MUSTER_SDK_PORT"], env["MUSTER_METRICS_PORT"]) == ("20002", "0")


def test_no_port_of_the_node() -> None:
    """With none players come by the pod's own address."""
    spec = pod_document(
        a_match(Server(arena={})), replace(SETTINGS, network="none"), given(GivenPort("ws", "ws", 20_000, 20_000))
    )["spec"]
    assert spec["containers"][0]["ports"] == [{"containerPort": 20_000, "protocol": "TCP"}]
    address = next(v for v in spec["containers"][0]["env"] if v["name"] == "MUSTER_ADDRESS")
    assert address["valueFrom"]["fieldRef"]["fieldPath"] == "status.podIP"


@pytest.mark.parametrize(("network", "asks"), [("host_port", True), ("host_network", True), ("none", False)])
def test_a_node_that_players_reach_from_outside(network: str, asks: bool) -> None:
    """Where nodes may be read the server knows its node, to ask what it is reached by, if players go there at all."""
    settings = replace(SETTINGS, network=network, node_addresses=True)
    document = pod_document(a_match(Server(arena={})), settings, given(GivenPort("tcp", "tcp", 20_001, 20_001)))
    fields = {v["name"]: v["valueFrom"] for v in document["spec"]["containers"][0]["env"] if "valueFrom" in v}
    assert (fields.get("MUSTER_NODE") == {"fieldRef": {"fieldPath": "spec.nodeName"}}) is asks


def test_where_it_may_run() -> None:
    """The operator's choices of nodes, accounts and classes are in the pod as they are."""
    settings = replace(
        SETTINGS,
        placement="spread",
        node_selector='{"pool": "games"}',
        tolerations='[{"key": "games", "operator": "Exists"}]',
        pull_secrets="one, two",
        priority_class="games",
        runtime_class="gvisor",
        service_account="nobody",
        run_as=0,
    )
    spec = pod_document(a_match(Server(image="i", writable_root=True)), settings, given(GivenPort("g", "tcp", 1, 1)))[
        "spec"
    ]
    assert "podAntiAffinity" in spec["affinity"]
    assert spec["nodeSelector"] == {"pool": "games"}
    assert spec["tolerations"] == [{"key": "games", "operator": "Exists"}]
    assert spec["imagePullSecrets"] == [{"name": "one"}, {"name": "two"}]
    assert (spec["priorityClassName"], spec["runtimeClassName"]) == ("games", "gvisor")
    assert spec["serviceAccountName"] == "nobody"
    assert spec["securityContext"] == {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}}
    assert spec["containers"][0]["securityContext"]["readOnlyRootFilesystem"] is False


def test_an_argument_for_a_port_that_is_none() -> None:
    """A typing mistake in an image's arguments is told with the names there are."""
    server = Server(image="i", args=["{port:gmae}"])
    with pytest.raises(Invalid, match="the ports are game"):
        pod_document(a_match(server), SETTINGS, given(GivenPort("game", "tcp", 1, 1)))


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("MUSTER_KUBE_GAMEPOD_IMAGE", ""),
        ("MUSTER_KUBE_NETWORK", "bridge"),
        ("MUSTER_KUBE_PLACEMENT", "near"),
        ("MUSTER_KUBE_PULL_POLICY", "Sometimes"),
        ("MUSTER_KUBE_PORT_FIRST", "65000"),
        ("MUSTER_KUBE_PENDING", "0"),
        ("MUSTER_KUBE_NODE_SELECTOR", "pool=games"),
        ("MUSTER_KUBE_TOLERATIONS", "{}"),
    ],
)
def test_wrong_settings(variable: str, value: str) -> None:
    """A setting that cannot work is named."""
    env = {"MUSTER_KUBE_GAMEPOD_IMAGE": "i", "MUSTER_KUBE_PORT_LAST": "24999", variable: value}
    with pytest.raises(Misconfigured, match=variable):
        from_env(KubernetesSettings, env)
