"""`muster secrets`: what it draws, and that it is never the same twice."""

from __future__ import annotations

import json

from click.testing import CliRunner

from core.cli.__main__ import cli
from core.cli.secrets import documents
from core.settings import SECRET_BYTES, Common


def test_the_command_prints_documents_that_kubectl_takes() -> None:
    """A list of Secrets in JSON, one for each namespace."""
    arguments = ["secrets", "--namespace", "games", "--games-namespace", "servers", "--admin", "root"]
    done = CliRunner().invoke(cli, arguments)
    assert done.exit_code == 0, done.output
    items = json.loads(done.output)["items"]
    assert [(item["kind"], item["metadata"]["namespace"]) for item in items] == [
        ("Secret", "games"),
        ("Secret", "servers"),
    ]
    data = items[0]["stringData"]
    assert data["redis-url"] == f"redis://:{data['redis-password']}@muster-redis.games.svc:6379/0"
    assert items[1]["stringData"] == {"redis-url": data["redis-url"]}  # servers never get what signs tokens


def test_the_services_take_what_is_drawn() -> None:
    """The secret is long enough to sign with, and each run draws another."""
    first, second = (documents("muster", "games", "muster", admin="root")[0]["stringData"] for _ in range(2))
    assert len(Common(secret=first["secret"]).require_secret()) >= SECRET_BYTES
    assert not {first[key] for key in ("secret", "redis-password", "admin-password")} & set(second.values())


def test_servers_in_the_release_s_own_namespace_need_no_second_secret() -> None:
    """They read the key of the one that is there."""
    assert len(documents("muster", "games", "muster", games_namespace="games")) == 1
