"""NetworkPolicies as firewall rules. PURE: documents in, lines for `iptables-restore` out.

https://kubernetes.io/docs/concepts/services-networking/network-policies/ is what it follows: a pod that any policy
selects for a direction may do in it what some policy allows, and nothing else; answers always pass. What it does not
know (ports by name, `except`) it refuses rather than passes over.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

Document = dict[str, Any]

CHAIN: Final = "MUSTER-POLICIES"
EVERYWHERE: Final = "0.0.0.0/0"
# Direction -> the key of its rules, of a rule's peers, whose address the pod's own is, and whose the peer's.
DIRECTIONS: Final = {"Egress": ("egress", "to", "-s", "-d"), "Ingress": ("ingress", "from", "-d", "-s")}


def firewall(policies: Sequence[Document], pods: Sequence[Document], namespaces: Mapping[str, Document]) -> list[str]:
    """All rules. `namespaces` are labels by name; pods without an address of their own are nobody's."""
    living = [pod for pod in pods if address(pod)]
    chains, jumps, lines = [CHAIN], [], []
    for pod in living:
        for direction, (_, _, own, _) in DIRECTIONS.items():
            mine = [policy for policy in policies if concerns(policy, pod, direction)]
            if not mine:
                continue
            chain = f"MUSTER-{direction[0]}-{len(chains)}"
            chains.append(chain)
            jumps.append(f"-A {CHAIN} {own} {address(pod)} -j {chain}")
            lines += [
                f"-A {chain} {match} -j RETURN"
                for policy in mine
                for match in allowed(policy, direction, living, namespaces)
            ]
            # An answer at once, where others drop: who is refused need not wait to know.
            lines.append(f"-A {chain} -j REJECT")
    answers = f"-A {CHAIN} -m conntrack --ctstate RELATED,ESTABLISHED -j RETURN"
    return ["*filter", *(f":{chain} - [0:0]" for chain in chains), answers, *jumps, *lines, "COMMIT"]


def address(pod: Document) -> str:
    """The pod's own address; '' if it has none, or the node's."""
    status = pod.get("status", {})
    ended = status.get("phase") in ("Succeeded", "Failed")
    return "" if ended or pod["spec"].get("hostNetwork") else str(status.get("podIP", ""))


def concerns(policy: Document, pod: Document, direction: str) -> bool:
    """Whether the policy selects the pod for that direction."""
    spec = policy["spec"]
    here = policy["metadata"]["namespace"] == pod["metadata"]["namespace"]
    return here and direction in spec["policyTypes"] and selects(spec["podSelector"], labels(pod))


def allowed(
    policy: Document, direction: str, pods: Sequence[Document], namespaces: Mapping[str, Document]
) -> Iterator[str]:
    """Matches of what the policy allows."""
    rules, key, _, other = DIRECTIONS[direction]
    for rule in policy["spec"].get(rules, []):
        peers = rule.get(key)
        found = [peer for one in peers for peer in addresses(one, policy, pods, namespaces)] if peers else [EVERYWHERE]
        for peer in found:
            for port in rule.get("ports") or [None]:
                yield f"{other} {peer} {ports(port)}".strip()


def addresses(
    peer: Document, policy: Document, pods: Sequence[Document], namespaces: Mapping[str, Document]
) -> list[str]:
    """Addresses of a peer."""
    if "ipBlock" in peer:
        assert "except" not in peer["ipBlock"], "ipBlock.except is not supported"
        return [peer["ipBlock"]["cidr"]]

    def among(pod: Document) -> bool:
        namespace = pod["metadata"]["namespace"]
        if "namespaceSelector" not in peer:
            return bool(namespace == policy["metadata"]["namespace"])
        return selects(peer["namespaceSelector"], namespaces.get(namespace, {}))

    return [address(pod) for pod in pods if among(pod) and selects(peer.get("podSelector", {}), labels(pod))]


def ports(port: Document | None) -> str:
    """The match of a port, or of a range; '' for all."""
    if port is None:
        return ""
    assert isinstance(port.get("port"), int), f"only ports by number are supported: {port}"
    first = port["port"]
    return f"-p {port.get('protocol', 'TCP').lower()} --dport {first}:{port.get('endPort', first)}"


def selects(selector: Document, has: Mapping[str, str]) -> bool:
    """Whether a label selector selects what has these labels."""
    tests = {
        "In": lambda rule: has.get(rule["key"]) in rule["values"],
        "NotIn": lambda rule: has.get(rule["key"]) not in rule["values"],
        "Exists": lambda rule: rule["key"] in has,
        "DoesNotExist": lambda rule: rule["key"] not in has,
    }
    return all(has.get(name) == value for name, value in selector.get("matchLabels", {}).items()) and all(
        tests[rule["operator"]](rule) for rule in selector.get("matchExpressions", [])
    )


def labels(document: Document) -> Document:
    """Its labels."""
    found: Document = document["metadata"].get("labels", {})
    return found
