"""Settings of the launcher for Kubernetes. Read from the environment once; unit and reason stand beside defaults."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import msgspec

from core.admission import Admission, prefixes
from core.errors import Misconfigured
from core.settings import setting

NETWORKS: Final = ("host_port", "host_network", "none")
PLACEMENTS: Final = ("pack", "spread", "none")
# Beside the deadline of a match's own timers, so that the net never ends what the matchmaker still looks after.
NET_S: Final = 120


@dataclass(frozen=True, slots=True)
class KubernetesSettings:
    """Where pods run and what they look like."""

    # Keeps the installations in one namespace apart; '' derives it from the secret and the Redis URL.
    installation: str = setting("MUSTER_INSTALLATION", "")
    namespace: str = setting("MUSTER_KUBE_NAMESPACE", "")  # of game pods; '' is the matchmaker's own
    kubeconfig: str = setting("MUSTER_KUBE_CONFIG", "")  # a file; '' is the service account of the matchmaker's pod
    gamepod_image: str = setting("MUSTER_KUBE_GAMEPOD_IMAGE", "")  # the arena, and the sidecar of other games
    pull_policy: str = setting("MUSTER_KUBE_PULL_POLICY", "IfNotPresent")  # Always, IfNotPresent or Never
    # Secret in the pods' namespace that holds the URL by which servers reach Redis, and its key.
    redis_secret: str = setting("MUSTER_KUBE_REDIS_SECRET", "muster-redis")
    redis_secret_key: str = setting("MUSTER_KUBE_REDIS_SECRET_KEY", "url")  # key in that Secret

    # host_port: a port of the node for each of the pod's. host_network: the node's own network, one hop less and no
    # NetworkPolicy. none: players come through the edge, which reaches pods by their address.
    network: str = setting("MUSTER_KUBE_NETWORK", "host_port")
    # Node ports that servers take, both ends included. Outside NodePorts (30000-32767) and ephemeral ports (32768-).
    port_first: int = setting("MUSTER_KUBE_PORT_FIRST", 20_000)
    port_last: int = setting("MUSTER_KUBE_PORT_LAST", 24_999)  # and the last

    # Players are told a node's ExternalIP where it has one, otherwise the InternalIP, which a pod sees itself.
    # Needs the right to get nodes, which are the whole cluster's.
    node_addresses: bool = setting("MUSTER_KUBE_NODE_ADDRESSES", False)

    max_servers: int = setting("MUSTER_MAX_SERVERS", 5_000)  # of this installation, in all games
    # Pods that no node has taken yet; with so many, no further match is made. An autoscaler needs to see some.
    pending_most: int = setting("MUSTER_KUBE_PENDING", 100)
    writes: int = setting("MUSTER_KUBE_WRITES", 32)  # calls at once: more only queue up in the API server
    # After its grace, until a pod that does not go is taken for one of a lost node and deleted for good, in s.
    lost_s: float = setting("MUSTER_KUBE_LOST_S", 60.0)
    call_s: float = setting("MUSTER_KUBE_CALL_S", 5.0)  # a healthy API server answers in 0.05 s

    # What a server gets that asks for nothing, in cores and MiB: the arena of 100 players takes 0.5 and 40.
    cpu: float = setting("MUSTER_SERVER_CPU", 0.1)
    memory_mib: int = setting("MUSTER_SERVER_MEMORY_MIB", 128)  # of a server that asks for none
    cpu_most: float = setting("MUSTER_SERVER_CPU_MOST", 4.0)  # that a registration may ask for
    memory_most_mib: int = setting("MUSTER_SERVER_MEMORY_MOST_MIB", 4096)  # most that one server may ask for
    # Limit of a server's CPU over what it asked for, 1 core at least: starting takes a core, playing a tenth.
    cpu_burst: float = setting("MUSTER_SERVER_CPU_BURST", 4.0)
    disk_mib: int = setting("MUSTER_SERVER_DISK_MIB", 512)  # what it writes and logs; more and it is evicted
    sidecar_cpu: float = setting("MUSTER_SIDECAR_CPU", 0.02)  # cores; it beats each 2 s
    sidecar_memory_mib: int = setting("MUSTER_SIDECAR_MEMORY_MIB", 64)  # it takes 25
    image_prefixes: str = setting("MUSTER_IMAGE_PREFIXES", "")  # comma-separated; '' allows every image

    placement: str = setting("MUSTER_KUBE_PLACEMENT", "pack")  # pack: full nodes first, so that empty ones can go
    run_as: int = setting("MUSTER_KUBE_RUN_AS", 65_532)  # user of the containers; 0 leaves it to the image
    priority_class: str = setting("MUSTER_KUBE_PRIORITY_CLASS", "")  # of server pods; '' takes the cluster's default
    runtime_class: str = setting("MUSTER_KUBE_RUNTIME_CLASS", "")  # such as gvisor, for strangers' games
    service_account: str = setting("MUSTER_KUBE_SERVICE_ACCOUNT", "")  # has no rights and no token; '' is `default`
    pull_secrets: str = setting("MUSTER_KUBE_PULL_SECRETS", "")  # names, comma-separated
    node_selector: str = setting("MUSTER_KUBE_NODE_SELECTOR", "")  # JSON object, as in a pod
    tolerations: str = setting("MUSTER_KUBE_TOLERATIONS", "")  # JSON list, as in a pod
    log_level: str = setting("MUSTER_SERVER_LOG_LEVEL", "info")  # of gamepod

    def __post_init__(self) -> None:
        if not self.gamepod_image:
            raise Misconfigured("no image is named for servers", setting="MUSTER_KUBE_GAMEPOD_IMAGE")
        for value, known, variable in (
            (self.network, NETWORKS, "MUSTER_KUBE_NETWORK"),
            (self.placement, PLACEMENTS, "MUSTER_KUBE_PLACEMENT"),
            (self.pull_policy, ("Always", "IfNotPresent", "Never"), "MUSTER_KUBE_PULL_POLICY"),
        ):
            if value not in known:
                raise Misconfigured(f"{value!r} is none of {', '.join(known)}", setting=variable)
        if not 1 <= self.port_first <= self.port_last <= 65_535:
            raise Misconfigured(
                f"{self.port_first} to {self.port_last} is no range of ports", setting="MUSTER_KUBE_PORT_FIRST"
            )
        for number, variable in (
            (self.max_servers, "MUSTER_MAX_SERVERS"),
            (self.pending_most, "MUSTER_KUBE_PENDING"),
            (self.writes, "MUSTER_KUBE_WRITES"),
            (self.cpu_burst, "MUSTER_SERVER_CPU_BURST"),
        ):
            if number < 1:
                raise Misconfigured(f"{number} is less than 1", setting=variable)
        parsed(self.node_selector, dict[str, str], "MUSTER_KUBE_NODE_SELECTOR")
        parsed(self.tolerations, list[dict[str, Any]], "MUSTER_KUBE_TOLERATIONS")

    @property
    def admission(self) -> Admission:
        """What a registration may ask for."""
        return Admission(prefixes(self.image_prefixes), self.cpu_most, self.memory_most_mib, agones=False)


def parsed(text: str, kind: Any, variable: str) -> Any:
    """A setting that is JSON; empty for ''. Raises Misconfigured."""
    if not text:
        return kind()
    try:
        return msgspec.json.decode(text, type=kind)
    except msgspec.DecodeError as error:
        raise Misconfigured(f"{text!r}: {error}", setting=variable) from None
