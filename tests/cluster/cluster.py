"""A running cluster: how it comes up, how it goes, and what a test may do with it.

`up` gives a `Cluster`; its methods block, and raise with the text of whoever refused. Nothing here is specific to
Muster: the launcher, the chart and the benches are built on it.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Final

from tests.cluster import addons, binaries, packages
from tests.cluster.api import Api, until
from tests.cluster.binaries import COREDNS, ETCD, KUBERNETES, PAUSE, program
from tests.cluster.certificates import make_secrets
from tests.cluster.components import PAUSE_IMAGE, components
from tests.cluster.counters import RequestCounts, request_counts
from tests.cluster.images import static_image
from tests.cluster.layout import Layout, claimed_layout, saved_layout
from tests.cluster.sandbox import Sandbox, SandboxError, run, sweep

Document = dict[str, Any]

NAME: Final = "cluster"  # of the one that the command line and the fixture share
START_S: Final = 120.0  # a busy machine; 10 s where it is idle
GRACE_S: Final = 1  # of pods that a test leaves, whatever they ask for
FIELD_MANAGER: Final = "tests"


class Cluster:
    """One running cluster."""

    def __init__(self, layout: Layout) -> None:
        self.layout = layout
        self.sandbox = Sandbox(layout)
        programs = {name: program(KUBERNETES, name) for name in KUBERNETES.programs}
        self.components = components(layout, {**programs, "etcd": program(ETCD, "etcd")})
        self.kubeconfig = layout.kubeconfig
        self.kubectl_program = programs["kubectl"]

    @property
    def api(self) -> Api:
        """Requests as the administrator; its certificate exists once the cluster does."""
        return Api(self.layout)

    @property
    def address(self) -> str:
        """The node's address: where this machine reaches hostPorts, NodePorts and the API server."""
        return self.layout.address

    @property
    def node(self) -> str:
        """The node's name."""
        return self.layout.hostname

    # Talking to it

    def kubectl(self, *arguments: str, stdin: str | None = None) -> str:
        """What kubectl printed. Raises SandboxError with what it complained of."""
        return run(str(self.kubectl_program), f"--kubeconfig={self.kubeconfig}", *arguments, stdin=stdin)

    def apply(self, *documents: Document) -> None:
        """Create or change these objects, as `kubectl apply --server-side` does."""
        bundle = {"apiVersion": "v1", "kind": "List", "items": list(documents)}
        options = ["--server-side", "--force-conflicts", f"--field-manager={FIELD_MANAGER}", "--filename=-"]
        self.kubectl("apply", *options, stdin=json.dumps(bundle))

    def delete(self, *documents: Document) -> None:
        """Delete these objects, and wait until they are gone; those that are gone already are fine."""
        bundle = {"apiVersion": "v1", "kind": "List", "items": list(documents)}
        self.kubectl("delete", "--ignore-not-found", "--wait", "--filename=-", stdin=json.dumps(bundle))

    @contextlib.contextmanager
    def namespace(self, name: str) -> Iterator[str]:
        """A namespace of this name for as long as the context lasts. At the end its pods are gone, and it is going."""
        document = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}
        self.apply(document)
        # Every pod is made for this account, and is refused until a controller has made it.
        account = f"/api/v1/namespaces/{name}/serviceaccounts/default"
        until(lambda: self.api.exists(account), f"service account of {name}", within_s=START_S)
        try:
            yield name
        finally:
            # The controller that empties namespaces looks again only after seconds if it finds pods: they go first.
            pods = f"/api/v1/namespaces/{name}/pods"
            self.api.send("DELETE", f"{pods}?gracePeriodSeconds={GRACE_S}")
            until(lambda: not self.api.get(pods)["items"], f"no pods in {name}", within_s=START_S)
            self.api.send("DELETE", f"/api/v1/namespaces/{name}")

    def import_image(self, archive: Path) -> None:
        """Put the image of an archive (`docker save`, images.py) on the node. A tag but latest is never pulled."""
        run("ctr", f"--address={self.layout.containerd_socket}", "--namespace=k8s.io", "images", "import", str(archive))

    def request_counts(self) -> RequestCounts:
        """Requests that the API server answered so far, by kind; see counters.py."""
        return request_counts(self.api)

    def wait_for_pod(self, name: str, namespace: str = "default", *, within_s: float = START_S) -> Document:
        """The pod, once it is Ready."""
        path = f"/api/v1/namespaces/{namespace}/pods/{name}"

        def ready() -> Document | None:
            pod = self.api.get(path)
            return pod if condition(pod, "Ready") == "True" else None

        pod = until(ready, f"pod {namespace}/{name} Ready", within_s=within_s)
        assert pod is not None
        return pod

    # Hurting it

    def kill(self, component: str, number: int = signal.SIGKILL) -> None:
        """End a component by a signal and wait until it is gone. Its pods run on, if it was kubelet or containerd."""
        self.sandbox.signal(component, number)
        until(lambda: self.sandbox.codes()[component] is not None, f"{component} ended", within_s=30)

    def start(self, component: str) -> None:
        """Start a component that does not run; it need not be ready yet."""
        part = self.components[component]
        for path, content in part.files.items():
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(content)
        self.sandbox.start(component, part.command)

    def restart(self, *names: str) -> None:
        """Kill and start components, and wait until the cluster is whole again."""
        for component in names:
            self.kill(component)
            self.start(component)
        self.wait_until_ready()

    @contextlib.contextmanager
    def without(self, component: str) -> Iterator[None]:
        """Inside, this component does not run; afterwards the cluster is whole again."""
        self.kill(component)
        try:
            yield
        finally:
            self.start(component)
            self.wait_until_ready()

    # Its state

    def failed(self) -> list[str]:
        """Components that should run and do not."""
        codes = self.sandbox.codes()
        return [name for name in self.components if codes.get(name, 0) is not None]

    def wait_until_ready(self) -> None:
        """Return once the API server serves and the node takes pods. Raises SandboxError naming what died."""
        until(lambda: self.api.text("/readyz"), "API server ready", within_s=START_S)
        until(self.node_ready, f"node {self.node} Ready", within_s=START_S)

    def node_ready(self) -> bool:
        """Whether the node is Ready, by the control plane's word."""
        return condition(self.api.get(f"/api/v1/nodes/{self.node}"), "Ready") == "True"


