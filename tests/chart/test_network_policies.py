"""Who may speak to whom, asked of the rendered policies as a network would read them."""

from __future__ import annotations

import pytest

from tests.chart.rendered import ALL, Document, Render, Somebody, allowed, pick

SERVER = {
    "app.kubernetes.io/name": "muster-server",
    "app.kubernetes.io/instance": "games-muster",
    "app.kubernetes.io/managed-by": "muster",
}


def part(component: str) -> Somebody:
    """A pod of the release."""
    labels = {"app.kubernetes.io/name": "muster", "app.kubernetes.io/instance": "muster"}
    return Somebody("games", {**labels, "app.kubernetes.io/component": component})


WEBAPI, MATCHMAKER, REDIS, EDGE = part("webapi"), part("matchmaker"), part("redis"), part("edge")
WORKER = part("worker")
GAME = Somebody("servers", SERVER)
NAMES = Somebody("kube-system", {"k8s-app": "kube-dns"})
PROMETHEUS = Somebody("monitoring", {"app": "prometheus"})
STRANGER = Somebody("default", {"app": "stranger"})
OTHER_GAME = Somebody("servers", SERVER | {"app.kubernetes.io/instance": "other-muster"})
INTERNET = Somebody(cidr="203.0.113.7/32")

# Who, whom, port, whether.
CASES = [
    # What servers must reach, and strangers' code in them must not.
    (GAME, REDIS, "TCP", 6379, True),
    (GAME, MATCHMAKER, "TCP", 22549, True),
    (GAME, WEBAPI, "TCP", 22549, True),
    (GAME, NAMES, "UDP", 53, True),
    (GAME, NAMES, "TCP", 53, True),
    (GAME, NAMES, "TCP", 443, False),
    (GAME, WEBAPI, "TCP", 22548, False),
    (GAME, WEBAPI, "TCP", 8000, False),
    (GAME, MATCHMAKER, "TCP", 8002, False),
    (GAME, GAME, "TCP", 20000, False),
    (GAME, GAME, "TCP", 9358, False),
    (GAME, STRANGER, "TCP", 80, False),
    (GAME, INTERNET, "TCP", 443, False),
    (GAME, INTERNET, "UDP", 53, False),
    # Players.
    (INTERNET, GAME, "UDP", 20000, True),
    (INTERNET, GAME, "TCP", 7777, True),
    (INTERNET, GAME, "TCP", 8001, False),
    (INTERNET, WEBAPI, "TCP", 22548, True),
    (INTERNET, WEBAPI, "TCP", 22549, False),
    (INTERNET, WEBAPI, "TCP", 8000, False),
    (INTERNET, MATCHMAKER, "TCP", 22549, False),
    (INTERNET, REDIS, "TCP", 6379, False),
    (WEBAPI, GAME, "TCP", 20000, True),
    (WEBAPI, OTHER_GAME, "TCP", 20000, False),
    # Redis.
    (WEBAPI, REDIS, "TCP", 6379, True),
    (MATCHMAKER, REDIS, "TCP", 6379, True),
    (STRANGER, REDIS, "TCP", 6379, False),
    (OTHER_GAME, REDIS, "TCP", 6379, False),
    (PROMETHEUS, REDIS, "TCP", 6379, False),
    (REDIS, INTERNET, "TCP", 443, False),
    (REDIS, NAMES, "UDP", 53, False),
    # Doorbells, metrics, the Kubernetes API.
    (WEBAPI, MATCHMAKER, "TCP", 22549, True),
    (MATCHMAKER, WEBAPI, "TCP", 22549, True),
    (WEBAPI, WEBAPI, "TCP", 22549, True),
    (STRANGER, MATCHMAKER, "TCP", 22549, False),
    (PROMETHEUS, WEBAPI, "TCP", 8000, True),
    (PROMETHEUS, MATCHMAKER, "TCP", 8002, True),
    (PROMETHEUS, GAME, "TCP", 8001, True),
    (STRANGER, WEBAPI, "TCP", 8000, False),
    (MATCHMAKER, INTERNET, "TCP", 6443, True),
    (MATCHMAKER, INTERNET, "TCP", 80, False),
    (WEBAPI, INTERNET, "TCP", 6443, False),
]


@pytest.fixture
def documents(rendered: Render) -> list[Document]:
    """The defaults, the servers in a namespace of their own."""
    return rendered("--set", "games.namespace=servers")


def test_who_may_speak_to_whom(documents: list[Document]) -> None:
    """Every row of the table, by the policies of both ends."""
    wrong = [
        f"{source.labels or source.cidr} -> {target.labels or target.cidr} {protocol}/{port} is {not expected}"
        for source, target, protocol, port, expected in CASES
        if allowed(documents, source, target, protocol, port) is not expected
    ]
    assert not wrong


def test_every_pod_has_a_policy_for_both_directions(rendered: Render) -> None:
    """What no policy names may do anything: so each component has one, and none is left half open."""
    documents = rendered("--values", str(ALL))
    for component in ("webapi", "matchmaker", "worker", "sinks", "intake", "analytics", "redis", "edge", "games"):
        policy = pick(documents, "NetworkPolicy", f"everything-{component}")
        assert policy["spec"]["policyTypes"] == ["Ingress", "Egress"]
        assert policy["spec"]["podSelector"]["matchLabels"], "would select every pod of the namespace"


