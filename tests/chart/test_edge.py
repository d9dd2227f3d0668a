"""The edge: a real Nginx accepts its configuration, and what it is told follows from the values."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from tests.chart.local_edge import NGINX, directives
from tests.chart.rendered import ALL, Render, environment, pick


def configuration(render: Render, *arguments: str) -> str:
    """nginx.conf as it is rendered."""
    name = "everything-edge" if str(ALL) in arguments else "muster-edge"
    return str(pick(render(*arguments), "ConfigMap", name)["data"]["nginx.conf"])


@pytest.mark.skipif(NGINX is None, reason="no nginx here: apt-get install nginx libnginx-mod-stream")
@pytest.mark.parametrize("arguments", [("--set", "edge.enabled=true"), ("--values", str(ALL))], ids=["least", "all"])
def test_nginx_accepts_the_configuration(rendered: Render, tmp_path: Path, arguments: tuple[str, ...]) -> None:
    """Checked by Nginx itself; names of Services are put as addresses, for it looks them up."""
    path = tmp_path / "nginx.conf"
    text = re.sub(r"\b(?:muster|everything)-webapi\b", "127.0.0.1", configuration(rendered, *arguments))
    path.write_text(text.replace("/tmp/", f"{tmp_path}/"))  # so that nothing is left behind
    command = [str(NGINX), "-e", "stderr", "-t", "-c", str(path), "-g", directives()]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert "syntax is ok" in done.stderr, done.stderr
    assert done.returncode == 0, done.stderr


def test_limits_and_ports_are_those_of_the_values(rendered: Render) -> None:
    """What an operator sets is what Nginx is told."""
    text = configuration(rendered, "--values", str(ALL))
    for line in (
        "limit_conn connections 50;",
        "rate=20r/s;",
        "limit_req zone=requests burst=40;",
        "limit_conn auth 5;",
        "limit_conn udp 30;",
        "server everything-webapi:80;",
        "proxy_pass everything-webapi:22551;",
        "proxy_protocol on;",
        "listen 21000-21099 udp;",
        "proxy_pass 192.0.2.10:$server_port;",
    ):
        assert line in text


def test_the_api_s_service_has_the_port_that_the_edge_leads_to(rendered: Render) -> None:
    """Through a Service only ports that it lists are reached; without the edge it lists the API's alone."""

    def ports(*arguments: str, name: str) -> dict[str, int]:
        return {port["name"]: port["port"] for port in pick(rendered(*arguments), "Service", name)["spec"]["ports"]}

    assert ports("--values", str(ALL), name="everything-webapi") == {"http": 80, "auth": 22551}
    assert ports("--set", "edge.auth.enabled=true", name="muster-webapi") == {"http": 22548}


def test_webapi_listens_for_lines_where_the_edge_leads_to_them(rendered: Render) -> None:
    """At the edge's target port and as behind one proxy, unless more are said to be; without the edge not at all."""

    def webapi(*arguments: str) -> tuple[dict[str, int], dict[str, str]]:
        documents = rendered(*(part for argument in arguments for part in ("--set", argument)))
        container = pick(documents, "Deployment", "muster-webapi")["spec"]["template"]["spec"]["containers"][0]
        found = environment(documents, "muster-webapi")
        names = ("MUSTER_AUTH_LINES", "MUSTER_WEBAPI_AUTH_PORT", "MUSTER_TRUSTED_PROXIES")
        ports = {port["name"]: port["containerPort"] for port in container["ports"] if port["name"] == "auth"}
        return ports, {name: found[name] for name in names if name in found}

    auth = "edge.enabled=true,edge.auth.enabled=true,edge.auth.targetPort=4001"
    through = {"MUSTER_WEBAPI_AUTH_PORT": "4001", "MUSTER_TRUSTED_PROXIES": "1"}
    assert webapi() == ({}, {"MUSTER_AUTH_LINES": "false"})
    assert webapi("edge.enabled=true") == ({}, {"MUSTER_AUTH_LINES": "false", "MUSTER_TRUSTED_PROXIES": "1"})
    assert webapi(auth) == ({"auth": 4001}, through)
    more = through | {"MUSTER_TRUSTED_PROXIES": "2"}
    assert webapi(auth, "webapi.settings.MUSTER_TRUSTED_PROXIES=2") == ({"auth": 4001}, more)


def test_what_is_not_asked_for_is_not_opened(rendered: Render) -> None:
    """Without auth and UDP there is one port, and no stream."""
    documents = rendered("--set", "edge.enabled=true")
    assert "stream {" not in configuration(rendered, "--set", "edge.enabled=true")
    service = pick(documents, "Service", "muster-edge")["spec"]
    assert [port["name"] for port in service["ports"]] == ["http"]
    assert service["externalTrafficPolicy"] == "Local"


def test_a_changed_configuration_makes_new_pods(rendered: Render) -> None:
    """Nginx reads it once: the pods carry its digest."""

    def digest(*arguments: str) -> str:
        found = pick(rendered("--set", "edge.enabled=true", *arguments), "Deployment", "muster-edge")
        return str(found["spec"]["template"]["metadata"]["annotations"]["muster.dev/configuration"])

    assert digest() != digest("--set", "edge.limits.burst=7")
    assert digest() == digest("--set", "webapi.replicas=7")