def condition(document: Document, kind: str) -> str | None:
    """Status of a condition of a pod or a node: "True", "False", "Unknown"; None if it has no such condition."""
    conditions = document.get("status", {}).get("conditions", [])
    return next((entry["status"] for entry in conditions if entry["type"] == kind), None)


def running(name: str = NAME) -> Cluster | None:
    """The running cluster of that name, if there is one."""
    layout = saved_layout(name)
    return Cluster(layout) if layout is not None and Sandbox(layout).pid() is not None else None


def down(name: str = NAME) -> None:
    """Take down the cluster of that name, or what an interrupted one left. Does nothing where there is nothing."""
    Sandbox(saved_layout(name) or Layout(name, 0)).destroy()


def up(name: str = NAME, *, tied: bool = False) -> Cluster:
    """Start a cluster and return it when pods can be started; a running one of that name is returned as it is.

    `tied` ends it with this process. Raises SandboxError with the end of the log of the component that failed.
    """
    already = running(name)
    if already is not None:
        return already
    packages.ensure(packages.CLUSTER)
    for build in binaries.CLUSTER:
        binaries.ensure(build)
    sweep()
    down(name)
    cluster = Cluster(claimed_layout(name))
    try:
        cluster.sandbox.create(tied=tied)
        bring_up(cluster)
    except BaseException as error:
        report = failures(cluster) if isinstance(error, Exception) else ""
        if os.environ.get("MUSTER_TEST_CLUSTER_KEEP") != "true":  # for looking at what went wrong
            cluster.sandbox.destroy()
        if report:
            raise SandboxError(f"the cluster did not start: {error}{report}") from error
        raise
    return cluster


def bring_up(cluster: Cluster) -> None:
    """From an empty sandbox to a cluster that runs pods and resolves names."""
    make_secrets(cluster.layout)
    for name in ("etcd", "containerd", "kube-apiserver"):
        cluster.start(name)
    with ThreadPoolExecutor(1) as aside:  # the images go in while the API server starts
        images = aside.submit(import_own_images, cluster)
        until(lambda: alive(cluster) and cluster.api.text("/readyz"), "API server ready", within_s=START_S)
        for name in ("kube-controller-manager", "kube-scheduler", "kube-proxy", "kubelet"):
            cluster.start(name)
        volumes = [addons.volume_folder(cluster.layout, number) for number in range(addons.VOLUMES)]
        cluster.sandbox.run("mkdir", "--parents", *volumes)  # the store is seen inside only
        cluster.apply(*addons.coredns(cluster.layout), *addons.volumes(cluster.layout))
        images.result()
    until(lambda: alive(cluster) and cluster.node_ready(), "node Ready", within_s=START_S)
    deployment = f"/apis/apps/v1/namespaces/{addons.NAMESPACE}/deployments/{addons.NAME}"
    until(
        lambda: alive(cluster) and condition(cluster.api.get(deployment), "Available") == "True",
        "CoreDNS available",
        within_s=START_S,
    )


def alive(cluster: Cluster) -> bool:
    """True. Raises SandboxError if a component has died, which no waiting would mend."""
    ended = [name for name, code in cluster.sandbox.codes().items() if code is not None]
    if ended:
        raise SandboxError(f"{', '.join(ended)} ended")
    return True


def import_own_images(cluster: Cluster) -> None:
    """The two images that the cluster itself needs."""
    ctr = ("ctr", f"--address={cluster.layout.containerd_socket}", "version")

    def answers() -> bool:
        with contextlib.suppress(SandboxError):
            return bool(run(*ctr))
        return False

    until(answers, "containerd answers", within_s=START_S)
    for name, path in ((PAUSE_IMAGE, program(PAUSE, "pause")), (addons.IMAGE, program(COREDNS, "coredns"))):
        cluster.import_image(static_image(cluster.layout.folder / "images" / f"{path.name}.tar", name, path))


def failures(cluster: Cluster) -> str:
    """The ends of the logs of all components that have died."""
    try:
        ended = [name for name, code in cluster.sandbox.codes().items() if code is not None]
    except SandboxError:
        ended = ["supervisor"]
    return "".join(f"\n--- {name}\n{cluster.sandbox.log_end(name)}" for name in ended)