def test_a_worker_reaches_redis_doorbells_and_the_internet_and_no_more(rendered: Render) -> None:
    """It calls URLs that developers name: nothing of the operator's own network. Without one nobody may be it."""
    documents = rendered("--set", "games.namespace=servers,worker.enabled=true")
    for whom, port in ((REDIS, 6379), (WEBAPI, 22549), (INTERNET, 443)):
        assert allowed(documents, WORKER, whom, "TCP", port)
    assert allowed(documents, WEBAPI, WORKER, "TCP", 22549)
    assert allowed(documents, PROMETHEUS, WORKER, "TCP", 8003)
    for whom, port in ((INTERNET, 22), (WEBAPI, 22548), (WEBAPI, 8000), (GAME, 20000), (STRANGER, 443)):
        assert not allowed(documents, WORKER, whom, "TCP", port)
    for address in ("10.0.0.1/32", "169.254.169.254/32", "192.168.1.1/32"):
        assert not allowed(documents, WORKER, Somebody(cidr=address), "TCP", 443)
    assert not allowed(documents, STRANGER, WORKER, "TCP", 22549)
    assert not allowed(rendered("--set", "games.namespace=servers"), WORKER, REDIS, "TCP", 6379)


def test_what_speaks_to_brokers_reaches_them_and_redis_and_no_more(rendered: Render) -> None:
    """At the brokers' ports, and where the operator says; only what reads them rings doorbells."""
    sinks, intake, broker = part("sinks"), part("intake"), Somebody(cidr="198.51.100.7/32")
    one = "--set", "games.namespace=servers,brokers.rabbitmq=rabbit"
    documents = rendered(*one)
    for whom in (sinks, intake):
        assert allowed(documents, whom, REDIS, "TCP", 6379)
        assert allowed(documents, whom, NAMES, "UDP", 53)
        assert allowed(documents, whom, broker, "TCP", 5672)
        assert not allowed(documents, whom, broker, "TCP", 443)
        assert not allowed(documents, whom, WEBAPI, "TCP", 22548)
        assert not allowed(documents, whom, GAME, "TCP", 20000)
        assert not allowed(documents, STRANGER, whom, "TCP", 8005)
    assert allowed(documents, PROMETHEUS, intake, "TCP", 8005)
    assert allowed(documents, PROMETHEUS, sinks, "TCP", 8004)
    assert allowed(documents, intake, MATCHMAKER, "TCP", 22549)
    assert not allowed(documents, sinks, MATCHMAKER, "TCP", 22549)
    bound = rendered(*one, "--set", "brokers.to[0].ipBlock.cidr=198.51.100.0/24")
    assert allowed(bound, intake, broker, "TCP", 5672)
    assert not allowed(bound, intake, INTERNET, "TCP", 5672)
    assert not allowed(rendered("--set", "games.namespace=servers"), intake, REDIS, "TCP", 6379)


def test_peers_name_their_namespace(rendered: Render) -> None:
    """A peer without one would mean another namespace when the servers have their own."""
    for document in rendered():
        if document["kind"] == "NetworkPolicy":
            rules = [*document["spec"]["ingress"], *document["spec"]["egress"]]
            peers = [peer for rule in rules for key in ("from", "to") for peer in rule.get(key, [])]
            assert all("namespaceSelector" in peer or "ipBlock" in peer for peer in peers)


def test_the_edge_reaches_the_api_and_nothing_behind_it(rendered: Render) -> None:
    """It is the first thing that an attacker meets."""
    node = "192.0.2.10"
    documents = rendered(
        *("--set", "games.namespace=servers,edge.enabled=true,edge.auth.enabled=true,edge.udp.enabled=true"),
        *("--set", f"games.ports.first=20000,games.ports.last=20099,edge.udp.upstream={node}"),
    )
    assert allowed(documents, INTERNET, EDGE, "TCP", 8080)
    assert allowed(documents, INTERNET, EDGE, "UDP", 20000)
    assert not allowed(documents, INTERNET, EDGE, "UDP", 20100)
    assert not allowed(documents, INTERNET, EDGE, "TCP", 8081)
    assert allowed(documents, EDGE, WEBAPI, "TCP", 22548)
    assert allowed(documents, EDGE, WEBAPI, "TCP", 22550)
    for other in (INTERNET, GAME, STRANGER, MATCHMAKER):
        assert not allowed(documents, other, WEBAPI, "TCP", 22550)
    assert allowed(documents, EDGE, Somebody(cidr=f"{node}/32"), "UDP", 20000)
    assert not allowed(documents, EDGE, REDIS, "TCP", 6379)
    assert not allowed(documents, EDGE, MATCHMAKER, "TCP", 22549)
    assert not allowed(documents, EDGE, INTERNET, "TCP", 443)


def test_an_external_redis_is_reached_at_its_ports_only(rendered: Render) -> None:
    """By services and servers alike."""
    where = '[{"ipBlock":{"cidr":"203.0.113.7/32"}}]'
    documents = rendered(
        *("--set", "games.namespace=servers,redis.enabled=false"),
        *("--set-json", f"networkPolicy.externalRedis.to={where}"),
    )
    for source in (WEBAPI, MATCHMAKER, GAME):
        assert allowed(documents, source, INTERNET, "TCP", 6379)
    assert not allowed(documents, GAME, INTERNET, "TCP", 6380)
    assert not allowed(documents, GAME, Somebody(cidr="203.0.113.8/32"), "TCP", 6379)


def test_names_are_asked_for_at_the_ports_of_the_values(rendered: Render) -> None:
    """A policy sees the port that a DNS pod listens on, which not everywhere is its Service's."""
    documents = rendered("--set", "games.namespace=servers,networkPolicy.dns.ports={5353}")
    for protocol in ("TCP", "UDP"):
        assert allowed(documents, GAME, NAMES, protocol, 5353)
        assert not allowed(documents, GAME, NAMES, protocol, 53)


def test_policies_can_be_turned_off(rendered: Render) -> None:
    """For clusters with policies of their own."""
    assert not [d for d in rendered("--set", "networkPolicy.enabled=false") if d["kind"] == "NetworkPolicy"]
