"""Taken ports are named with who has them and the setting that changes them."""

from __future__ import annotations

import os
import socket

import pytest

from core.cli.ports import free_port, holder, is_free, require_free
from core.cli.settings import StackSettings, service_env
from core.errors import Misconfigured


def test_taken_port_is_named_with_holder_and_setting() -> None:
    """The refusal tells the port, what it was for, the pid that has it, and the variable to set."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        assert not is_free(port)
        assert f"(pid {os.getpid()})" in holder(port)
        with pytest.raises(Misconfigured, match=rf"port {port}, for the page.*pid {os.getpid()}.*MUSTER_WEBAPI_PORT"):
            require_free({"MUSTER_WEBAPI_PORT": (port, "the page")})


def test_free_ports_pass() -> None:
    """A port that nobody listens on is no obstacle, and nobody is said to have it."""
    port = free_port()
    require_free({"MUSTER_WEBAPI_PORT": (port, "the page")})
    assert holder(port) == "a program of another user"


@pytest.mark.parametrize(("ports", "words"), [((70_000,), "70000 is no port"), ((40_001, 40_001), "set twice")])
def test_impossible_ports_are_refused(ports: tuple[int, ...], words: str) -> None:
    """A number that is no port, and one port for two things, are refused before anything starts."""
    with pytest.raises(Misconfigured, match=words):
        require_free({f"S{number}": (port, "x") for number, port in enumerate(ports)})


def test_ports_to_check_depend_on_whose_redis_it_is() -> None:
    """Only fixed ports are checked, and that of Redis only where the stack starts it."""
    assert "MUSTER_REDIS_PORT" not in StackSettings().ports
    assert StackSettings(redis_port=7000).ports["MUSTER_REDIS_PORT"][0] == 7000
    assert "MUSTER_REDIS_PORT" not in StackSettings(redis_port=7000, redis_url="redis://elsewhere").ports
    fixed = StackSettings(webapi_metrics_port=0, webapi_auth_port=0, worker_metrics_port=0).ports
    assert fixed.keys() == {"MUSTER_WEBAPI_PORT", "MUSTER_MATCHMAKER_METRICS_PORT"}


def test_number_of_matchmakers_is_bounded() -> None:
    """None and a hundred matchmakers are refused by name."""
    for number in (0, 100):
        with pytest.raises(Misconfigured, match="MUSTER_MATCHMAKERS"):
            StackSettings(matchmakers=number)


def test_number_of_workers_is_bounded() -> None:
    """A negative number and a hundred workers are refused by name; without any their port is not asked for."""
    for number in (-1, 100):
        with pytest.raises(Misconfigured, match="MUSTER_WORKERS"):
            StackSettings(workers=number)
    assert "MUSTER_WORKER_METRICS_PORT" in StackSettings().ports
    assert "MUSTER_WORKER_METRICS_PORT" not in StackSettings(workers=0).ports


def test_services_get_the_stack_s_own_redis_and_what_the_user_set() -> None:
    """What belongs to the stack wins over the user's environment; defaults of a laptop do not."""
    base = {"REDIS_URL": "redis://old", "MUSTER_LOG_FORMAT": "json", "MUSTER_LEASE_S": "5", "PYTHONPATH": "mine"}
    env = service_env(
        StackSettings(webapi_port=81), base, redis_url="redis://new", secret="s" * 32, installation="local-1"
    )
    assert env["REDIS_URL"] == "redis://new"
    assert env["MUSTER_WEBAPI_PORT"] == "81"
    assert env["MUSTER_LOG_FORMAT"] == "json"
    assert env["MUSTER_LEASE_S"] == "5"
    assert env["MUSTER_ALLOW_COMMANDS"] == "true"
    assert env["PYTHONPATH"].endswith(os.pathsep + "mine")
