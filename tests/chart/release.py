"""A release of the chart on a real cluster: helm's commands on it, its API, what there is of it."""

from __future__ import annotations

import base64
import threading
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from core.cli import secrets
from tests.chart.rendered import CHART
from tests.cluster.api import until
from tests.cluster.cluster import Cluster
from tests.cluster.fixture import Helm
from tests.cluster.sandbox import SandboxError

NAME = "muster"
START_S = "300s"  # three images on two busy cores
ROUND_S = 0.02  # between two requests while an upgrade runs
ANSWER_S = 30.0  # of one: a busy machine is late, and what nobody answers is a failure all the same


@dataclass(frozen=True)
class Release:
    """Release `muster` in a namespace, with the Secret that the chart expects."""

    cluster: Cluster
    helm: Helm
    namespace: str
    values: str

    def install(self, *arguments: str) -> str:
        """Install it and wait until all is ready; what helm says to that. Raises AssertionError with the story."""
        said = self._apply("install", *arguments)
        # A Service that is ready by the API server's word has its rules on the node a moment later.
        await_api(self.url())
        return said

    def upgrade(self, *arguments: str) -> str:
        """The same for a change of values."""
        return self._apply("upgrade", *arguments)

    def _apply(self, command: str, *arguments: str) -> str:
        options = ["--values", self.values, "--wait", "--timeout", START_S]
        try:
            return self.helm(command, NAME, str(CHART), "--namespace", self.namespace, *options, *arguments)
        except SandboxError as error:
            raise AssertionError(f"{error}\n{self.story()}") from error

    def test(self) -> str:
        """`helm test`."""
        return self.helm("test", NAME, "--namespace", self.namespace)

    def uninstall(self) -> None:
        """Uninstall it, if it is installed."""
        self.helm("uninstall", NAME, "--namespace", self.namespace, "--wait", "--ignore-not-found")

    def url(self) -> str:
        """Where the API's Service is, from this machine."""
        service = self.cluster.api.get(f"/api/v1/namespaces/{self.namespace}/services/muster-webapi")
        return f"http://{service['spec']['clusterIP']}:{service['spec']['ports'][0]['port']}"

    def secret(self, key: str) -> str:
        """What a key of the Secret holds."""
        data = self.cluster.api.get(f"/api/v1/namespaces/{self.namespace}/secrets/{NAME}")["data"]
        return base64.b64decode(data[key]).decode()

    def pods(self) -> set[str]:
        """Names of the pods there are."""
        found = self.cluster.api.get(f"/api/v1/namespaces/{self.namespace}/pods")["items"]
        return {pod["metadata"]["name"] for pod in found}

    def settled(self, pods: int) -> bool:
        """Whether there are so many pods, none of them about to go."""
        found = self.cluster.api.get(f"/api/v1/namespaces/{self.namespace}/pods")["items"]
        return len(found) == pods and not [pod for pod in found if "deletionTimestamp" in pod["metadata"]]

    def objects(self) -> set[str]:
        """Everything in the namespace by kind and name, and ours outside of all; events are nobody's."""
        kubectl = self.cluster.kubectl
        kinds = kubectl("api-resources", "--verbs=list", "--namespaced", "-oname").split()
        wanted = ",".join(kind for kind in kinds if not kind.startswith("events"))
        inside = kubectl("get", wanted, "--namespace", self.namespace, "-oname", "--ignore-not-found").split()
        labelled = "-lapp.kubernetes.io/part-of=muster"
        return {*inside, *kubectl("get", "clusterroles,clusterrolebindings", labelled, "-oname").split()}

    def story(self) -> str:
        """For a failure: the pods, what happened to them, what they said."""
        parts = [self.cluster.kubectl("get", "pods,events", "--namespace", self.namespace)]
        for name in sorted(self.pods()):
            try:
                said = self.cluster.kubectl("logs", name, "--namespace", self.namespace, "--tail=20")
            except SandboxError as error:
                said = str(error)
            parts.append(f"--- {name}\n{said}")
        return "\n".join(parts)


def await_api(url: str) -> None:
    """Return once the API answers there."""
    ready = f"{url}/readyz"
    until(lambda: urllib.request.urlopen(ready, timeout=ANSWER_S).close() or True, ready, within_s=120)


@contextmanager
def prepared(cluster: Cluster, helm: Helm, namespace: str, values: str, admin: str = "") -> Iterator[Release]:
    """A release that is not installed yet, its Secret made; whatever is installed of it then goes at the end."""
    made = secrets.documents(NAME, namespace, NAME, admin=admin)
    cluster.kubectl("create", "--filename=-", stdin=secrets.text(made))
    release = Release(cluster, helm, namespace, values)
    try:
        yield release
    finally:
        release.uninstall()


@contextmanager
def asked_all_the_time(url: str) -> Iterator[list[str]]:
    """While it lasts the URL is asked again and again, a connection each; gives the failures."""
    failures: list[str] = []
    over = threading.Event()

    def work() -> None:
        while not over.is_set():
            try:
                urllib.request.urlopen(url, timeout=ANSWER_S).close()
            except OSError as error:
                failures.append(str(error))
            time.sleep(ROUND_S)

    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield failures
    finally:
        over.set()
        thread.join()
