"""Wrong values: refused before anything is sent, and the message names the place and what is wrong there."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.chart.rendered import Render
from tests.cluster.sandbox import SandboxError

# Values that are wrong -> words of the message, by both majors of Helm.
CASES: list[tuple[dict[str, Any], tuple[str, ...]]] = [
    ({"webap": {}}, ("webap",)),
    ({"webapi": {"replica": 2}}, ("webapi", "replica")),
    ({"webapi": {"replicas": 0}}, ("webapi", "replicas", "1")),
    ({"webapi": {"replicas": "two"}}, ("webapi", "replicas", "integer")),
    ({"webapi": {"settings": {"MUSTER_OPEN_DEVELOPER": True}}}, ("settings", "MUSTER_OPEN_DEVELOPER")),
    ({"webapi": {"settings": {"MUSTER_ACCESS_TOKEN_S": "15m"}}}, ("MUSTER_ACCESS_TOKEN_S", "integer")),
    ({"webapi": {"settings": {"MUSTER_WEBAPI_PORT": 80}}}, ("MUSTER_WEBAPI_PORT",)),
    ({"webapi": {"service": {"type": "Loadbalancer"}}}, ("service", "type", "LoadBalancer")),
    ({"webapi": {"service": {"port": 70000}}}, ("port", "65,535")),
    ({"webapi": {"resources": {"limits": {"memory": "1 GB"}}}}, ("resources", "memory")),
    ({"webapi": {"disruption": {"maxUnavailable": "half"}}}, ("maxUnavailable",)),
    ({"webapi": {"autoscaling": {"cpu": "60%"}}}, ("cpu",)),
    ({"webapi": {"autoscaling": {"external": [{"name": "rps"}]}}}, ("external",)),
    (
        {"webapi": {"autoscaling": {"enabled": True, "minReplicas": 5, "maxReplicas": 2}}},
        ("minReplicas (5) is greater than maxReplicas (2)",),
    ),
    ({"webapi": {"autoscaling": {"enabled": True, "cpu": ""}}}, ("give cpu or external",)),
    ({"matchmaker": {"launcher": "docker"}}, ("launcher", "kubernetes")),
    ({"matchmaker": {"settings": {"MUSTER_CLAIMS": 1.5}}}, ("MUSTER_CLAIMS", "integer")),
    ({"image": {"pullPolicy": "Sometimes"}}, ("pullPolicy", "IfNotPresent")),
    ({"image": {"digest": "sha256:1234"}}, ("digest",)),
    ({"secrets": {"value": "hunter2"}}, ("secrets", "value")),
    ({"logging": {"level": "verbose"}}, ("level", "debug")),
    ({"games": {"namespace": "My Games"}}, ("namespace",)),
    ({"games": {"network": "hostPort"}}, ("network", "host_port")),
    (
        {"games": {"ports": {"first": 25000, "last": 20000}}},
        ("games.ports: first (25000) is greater than last (20000)",),
    ),
    ({"ingress": {"tls": [{"hosts": ["play.example.org"]}]}}, ("tls", "secretName")),
    ({"redis": {"url": "redis://elsewhere"}}, ("redis", "url")),
    ({"redis": {"maxmemory": "lots"}}, ("maxmemory",)),
    ({"redis": {"replicas": 2}}, ("redis", "replicas")),
    ({"edge": {"udp": {"upstream": "node-1"}}}, ("upstream",)),
    ({"edge": {"enabled": True, "udp": {"enabled": True}}}, ("edge.udp: upstream is missing",)),
    (
        {"edge": {"enabled": True, "udp": {"enabled": True, "upstream": "192.0.2.1"}}},
        ("games.ports, 20000 to 24999, are more than 500 ports",),
    ),
    *(
        (
            {"edge": {"enabled": True, "auth": {"enabled": True, "targetPort": port}}},
            (f"edge.auth: targetPort, {port}, is webapi's port for {name}",),
        )
        for port, name in ((22548, "http"), (22549, "doorbell"), (8000, "webapi-metrics"))
    ),
    (
        {"edge": {"enabled": True, "auth": {"enabled": True}}, "webapi": {"service": {"port": 22550}}},
        ("edge.auth: targetPort, 22550, is webapi.service.port",),
    ),
    *(
        (
            {"edge": {"enabled": True, "auth": {"enabled": True, "port": port}}},
            (f"edge.auth: port, {port}, is one that the edge has for HTTP",),
        )
        for port in (80, 8080, 8081)
    ),
    (
        {
            "edge": {"enabled": True, "auth": {"enabled": True}},
            "webapi": {"settings": {"MUSTER_TRUSTED_PROXIES": 0}},
        },
        ("edge.auth: webapi.settings.MUSTER_TRUSTED_PROXIES is 0",),
    ),
    ({"monitoring": {"rules": {"failedMatchesPercent": 150}}}, ("failedMatchesPercent", "100")),
    ({"networkPolicy": {"apiServer": {"ports": []}}}, ("ports",)),
]


@pytest.mark.parametrize(("values", "words"), CASES, ids=[json.dumps(values)[:60] for values, _ in CASES])
def test_wrong_values_are_refused_with_a_plain_message(
    rendered: Render, values: dict[str, Any], words: tuple[str, ...]
) -> None:
    """Each is refused, in words that name the option."""
    arguments = [part for name, value in values.items() for part in ("--set-json", f"{name}={json.dumps(value)}")]
    with pytest.raises(SandboxError) as refused:
        rendered(*arguments)
    message = str(refused.value).partition("Error: ")[2]
    assert not [word for word in words if word not in message], message
