"""`muster secrets`: the Secrets that the Helm chart expects, as documents for `kubectl create`.

The chart makes none itself: what a template draws by chance changes at every render. It speaks to no cluster, so it
needs no rights, and who keeps secrets elsewhere sees here which keys there have to be. Run twice it draws anew, and
`kubectl create` refuses to put that over what exists, for all tokens and the password of Redis would change.
"""

from __future__ import annotations

import json
import secrets
from typing import Any, Final

CHART: Final = "muster"
NAME_LENGTH: Final = 40  # as charts/muster/templates/_names.tpl cuts it
BYTES: Final = 32  # hexadecimal: needs no quoting in a URL

Document = dict[str, Any]


def documents(
    name: str, namespace: str, start: str, *, games_namespace: str = "", redis_url: str = "", admin: str = ""
) -> list[Document]:
    """The Secret of the services, and that of the game servers where these have a namespace of their own.

    `start` is what the release's names begin with. Without `redis_url` it is that of the Redis which the chart brings,
    with a password made here.
    """
    data = {"secret": secrets.token_hex(BYTES)}
    if not redis_url:
        data["redis-password"] = secrets.token_hex(BYTES)
        host = f"{start}-redis.{namespace}.svc"
        redis_url = f"redis://:{data['redis-password']}@{host}:6379/0"
    data["redis-url"] = redis_url
    if admin:
        data |= {"admin-name": admin, "admin-password": secrets.token_urlsafe(18)}
    made = [_secret(name, namespace, data)]
    if games_namespace not in ("", namespace):
        made.append(_secret(name, games_namespace, {"redis-url": redis_url}))
    return made


def fullname(release: str) -> str:
    """What the chart's names begin with, unless an override says otherwise."""
    name = release if CHART in release else f"{release}-{CHART}"
    return name[:NAME_LENGTH].removesuffix("-")


def text(found: list[Document]) -> str:
    """One document that kubectl takes (JSON is YAML)."""
    return json.dumps({"apiVersion": "v1", "kind": "List", "items": found}, indent=2)


def _secret(name: str, namespace: str, data: dict[str, str]) -> Document:
    labels = {"app.kubernetes.io/name": CHART, "app.kubernetes.io/part-of": CHART}
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": name, "namespace": namespace, "labels": labels},
        "type": "Opaque",
        "stringData": data,
    }
