"""The programs of the cluster: command lines and configuration documents, made from a layout by pure functions.

Everything runs with what production uses unless a comment says why not. All of it listens inside the sandbox, on its
loopback or on the one address that only this machine has a route to.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from tests.cluster.layout import Layout

Document = dict[str, Any]
Command = list[str]

PAUSE_IMAGE: Final = "muster.test/pause:1"
DNS_DOMAIN: Final = "cluster.local"
MAX_PODS: Final = 200  # the default of 110 is soon reached by what tests leave to be collected
ETCD_URL: Final = "http://127.0.0.1:2379"
CNI_PLUGINS: Final = "/usr/lib/cni"  # where Debian puts them


@dataclass(frozen=True, slots=True)
class Component:
    """One program: its name, the line that starts it, and the files that have to be there when it starts."""

    name: str
    command: Command
    files: Mapping[Path, str]


def components(layout: Layout, programs: Mapping[str, Path]) -> dict[str, Component]:
    """Every component by name, in the order in which they start."""
    makers: dict[str, Callable[[Layout], tuple[Command, dict[Path, str]]]] = {
        "etcd": etcd,
        "containerd": containerd,
        "kube-apiserver": apiserver,
        "kube-controller-manager": controller_manager,
        "kube-scheduler": scheduler,
        "kube-proxy": proxy,
        "kubelet": kubelet,
    }
    made = {}
    for name, make in makers.items():
        arguments, files = make(layout)
        made[name] = Component(name, [str(programs.get(name, name)), *arguments], files)
    return made


def flags(options: Mapping[str, object]) -> Command:
    """`--name=value` for each option."""
    return [f"--{name}={str(value).lower() if isinstance(value, bool) else value}" for name, value in options.items()]


def etcd(layout: Layout) -> tuple[Command, dict[Path, str]]:
    options = {
        "name": "test",
        "data-dir": layout.store / "etcd",
        "listen-client-urls": ETCD_URL,
        "advertise-client-urls": ETCD_URL,
        "listen-peer-urls": "http://127.0.0.1:2380",
        "initial-advertise-peer-urls": "http://127.0.0.1:2380",
        "initial-cluster": "test=http://127.0.0.1:2380",
        # The data live no longer than the cluster, and the disk of a shared machine is no measure of anything.
        "unsafe-no-fsync": True,
        "log-level": "warn",
    }
    return flags(options), {}


def apiserver(layout: Layout) -> tuple[Command, dict[Path, str]]:
    secrets = layout.secrets
    options = {
        "etcd-servers": ETCD_URL,
        "bind-address": layout.address,
        "advertise-address": layout.address,
        "secure-port": 6443,
        "service-cluster-ip-range": layout.service_addresses,
        "authorization-mode": "Node,RBAC",
        "enable-admission-plugins": "NodeRestriction",
        "allow-privileged": True,
        "client-ca-file": secrets / "ca.crt",
        "tls-cert-file": secrets / "apiserver.crt",
        "tls-private-key-file": secrets / "apiserver.key",
        "service-account-issuer": f"https://kubernetes.default.svc.{DNS_DOMAIN}",
        "service-account-key-file": secrets / "service-accounts.pub",
        "service-account-signing-key-file": secrets / "service-accounts.key",
        "kubelet-client-certificate": secrets / "apiserver-to-kubelet.crt",
        "kubelet-client-key": secrets / "apiserver-to-kubelet.key",
        # The sandbox has no name server that knows its own hostname.
        "kubelet-preferred-address-types": "InternalIP",
        # For aggregated APIs, such as an external metrics adapter.
        "requestheader-client-ca-file": secrets / "ca.crt",
        "requestheader-allowed-names": "front-proxy-client",
        "requestheader-username-headers": "X-Remote-User",
        "requestheader-group-headers": "X-Remote-Group",
        "requestheader-extra-headers-prefix": "X-Remote-Extra-",
        "proxy-client-cert-file": secrets / "front-proxy.crt",
        "proxy-client-key-file": secrets / "front-proxy.key",
        "enable-aggregator-routing": True,
    }
    return flags(options), {}


def controller_manager(layout: Layout) -> tuple[Command, dict[Path, str]]:
    secrets = layout.secrets
    options = {
        **control_plane(secrets / "controller-manager.kubeconfig"),
        "use-service-account-credentials": True,
        "service-account-private-key-file": secrets / "service-accounts.key",
        "root-ca-file": secrets / "ca.crt",
        "cluster-signing-cert-file": secrets / "ca.crt",
        "cluster-signing-key-file": secrets / "ca.key",
        "cluster-cidr": layout.pod_addresses,
        "service-cluster-ip-range": layout.service_addresses,
        "horizontal-pod-autoscaler-sync-period": "2s",  # of 15: a test waits for it
    }
    return flags(options), {}


def scheduler(layout: Layout) -> tuple[Command, dict[Path, str]]:
    return flags(control_plane(layout.secrets / "scheduler.kubeconfig")), {}


def control_plane(kubeconfig: Path) -> dict[str, object]:
    """What controller manager and scheduler have in common."""
    return {
        "kubeconfig": kubeconfig,
        "authentication-kubeconfig": kubeconfig,
        "authorization-kubeconfig": kubeconfig,
        "bind-address": "127.0.0.1",
        # There is one of each: the lease would only slow its restart by 15 s.
        "leader-elect": False,
    }


def proxy(layout: Layout) -> tuple[Command, dict[Path, str]]:
    path = layout.folder / "kube-proxy.json"
    document: Document = {
        "apiVersion": "kubeproxy.config.k8s.io/v1alpha1",
        "kind": "KubeProxyConfiguration",
        "clientConnection": {"kubeconfig": str(layout.secrets / "proxy.kubeconfig")},
        "bindAddress": "127.0.0.1",
        "healthzBindAddress": "127.0.0.1:10256",
        "metricsBindAddress": "127.0.0.1:10249",
        "clusterCIDR": layout.pod_addresses,
        "hostnameOverride": layout.hostname,
        "mode": "iptables",
        # The size of the table of connections is the whole machine's: leave it alone.
        "conntrack": {"maxPerCore": 0, "min": 0},
        "oomScoreAdj": 0,  # root without CAP_SYS_RESOURCE may not lower it
    }
    return [f"--config={path}"], {path: json.dumps(document, indent=1)}


def kubelet(layout: Layout) -> tuple[Command, dict[Path, str]]:
    path, resolver = layout.folder / "kubelet.json", layout.folder / "resolv.conf"
    options = {
        "config": path,
        "kubeconfig": layout.secrets / "kubelet.kubeconfig",
        "root-dir": layout.folder / "kubelet",
        "cert-dir": layout.folder / "kubelet-pki",
        "hostname-override": layout.hostname,
        "node-ip": layout.address,
    }
    # The resolver of pods that do not use the cluster's: it knows nobody, for there is nobody to know in here.
    return flags(options), {path: json.dumps(kubelet_configuration(layout, resolver), indent=1), resolver: ""}


def kubelet_configuration(layout: Layout, resolver: Path) -> Document:
    """The kubelet's configuration. https://kubernetes.io/docs/reference/config-api/kubelet-config.v1beta1/"""
    return {
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "address": layout.address,
        "healthzBindAddress": "127.0.0.1",
        "authentication": {
            "anonymous": {"enabled": False},
            "webhook": {"enabled": True},
            "x509": {"clientCAFile": str(layout.secrets / "ca.crt")},
        },
        "authorization": {"mode": "Webhook"},
        "containerRuntimeEndpoint": f"unix://{layout.containerd_socket}",
        "cgroupDriver": "cgroupfs",  # there is no systemd in the sandbox
        "cgroupRoot": layout.cgroup,
        "failCgroupV1": False,  # a machine with version 1 is slower to change than Kubernetes
        "failSwapOn": False,
        "clusterDNS": [layout.dns_address],
        "clusterDomain": DNS_DOMAIN,
        "resolvConf": str(resolver),
        "podLogsDir": str(layout.logs / "pods"),
        "volumePluginDir": str(layout.folder / "volume-plugins"),
        "maxPods": MAX_PODS,
        "oomScoreAdj": 0,  # root without CAP_SYS_RESOURCE may not lower it
        # Images were imported and cannot be pulled again, and a full disk of a shared machine is not ours to clean.
        "imageGCHighThresholdPercent": 100,
        "imageGCLowThresholdPercent": 99,
        "evictionHard": {"memory.available": "100Mi", "nodefs.available": "0%", "imagefs.available": "0%"},
    }


