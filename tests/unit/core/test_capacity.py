"""The capacity model: needs are within what is counted, grow in proportion, and reach limits where those are."""

from __future__ import annotations

import dataclasses
import json

import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from core.capacity import BINDS_PER_S, BUSY, LOG_SHARDS, PODS_A_CLUSTER, STREAMS_A_REPLICA, Load, hourly, limits, need
from core.cli.__main__ import cli

loads = st.builds(
    Load,
    players=st.integers(1, 10**7),
    per_match=st.integers(1, 200),
    match_s=st.floats(10, 10_000),
    wait_s=st.floats(0, 600),
    lobby_s=st.floats(0, 3600),
    actions_hz=st.floats(0, 60),
    flush_hz=st.floats(0.1, 50),
)


@given(loads)
def test_counts_carry_what_is_needed(load: Load) -> None:
    """No replica of a service, and no Redis, is busier than it may be; each match has its server."""
    parts = {part.name: part for part in need(load)}
    for name in ("webapi", "matchmaker", "Redis"):
        assert parts[name].cores / parts[name].count <= BUSY + 1e-9
    assert load.outside / parts["webapi"].count <= STREAMS_A_REPLICA
    assert 0 <= parts["game servers"].count - load.matches < 1 + 1e-6
    assert load.playing + load.outside == pytest.approx(load.players)
    assert all(part.memory_gb >= 0 for part in parts.values())


@given(loads)
def test_twice_the_players_use_twice_as_much(load: Load) -> None:
    """Cores grow in proportion, so a limit is one division."""
    twice = dataclasses.replace(load, players=2 * load.players)
    servers = {part.name: part.cores for part in need(load)}
    for part in need(twice):
        slack = 0.02 if part.name == "game servers" else 1e-9  # a last match that is not full is a whole server
        assert part.cores == pytest.approx(2 * servers[part.name], abs=slack)


@given(loads)
def test_a_limit_is_where_the_need_reaches_it(load: Load) -> None:
    """With as many players as a limit says, what it limits is used up; the nearest is first."""
    found = limits(load)
    assert [limit.players for limit in found] == sorted(limit.players for limit in found)
    for limit in found:
        there = dataclasses.replace(load, players=limit.players)  # type: ignore[arg-type]
        used = {part.name: part.cores for part in need(there)}
        if "no more pods a second" in limit.name:
            assert there.starts_s == pytest.approx(BINDS_PER_S)
        elif "holds no more pods" in limit.name:
            assert there.matches == pytest.approx(PODS_A_CLUSTER)
        elif "open streams" in limit.name:
            assert there.outside == pytest.approx(STREAMS_A_REPLICA)
        elif "queue" in limit.name:
            assert used["matchmaker"] == pytest.approx(BUSY)
        else:
            assert used["Redis"] >= BUSY * (LOG_SHARDS if "shards" in limit.name else 1) * (1 - 1e-9)


def test_a_lever_does_what_the_page_says() -> None:
    """Writing less often makes Redis' work less, and nobody else's."""
    often, rarely = (need(Load(players=100_000, flush_hz=hz)) for hz in (30.0, 4.0))
    by_name = {part.name: part for part in rarely}
    for part in often:
        if part.name == "Redis":
            assert by_name["Redis"].cores < 0.5 * part.cores
        else:
            assert by_name[part.name] == part
    assert hourly(often, core=1, memory_gb=0) > hourly(rarely, core=1, memory_gb=0)


def test_the_command_says_it_in_a_table_and_as_json() -> None:
    """`muster capacity`: parts, price and limits; nonsense is refused with what is allowed."""
    run = CliRunner()
    shown = run.invoke(cli, ["capacity", "--players", "50000", "--per-match", "4"])
    assert shown.exit_code == 0, shown.output
    assert "50,000 players connected" in shown.output
    assert "game servers" in shown.output
    document = json.loads(run.invoke(cli, ["capacity", "--players", "50000", "--per-match", "4", "--json"]).output)
    assert document["load"]["per_match"] == 4
    assert [part["name"] for part in document["parts"]] == ["webapi", "matchmaker", "Redis", "game servers"]
    assert document["price_per_hour"] == pytest.approx(
        hourly(need(Load(50_000, 4, flush_hz=1 / 0.03)), core=0.03, memory_gb=0.004)
    )
    refused = run.invoke(cli, ["capacity", "--match-s", "0"])
    assert refused.exit_code == 2
    assert "--match-s" in refused.output
