"""What tests of the Kubernetes launcher share: a namespace with a Redis, matchmakers beside the cluster, matches."""

from __future__ import annotations

import asyncio
import json
import secrets
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import msgspec

from core import keys
from core.clock import new_id, now_ms
from core.jointoken import JoinClaims, match_key, mint
from core.model import GameSpec, Limits, Match, MatchPlayer, Resources, Server, Timers
from core.redis.client import Database
from core.signing import Keyring
from matchmaker.kube_settings import KubernetesSettings
from matchmaker.launch.kube_api import KubePods, open_pods
from matchmaker.launch.kubernetes import KubernetesLauncher
from matchmaker.launch.pod import selector
from matchmaker.launch.pod_state import Pod
from tests.cluster.cluster import Cluster
from tests.matchmaker.support import Matchmakers, match, register, ticket
from tests.support import eventually
from tests.webapi.support import Api, open_api

Document = dict[str, Any]

SECRET = "0123456789abcdef0123456789abcdef"
CALL_S = 30.0  # a busy API server is late, and not away
GAME = "tanks"
# Enough for a test's server; so many of them fit on one small node.
SMALL = Resources(cpu=0.02, memory_mib=64)
# Nobody joins most of these matches, and none is to end for that, or because its pod is late.
TIMERS = Timers(start_s=120, join_s=300, empty_s=2, drain_s=2)


def image_server(image: str, code: str, *args: str, **changes: Any) -> Server:
    """A game whose image is the tests' Python, which runs this code."""
    return Server(image=image, args=["-c", code, *args], **({"resources": SMALL} | changes))


def spec(server: Server, **changes: Any) -> GameSpec:
    """A duel on such a server."""
    defaults: Document = {"players_per_match": 2, "timers": TIMERS, "limits": Limits(tries=2)}
    return GameSpec(server=server, **(defaults | changes))


def a_match(server: Server | None = None, **changes: Any) -> Match:
    """A match that Redis need not know."""
    seats = [MatchPlayer(new_id("player"), "", "players", new_id("ticket"))]
    made = Match(
        new_id("match"), GAME, 1, now_ms(), seats, server or Server(arena={}, resources=SMALL), TIMERS, 3, 30, "p-owner"
    )
    return msgspec.structs.replace(made, **changes)


class Deaf(KubePods):
    """Pods of which no event is heard: what a launcher knows of them is what it did itself."""

    async def watch(self, version: str) -> AsyncIterator[tuple[str, Pod]]:
        await asyncio.Event().wait()
        yield "", await self.read("")


