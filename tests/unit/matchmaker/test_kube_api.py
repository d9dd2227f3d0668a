"""How requests to the API server look on the wire: against a server that writes them down."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from matchmaker.launch.kube_api import KubePods, open_pods
from matchmaker.launch.kube_way import _proxy_of

LABELS = {"app": "a", "instance": "b"}


@pytest.fixture
async def heard() -> AsyncIterator[tuple[str, list[dict[str, Any]]]]:
    """A server's address, with a path before the API as some hosts have it, and what it was asked."""
    asked: list[dict[str, Any]] = []

    async def answer(request: web.Request) -> web.Response:
        text = await request.text()
        kept = {name: request.headers.get(name) for name in ("Authorization", "Content-Type", "Accept")}
        asked.append(
            {
                "call": f"{request.method} {request.path}",
                "query": dict(request.query),
                "body": json.loads(text or "null"),
                **kept,
            }
        )
        return web.json_response({"metadata": {"name": "one", "resourceVersion": "7"}, "items": []})

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", answer)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    yield f"http://127.0.0.1:{runner.addresses[0][1]}/k8s/c-1", asked
    await runner.cleanup()


@pytest.fixture
async def pods(heard: tuple[str, list[dict[str, Any]]], tmp_path: Path) -> AsyncIterator[KubePods]:
    """Pods by a kubeconfig with a token."""
    config = {
        "clusters": [{"name": "c", "cluster": {"server": heard[0]}}],
        "users": [{"name": "u", "user": {"token": "secret-token"}}],
        "contexts": [{"name": "x", "context": {"cluster": "c", "user": "u"}}],
        "current-context": "x",
    }
    path = tmp_path / "config"
    path.write_text(json.dumps(config))
    async with open_pods(str(path), "games", LABELS, 60.0) as made:
        yield made


async def test_requests_carry_token_body_and_query(pods: KubePods, heard: tuple[str, list[dict[str, Any]]]) -> None:
    """Below the server's own path, authorised each time, JSON both ways."""
    assert (await pods.create({"kind": "Pod", "metadata": {"name": "ö"}})).metadata.name == "one"
    await pods.delete("one", 3, "uid-1")
    assert await pods.list() == ([], "7")
    created, deleted, listed = heard[1]
    base = "/k8s/c-1/api/v1/namespaces/games/pods"
    assert (created["call"], created["query"]) == (f"POST {base}", {"fieldManager": "muster"})
    assert created["body"] == {"kind": "Pod", "metadata": {"name": "ö"}}
    assert deleted["call"] == f"DELETE {base}/one"
    assert deleted["body"]["preconditions"] == {"uid": "uid-1"}
    assert (listed["call"], listed["query"]) == (f"GET {base}", {"labelSelector": "app=a,instance=b", "limit": "500"})
    assert {each["Authorization"] for each in heard[1]} == {"Bearer secret-token"}
    assert {each["Accept"] for each in heard[1]} == {"application/json"}
    assert [each["Content-Type"] for each in heard[1]] == ["application/json", "application/json", None]


def test_the_environment_names_a_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    """HTTPS_PROXY is gone through, but for whom NO_PROXY excepts."""
    for name in ("https_proxy", "HTTPS_PROXY", "no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    assert _proxy_of("https://10.0.0.1:6443") is None
    monkeypatch.setenv("https_proxy", "http://proxy.example:3128")
    assert _proxy_of("https://10.0.0.1:6443") == "http://proxy.example:3128"
    monkeypatch.setenv("no_proxy", "10.0.0.1,.svc")
    assert _proxy_of("https://10.0.0.1:6443") is None
    assert _proxy_of("https://kubernetes.default.svc") is None
