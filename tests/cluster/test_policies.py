"""The policy engine's rules, from documents."""

from __future__ import annotations

from typing import Any

import pytest

from tests.cluster.policies import CHAIN, firewall

NAMESPACES = {"here": {"name": "here"}, "there": {"name": "there"}}


def pod(namespace: str, role: str, address: str, **status: str) -> dict[str, Any]:
    """A pod with one label."""
    metadata = {"namespace": namespace, "labels": {"role": role}}
    return {"metadata": metadata, "spec": {}, "status": {"podIP": address, "phase": "Running", **status}}


PODS = [
    pod("here", "web", "10.0.0.1"),
    pod("here", "db", "10.0.0.2"),
    pod("there", "db", "10.0.0.3"),
    pod("here", "db", "10.0.0.4", phase="Succeeded"),
]


def rules(*kinds: str, **spec: Any) -> list[str]:
    """Rules for a policy of the web pods, without what is always there."""
    selector = {"podSelector": {"matchLabels": {"role": "web"}}}
    policy = {"metadata": {"namespace": "here"}, "spec": {**selector, "policyTypes": list(kinds), **spec}}
    found = firewall([policy], PODS, NAMESPACES)
    return [line for line in found if line.startswith("-A") and "ctstate" not in line]


def test_a_pod_that_nothing_selects_is_free() -> None:
    """It has no rule, and a policy of its own direction only closes that one."""
    assert rules("Egress") == [f"-A {CHAIN} -s 10.0.0.1 -j MUSTER-E-1", "-A MUSTER-E-1 -j REJECT"]
    assert rules("Ingress") == [f"-A {CHAIN} -d 10.0.0.1 -j MUSTER-I-1", "-A MUSTER-I-1 -j REJECT"]


@pytest.mark.parametrize(
    ("peer", "found"),
    [
        ({"podSelector": {"matchLabels": {"role": "db"}}}, ["10.0.0.2"]),
        ({"namespaceSelector": {}, "podSelector": {"matchLabels": {"role": "db"}}}, ["10.0.0.2", "10.0.0.3"]),
        ({"namespaceSelector": {"matchLabels": {"name": "there"}}}, ["10.0.0.3"]),
        ({"podSelector": {"matchExpressions": [{"key": "role", "operator": "NotIn", "values": ["db"]}]}}, ["10.0.0.1"]),
        ({"ipBlock": {"cidr": "192.0.2.0/24"}}, ["192.0.2.0/24"]),
        ({"podSelector": {"matchLabels": {"role": "none"}}}, []),
    ],
)
def test_peers_are_living_pods_or_addresses(peer: dict[str, Any], found: list[str]) -> None:
    """By labels of the pod and of its namespace, which is the policy's own where none is named."""
    allowed = [line for line in rules("Egress", egress=[{"to": [peer]}]) if "RETURN" in line]
    assert allowed == [f"-A MUSTER-E-1 -d {address} -j RETURN" for address in found]


def test_ports_and_ranges() -> None:
    """TCP unless another is named; without a peer everybody is meant."""
    given = [{"ports": [{"port": 80}, {"port": 1, "endPort": 9, "protocol": "UDP"}]}]
    assert rules("Ingress", ingress=given)[1:3] == [
        "-A MUSTER-I-1 -s 0.0.0.0/0 -p tcp --dport 80:80 -j RETURN",
        "-A MUSTER-I-1 -s 0.0.0.0/0 -p udp --dport 1:9 -j RETURN",
    ]


def test_what_is_not_known_is_refused() -> None:
    """Rather than passed over, which would let a test believe that something is closed."""
    with pytest.raises(AssertionError, match="by number"):
        rules("Ingress", ingress=[{"ports": [{"port": "http"}]}])
    with pytest.raises(AssertionError, match="except"):
        rules("Egress", egress=[{"to": [{"ipBlock": {"cidr": "10.0.0.0/8", "except": ["10.1.0.0/16"]}}]}])