@dataclass
class Ground:
    """A namespace with the Secret that servers find Redis by, and matchmakers on this machine that start pods in it."""

    cluster: Cluster
    namespace: str
    image: str
    db: Database
    matchmakers: Matchmakers
    told: list[tuple[str, str]] = field(default_factory=list)

    @property
    def settings(self) -> KubernetesSettings:
        return KubernetesSettings(
            installation="test",
            namespace=self.namespace,
            kubeconfig=str(self.cluster.kubeconfig),
            gamepod_image=self.image,
            pull_policy="Never",
            call_s=CALL_S,
        )

    @asynccontextmanager
    async def launcher(
        self, installation: str = "test", *, deaf: bool = False, **changes: Any
    ) -> AsyncIterator[KubernetesLauncher]:
        """A launcher in this process that knows already what runs; a deaf one hears nothing after that."""
        settings = replace(self.settings, **changes)
        async with open_pods(settings.kubeconfig, settings.namespace, selector(installation), settings.call_s) as api:
            if deaf:
                api.__class__ = Deaf
            made = KubernetesLauncher(
                settings,
                api,
                installation=installation,
                keyring=Keyring([SECRET]),
                changed=lambda game, name: self.told.append((game, name)),
            )
            await made.open()
            try:
                await made.listed()
                yield made
            finally:
                await made.close(stop_servers=False)

    async def known(self, server: Server) -> Match:
        """A match that Redis knows, so that a sidecar finds it: no game starts before its sidecar listens."""
        made = a_match(server)
        fields = ("state", "PLACING", "doc", msgspec.json.encode(made), "created_ms", made.created_ms)
        await self.db.do("HSET", keys.match(GAME, made.id), *fields)
        return made

    def start(self, **env: str) -> None:
        """Start a matchmaker."""
        self.matchmakers.start(**env)

    @contextmanager
    def without_api_server(self) -> Iterator[None]:
        """Inside, the API server does not run; afterwards the others do not wait for their next try."""
        with self.cluster.without("kube-apiserver"):
            yield
        # Up to a minute; the kubelet first, whose word of what ended meanwhile is waited for and not for long.
        self.cluster.restart("kubelet", "kube-controller-manager", "kube-scheduler")

    def pods(self) -> dict[str, Document]:
        """All pods of the namespace by name."""
        items = self.cluster.api.get(f"/api/v1/namespaces/{self.namespace}/pods")["items"]
        return {pod["metadata"]["name"]: pod for pod in items}

    def report(self) -> str:
        """What the matchmakers said, and how the pods are, for the message of a failed test."""
        logs = [self.matchmakers.log(number)[-3000:] for number in range(len(self.matchmakers.processes))]
        return "\n".join([*logs, *(json.dumps(pod["status"]) for pod in self.pods().values())])

    async def gone(self, name: str = "", *, within_s: float = 90.0) -> None:
        """Wait until the pod, or every pod, is gone."""

        async def is_gone() -> bool:
            pods = self.pods()
            return name not in pods if name else not pods

        await eventually(is_gone, within_s=within_s, every_s=0.2)

    async def running(self, ticket: str, *, within_s: float = 120.0) -> tuple[str, Document]:
        """The match that the ticket is COMPLETED with, and where it is played."""

        async def placed() -> str:
            found = await self.db.do("HMGET", f"muster:{{{GAME}}}:ticket:{ticket}", "state", "match")
            return found[1] if found[0] == "COMPLETED" else ""

        name = await eventually(placed, within_s=within_s)
        connection: Document = json.loads((await match(self.db, GAME, name))["connection"])
        return name, connection

    async def requeued(self, name: str, first: str, since_ms: str) -> str:
        """The match that a ticket is COMPLETED with after its `first` failed; its wait was kept."""

        async def again() -> str:
            found = await ticket(self.db, GAME, name)
            return found["match"] if found["state"] == "COMPLETED" and found["match"] != first else ""

        second = await eventually(again, within_s=120.0)
        found = await ticket(self.db, GAME, name)
        assert (found["since_ms"], found["tries"]) == (since_ms, "1")
        return second

    @asynccontextmanager
    async def developer(self, server: Server, **changes: Any) -> AsyncIterator[Developer]:
        """The owner of a game on such a server, with a webapi."""
        async with open_api(self.matchmakers.env["REDIS_URL"]) as api:
            account = await api.account("the developer", "developer")
            await register(self.db, GAME, spec(server, **changes), owner=account["player"])
            yield Developer(api, account["access_token"], account["player"])

    def narrow_kubeconfig(self, verbs: list[str], *, nodes: bool = False) -> str:
        """Path of a kubeconfig whose account may do these things with pods, and nothing else but to get nodes."""
        meta = {"name": "narrow", "namespace": self.namespace}
        rbac = "rbac.authorization.k8s.io"
        rule: Document = {"apiGroups": [""], "resources": ["pods"], "verbs": verbs}
        subject = {"kind": "ServiceAccount", **meta}
        self.cluster.apply(
            {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": meta},
            {"apiVersion": f"{rbac}/v1", "kind": "Role", "metadata": meta, "rules": [rule]},
            {
                "apiVersion": f"{rbac}/v1", "kind": "RoleBinding", "metadata": meta, "subjects": [subject],
                "roleRef": {"apiGroup": rbac, "kind": "Role", "name": "narrow"},
            },
        )  # fmt: skip
        if nodes:
            wide = {"name": self.namespace}
            rule = {"apiGroups": [""], "resources": ["nodes"], "verbs": ["get"]}
            self.cluster.apply(
                {"apiVersion": f"{rbac}/v1", "kind": "ClusterRole", "metadata": wide, "rules": [rule]},
                {
                    "apiVersion": f"{rbac}/v1", "kind": "ClusterRoleBinding", "metadata": wide, "subjects": [subject],
                    "roleRef": {"apiGroup": rbac, "kind": "ClusterRole", "name": self.namespace},
                },
            )  # fmt: skip
        config: Document = json.loads(self.cluster.kubectl("config", "view", "--raw", "--flatten", "--output=json"))
        config["users"] = [{"name": "narrow", "user": {"token": self.narrow_token()}}]
        config["contexts"][0]["context"]["user"] = "narrow"
        path = self.matchmakers.folder / "narrow.json"
        path.write_text(json.dumps(config))
        return str(path)

    def narrow_token(self) -> str:
        """A token of the account of `narrow_kubeconfig`."""
        return self.cluster.kubectl("create", "token", "narrow", f"--namespace={self.namespace}").strip()

    def token(self, name: str, document: str, seat: int = 0) -> str:
        """A join token for a seat of a match, as webapi mints it."""
        player = msgspec.json.decode(document, type=Match).players[seat]
        claims = JoinClaims(player.id, name, player.name, player.team, int(time.time()) + 60)
        return mint(match_key(self.matchmakers.env["MUSTER_SECRET"], name), claims)


@dataclass
class Developer:
    """Somebody who reads over HTTP how matches of his game went."""

    api: Api
    token: str
    player: str

    async def reads(self, name: str) -> Document:
        """The match as the API tells it."""
        answer = await self.api.ask("GET", f"/v1/matches/{GAME}/{name}", token=self.token)
        assert answer.status == 200, answer
        return dict(answer.body)


def matchmaker_env(cluster: Cluster, namespace: str, image: str, redis_url: str) -> dict[str, str]:
    """What a matchmaker beside the cluster needs, over what every matchmaker of a test has."""
    return {
        "MUSTER_LAUNCHER": "kubernetes",
        "REDIS_URL": redis_url,
        "MUSTER_KUBE_CONFIG": str(cluster.kubeconfig),
        "MUSTER_KUBE_NAMESPACE": namespace,
        "MUSTER_KUBE_GAMEPOD_IMAGE": image,
        "MUSTER_KUBE_PULL_POLICY": "Never",
        "MUSTER_INSTALLATION": f"test-{secrets.token_hex(4)}",
        # Where pods reach this machine: their rings come here.
        "MUSTER_DOORBELL_BIND": f"tcp://{cluster.layout.host_address}:*",
        "MUSTER_BEAT_TIMEOUT_S": "10",
        "MUSTER_KUBE_CALL_S": str(CALL_S),
        "MUSTER_VANISHED_S": "600",  # nobody gives signs of life for tests' tickets, and a pod may take a minute
    }
