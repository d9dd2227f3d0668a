"""The pod of a match. PURE: built from the match and the settings, tested whole.

The arena is one container that runs gamepod. Any other game is its image, with gamepod as a native sidecar: it is up
before the game and ends after it. The containers share the pod's network and nothing else: what reaches Redis or
verifies join tokens is in the sidecar's environment only. No container has an API token, a right or a way to gain one.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import msgspec

from core import trace
from core.gameenv import fill, of_match, told
from core.model import GivenPort, Match
from matchmaker.kube_settings import NET_S, KubernetesSettings, parsed
from matchmaker.launch.host_ports import Kind, kind_of

Document = dict[str, Any]

GAMEPOD: Final = "gamepod"  # the container with it: the arena, or the sidecar
GAME: Final = "game"
COMMAND: Final = ("python3", "-m", "gamepod")
UP: Final = ("python3", "-m", "gamepod.up")  # returns once the SDK listens on the port that is its argument
SDK_PORTS: Final = (9358, 9357)  # Agones' sidecar ports, REST and gRPC: what its client libraries are fixed to
METRICS_PORT: Final = 8001

NAME: Final = "app.kubernetes.io/name"
INSTANCE: Final = "app.kubernetes.io/instance"
MANAGED_BY: Final = "app.kubernetes.io/managed-by"
MATCH: Final = "muster.dev/match"
OF_GAME: Final = "muster.dev/game"
TRACE: Final = "muster.dev/trace"
DEVELOPER: Final = "muster.dev/developer"
SERVER: Final = "muster-server"  # the value of NAME, and of MANAGED_BY's other side


@dataclass(frozen=True, slots=True)
class Given:
    """What is chosen or derived for one pod at its start."""

    installation: str
    join_key: str
    ports: Sequence[GivenPort]
    sdk_ports: tuple[int, int] = SDK_PORTS
    tuning: Mapping[str, str] | None = None  # further settings of gamepod


def selector(installation: str) -> Document:
    """Labels that all pods of an installation have, and no other pod."""
    return {NAME: SERVER, INSTANCE: installation, MANAGED_BY: "muster"}


def pod_document(match: Match, settings: KubernetesSettings, given: Given) -> Document:
    """The whole pod. Raises Invalid where the image's arguments name a port that the game does not have."""
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": match.id,
            "labels": {
                **selector(given.installation),
                "app.kubernetes.io/component": "server",
                "app.kubernetes.io/part-of": "muster",
                MATCH: match.id,
                OF_GAME: match.game,
                **({DEVELOPER: match.owner} if match.owner else {}),
            },
            # A node that has a match on it is not scaled away under its players.
            "annotations": {
                "cluster-autoscaler.kubernetes.io/safe-to-evict": "false",
                TRACE: trace.of(match.id, match.trace),
            },
        },
        "spec": _spec(match, settings, given),
    }


def node_ports(pod: Document) -> list[tuple[Kind, int]]:
    """Ports of its node that a pod asks for, each with its protocol."""
    ports = [port for container in pod["spec"]["containers"] for port in container["ports"]]
    return [(port["protocol"], port["hostPort"]) for port in ports if "hostPort" in port]


def _spec(match: Match, settings: KubernetesSettings, given: Given) -> Document:
    timers = match.timers
    spec: Document = {
        "restartPolicy": "Never",
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,  # strangers' code need not know what else runs here
        "terminationGracePeriodSeconds": math.ceil(timers.drain_s),
        # Ends the pod even where all of Muster is dead.
        "activeDeadlineSeconds": math.ceil(timers.start_s + timers.length_s + timers.drain_s) + NET_S,
        "securityContext": _pod_security(settings),
        **_containers(match, settings, given),
        **_placement(settings, given.installation),
    }
    if settings.network == "host_network":
        spec |= {"hostNetwork": True, "dnsPolicy": "ClusterFirstWithHostNet"}
    return spec


def _containers(match: Match, settings: KubernetesSettings, given: Given) -> Document:
    gamepod = _gamepod(match, settings, given)
    if match.server.image is None:
        return {"containers": [gamepod | {"ports": _ports(settings, given), "resources": _resources(match, settings)}]}
    game = _game(match, settings, given)
    sidecar = gamepod | {
        "restartPolicy": "Always",
        "resources": _sidecar_resources(settings),
        # The kubelet starts the game when this is over: a game may ask its SDK before all else, and only once.
        # A startup probe would say the same, a second later.
        "lifecycle": {"postStart": {"exec": {"command": [*UP, str(given.sdk_ports[0])]}}},
    }
    return {
        "initContainers": [sidecar],
        "containers": [game],
        "volumes": [{"name": "tmp", "emptyDir": {"sizeLimit": f"{settings.disk_mib}Mi"}}],
    }