def containerd(layout: Layout) -> tuple[Command, dict[Path, str]]:
    folder = layout.folder
    config, network = folder / "containerd.toml", folder / "cni" / "10-bridge.conflist"
    files = {config: containerd_configuration(layout), network: json.dumps(pod_network(layout), indent=1)}
    return ["--config", str(config)], files


def containerd_configuration(layout: Layout) -> str:
    """Configuration of containerd 1.6 and 1.7, whose CRI section has this name."""
    folder = layout.folder
    return f"""version = 2
root = "{layout.store}/containerd"
state = "/run/containerd"
# Those need kernel modules, devices or programs that a test machine lacks, and they say so at each start.
disabled_plugins = ["io.containerd.snapshotter.v1.aufs", "io.containerd.snapshotter.v1.btrfs",
  "io.containerd.snapshotter.v1.devmapper", "io.containerd.snapshotter.v1.zfs"]
[grpc]
  address = "{layout.containerd_socket}"
[plugins."io.containerd.internal.v1.opt"]
  path = "{folder}/opt"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "{PAUSE_IMAGE}"
  # Without CAP_SYS_RESOURCE runc may not lower a score, and dies of it.
  restrict_oom_score_adj = true
  stream_server_address = "127.0.0.1"
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "{CNI_PLUGINS}"
    conf_dir = "{folder}/cni"
  [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
    runtime_type = "io.containerd.runc.v2"
"""


def pod_network(layout: Layout) -> Document:
    """Pods on one bridge, with hostPorts; addresses are not hidden from this machine, which has a route to them."""
    addresses = {"type": "host-local", "ranges": [[{"subnet": layout.pod_addresses}]], "routes": [{"dst": "0.0.0.0/0"}]}
    bridge = {"type": "bridge", "bridge": "cni0", "isGateway": True, "hairpinMode": True, "ipam": addresses}
    ports = {"type": "portmap", "capabilities": {"portMappings": True}, "snat": True}
    return {"cniVersion": "0.4.0", "name": "pods", "plugins": [bridge, ports]}
