"""Enforces NetworkPolicies in the test cluster, for tests that ask for it: a small engine of our own.

It stands in for those of real clusters, none of which can be had here (README.md says why). A loop looks at all
policies and pods a few times a second and puts what follows (policies.py) into the firewall in one step; so a new
pod is free for a moment, and `covers` tells when it no longer is.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any, Final

from tests.cluster.cluster import Cluster
from tests.cluster.policies import CHAIN, firewall
from tests.cluster.sandbox import run

ROUND_S: Final = 0.1
# What a pod sends to another, and what it sends to the node itself; the node's own, such as probes, pass.
HOOKS: Final = ("FORWARD", "INPUT")


class Engine:
    """The loop. What failed in it is raised by `work`."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self._rules: list[str] = []
        self.over = threading.Event()

    def work(self) -> None:
        """Look and act until it is over."""
        while not self.over.wait(ROUND_S):
            self.step()

    def step(self) -> None:
        """Look and act once."""
        get = self._cluster.api.get
        namespaces = {
            n["metadata"]["name"]: n["metadata"].get("labels", {}) for n in get("/api/v1/namespaces")["items"]
        }
        policies = get("/apis/networking.k8s.io/v1/networkpolicies")["items"]
        rules = firewall(policies, get("/api/v1/pods")["items"], namespaces)
        if rules != self._rules:
            restore = self._cluster.sandbox.command("iptables-restore", "--noflush", "--wait")
            run(*restore, stdin="\n".join([*rules, ""]))
            self._rules = rules

    def covers(self, address: str) -> bool:
        """Whether the rules know a pod of this address."""
        return any(f" {address} -j MUSTER-" in rule for rule in list(self._rules))

    def hook(self, action: str) -> None:
        """Ask the rules first (`-I`), or no longer (`-D`)."""
        for chain in HOOKS:
            self._cluster.sandbox.run("iptables", "--wait", action, chain, "-j", CHAIN)


@contextmanager
def policies_enforced(cluster: Cluster) -> Iterator[Engine]:
    """Inside, NetworkPolicies have an effect on every pod of the cluster."""
    engine = Engine(cluster)
    engine.step()
    engine.hook("-I")
    try:
        with ThreadPoolExecutor(1) as aside:
            loop: Any = aside.submit(engine.work)
            try:
                yield engine
            finally:
                engine.over.set()
            loop.result()
    finally:
        engine.hook("-D")