def _gamepod(match: Match, settings: KubernetesSettings, given: Given) -> Document:
    sidecar = match.server.image is not None
    host_network = settings.network == "host_network"
    own = {
        "MUSTER_GAME": match.game,
        "MUSTER_MATCH": match.id,
        "MUSTER_TRACE": trace.of(match.id, match.trace),
        "MUSTER_JOIN_KEY": given.join_key,
        "MUSTER_SERVER": f"{given.installation}/{match.id}",
        "MUSTER_PORTS": msgspec.json.encode(list(given.ports)).decode(),
        "MUSTER_BIND": "0.0.0.0",  # noqa: S104 - of the pod
        "MUSTER_METRICS_BIND": "0.0.0.0",  # noqa: S104 - the scraper is elsewhere
        "MUSTER_METRICS_PORT": "0" if host_network else str(METRICS_PORT),
        "MUSTER_SDK_PORT": str(given.sdk_ports[0]),
        "MUSTER_SDK_GRPC_PORT": str(given.sdk_ports[1]),
        "MUSTER_RUN_DIR": "/dev/shm",  # noqa: S108 - the one place of a read-only container that takes a lock file
        "MUSTER_LOG_LEVEL": settings.log_level,
        **({"MUSTER_SIDECAR": "true"} if sidecar else {"MUSTER_LAUNCHER_TELLS": "true"}),
        **(given.tuning or {}),
    }
    fields = {
        "MUSTER_ADDRESS": "status.podIP" if settings.network == "none" else "status.hostIP",
        **({"MUSTER_NODE": "spec.nodeName"} if settings.node_addresses and settings.network != "none" else {}),
        **({"MUSTER_SERVER_ID": "metadata.uid"} if sidecar else {}),
    }
    secret = {"name": settings.redis_secret, "key": settings.redis_secret_key}
    return {
        "name": GAMEPOD,
        "image": settings.gamepod_image,
        "imagePullPolicy": settings.pull_policy,
        "command": list(COMMAND),
        "env": [
            *_variables(own),
            *({"name": name, "valueFrom": {"fieldRef": {"fieldPath": path}}} for name, path in fields.items()),
            {"name": "REDIS_URL", "valueFrom": {"secretKeyRef": secret}},
        ],
        "securityContext": _container_security(read_only=True),
        "terminationMessagePolicy": "FallbackToLogsOnError",
    }


def _game(match: Match, settings: KubernetesSettings, given: Given) -> Document:
    server = match.server
    listen = {port.name: port.listen for port in given.ports}
    mine = told(listen, sdk_ports=given.sdk_ports, match=match.id, server=f"{given.installation}/{match.id}")
    game: Document = {
        "name": GAME,
        "image": server.image,
        "imagePullPolicy": settings.pull_policy,
        "env": _variables(server.env | of_match(match) | mine),
        "ports": _ports(settings, given),
        "resources": _resources(match, settings),
        "securityContext": _container_security(read_only=not server.writable_root),
        "volumeMounts": [{"name": "tmp", "mountPath": "/tmp"}],  # noqa: S108 - a volume of the pod's own
        # Its last words come with its exit code, and cost no further request.
        "terminationMessagePolicy": "FallbackToLogsOnError",
    }
    if server.args:
        game["args"] = fill(server.args, listen, "/server/args")
    return game


def _variables(env: Mapping[str, str]) -> list[Document]:
    return [{"name": name, "value": value} for name, value in env.items()]


def _ports(settings: KubernetesSettings, given: Given) -> list[Document]:
    """With the node's own network the API server makes each a hostPort, so that the scheduler minds them too."""
    host = settings.network == "host_port"
    return [
        {
            "containerPort": port.listen,
            "protocol": kind_of(port),
            **({"hostPort": port.port} if host else {}),
        }
        for port in given.ports
    ]


def _resources(match: Match, settings: KubernetesSettings) -> Document:
    wanted = match.server.resources
    cpu = settings.cpu if wanted.cpu is None else wanted.cpu
    memory = settings.memory_mib if wanted.memory_mib is None else wanted.memory_mib
    return _bounds(cpu, max(1.0, cpu * settings.cpu_burst), memory, settings.disk_mib)


def _sidecar_resources(settings: KubernetesSettings) -> Document:
    return _bounds(settings.sidecar_cpu, 1.0, settings.sidecar_memory_mib, settings.disk_mib)


def _bounds(cpu: float, cpu_limit: float, memory_mib: int, disk_mib: int) -> Document:
    # Memory is requested as it is limited: what the scheduler counted on cannot be missing later.
    memory = f"{memory_mib}Mi"
    return {
        "requests": {"cpu": _milli(cpu), "memory": memory},
        "limits": {"cpu": _milli(cpu_limit), "memory": memory, "ephemeral-storage": f"{disk_mib}Mi"},
    }


def _milli(cores: float) -> str:
    return f"{math.ceil(cores * 1000)}m"


def _pod_security(settings: KubernetesSettings) -> Document:
    user = {"runAsUser": settings.run_as, "runAsGroup": settings.run_as} if settings.run_as else {}
    return {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}, **user}


def _container_security(*, read_only: bool) -> Document:
    return {
        "allowPrivilegeEscalation": False,
        "capabilities": {"drop": ["ALL"]},
        "privileged": False,
        "readOnlyRootFilesystem": read_only,
    }


def _placement(settings: KubernetesSettings, installation: str) -> Document:
    made: Document = {}
    if settings.placement != "none":
        near = {"labelSelector": {"matchLabels": selector(installation)}, "topologyKey": "kubernetes.io/hostname"}
        kind = "podAffinity" if settings.placement == "pack" else "podAntiAffinity"
        preferred = [{"weight": 100, "podAffinityTerm": near}]
        made["affinity"] = {kind: {"preferredDuringSchedulingIgnoredDuringExecution": preferred}}
    if chosen := parsed(settings.node_selector, dict[str, str], "MUSTER_KUBE_NODE_SELECTOR"):
        made["nodeSelector"] = chosen
    if tolerated := parsed(settings.tolerations, list[Document], "MUSTER_KUBE_TOLERATIONS"):
        made["tolerations"] = tolerated
    if names := [name.strip() for name in settings.pull_secrets.split(",") if name.strip()]:
        made["imagePullSecrets"] = [{"name": name} for name in names]
    for field, value in (
        ("priorityClassName", settings.priority_class),
        ("runtimeClassName", settings.runtime_class),
        ("serviceAccountName", settings.service_account),
    ):
        if value:
            made[field] = value
    return made
