"""What the chart renders, as documents: run helm, pick objects out, say who may speak to whom."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import cache
from ipaddress import ip_network
from pathlib import Path
from typing import Any, Final

import yaml

from tests.cluster.sandbox import run

ROOT: Final = Path(__file__).parents[2]
CHART: Final = ROOT / "charts" / "muster"
ALL: Final = Path(__file__).parent / "values-all.yaml"
KUBERNETES: Final = "1.36.0"  # what charts are rendered for where no cluster is asked

LOADER: Final = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # ten times as fast where it is compiled

Document = dict[str, Any]
Render = Callable[..., list[Document]]


def render(
    helm: str, *arguments: str, release: str = "muster", namespace: str = "games", again: bool = False
) -> list[Document]:
    """The documents of a release, without asking a cluster. Raises SandboxError with what helm complained of.

    The same arguments are rendered once for all tests, but where `again` asks for it.
    """
    command = ("template", release, str(CHART), "--namespace", namespace, "--kube-version", KUBERNETES, *arguments)
    text = run(helm, *command) if again else _printed(helm, *command)
    return [document for document in yaml.load_all(text, Loader=LOADER) if document]


@cache
def _printed(*command: str) -> str:
    return run(*command)


def pick(documents: list[Document], kind: str, name: str) -> Document:
    """The one object of that kind and name."""
    found = [d for d in documents if d["kind"] == kind and d["metadata"]["name"] == name]
    assert len(found) == 1, f"{len(found)} objects are {kind} {name}"
    return found[0]


def default_image(component: str) -> str:
    """Name and tag of the image that a component runs by the chart's own values."""
    image = yaml.safe_load((CHART / "values.yaml").read_text())[component]["image"]
    return f"{image['repository']}:{image['tag']}"


def pod_specs(documents: list[Document]) -> Iterator[tuple[str, Document]]:
    """The pods of everything that makes pods, by the name of what makes them."""
    for document in documents:
        name = f"{document['kind']}/{document['metadata']['name']}"
        if document["kind"] == "Pod":
            yield name, document["spec"]
        elif document["kind"] in ("Deployment", "StatefulSet"):
            yield name, document["spec"]["template"]["spec"]


def environment(documents: list[Document], deployment: str) -> dict[str, Any]:
    """Variables of a Deployment's container: a text, or where it is taken from. One is not set twice."""
    container = pick(documents, "Deployment", deployment)["spec"]["template"]["spec"]["containers"][0]
    names = [entry["name"] for entry in container["env"]]
    assert len(names) == len(set(names)), f"set twice: {sorted(n for n in names if names.count(n) > 1)}"
    return {entry["name"]: entry.get("value", entry.get("valueFrom")) for entry in container["env"]}


class Somebody:
    """One end of a connection: a pod by its namespace and labels, or an address outside."""

    def __init__(self, namespace: str = "", labels: Mapping[str, str] | None = None, cidr: str = "") -> None:
        self.namespace, self.labels, self.cidr = namespace, labels or {}, cidr


def allowed(documents: list[Document], source: Somebody, target: Somebody, protocol: str, port: int) -> bool:
    """Whether the policies let `source` reach that port of `target`, as the API defines it (but for expressions)."""
    return _side(documents, source, target, "Egress", "to", protocol, port) and _side(
        documents, target, source, "Ingress", "from", protocol, port
    )


def _side(documents: list[Document], me: Somebody, other: Somebody, kind: str, key: str, *where: Any) -> bool:
    mine = [d for d in documents if d["kind"] == "NetworkPolicy" and _is_of(d, me) and kind in d["spec"]["policyTypes"]]
    rules = [rule for policy in mine for rule in policy["spec"].get(kind.lower()) or []]
    return not mine or any(_opens(rule, key, other, *where) for rule in rules)


def _is_of(policy: Document, pod: Somebody) -> bool:
    here = policy["metadata"].get("namespace") == pod.namespace
    return here and _matches(policy["spec"]["podSelector"], pod.labels)


def _opens(rule: Document, key: str, other: Somebody, protocol: str, port: int) -> bool:
    peers, ports = rule.get(key), rule.get("ports")
    right_port = not ports or any(
        p["protocol"] == protocol and p["port"] <= port <= p.get("endPort", p["port"]) for p in ports
    )
    return right_port and (not peers or any(_is_peer(peer, other) for peer in peers))


def _is_peer(peer: Document, other: Somebody) -> bool:
    if "ipBlock" in peer:
        block = peer["ipBlock"]
        return _within(other.cidr, block["cidr"]) and not any(
            _within(other.cidr, out) for out in block.get("except", [])
        )
    if other.cidr:
        return False
    # A peer without a namespaceSelector means the policy's own namespace; the chart writes none of these.
    namespace = _matches(peer["namespaceSelector"], {"kubernetes.io/metadata.name": other.namespace})
    return namespace and _matches(peer.get("podSelector", {}), other.labels)


def _within(cidr: str, block: str) -> bool:
    if not cidr:
        return False
    mine, theirs = ip_network(cidr), ip_network(block)
    return mine.version == theirs.version and mine.subnet_of(theirs)  # type: ignore[arg-type]


def _matches(selector: Document, labels: Mapping[str, str]) -> bool:
    return all(labels.get(name) == value for name, value in selector.get("matchLabels", {}).items())
