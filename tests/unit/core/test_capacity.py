"""The capacity model: needs are within what is counted, grow in proportion, and reach limits where those are."""

from __future__ import annotations

import dataclasses
import json

import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from core.capacity import (
    BINDS_PER_S,
    BUSY,
    LOG_SHARDS,
    PODS_A_CLUSTER,
    STREAMS_A_REPLICA,
    Costs,
    Least,
    Load,
    hourly,
    limits,
    need,
)
from core.cli.__main__ import cli

ONLY_TICKETS = Costs(matchmaker_start=0, matchmaker_match=0, webapi_base=0, matchmaker_base=0, redis_base=0)
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
def test_twice_the_players_use_at_most_twice_as_much(load: Load) -> None:
    """What is fixed, and wake-ups, are shared by more; nothing costs less for more players."""
    before = {part.name: part for part in need(load)}
    for part in need(dataclasses.replace(load, players=2 * load.players)):
        assert before[part.name].cores <= part.cores + 1e-9
        assert part.cores <= 2 * before[part.name].cores + 1e-9
        assert part.count <= 2 * before[part.name].count


@given(loads)
def test_a_limit_is_where_the_need_reaches_it(load: Load) -> None:
    """As many players as a limit says use no more than there is, one more does; the nearest is first."""
    found = limits(load)
    assert [limit.players for limit in found] == sorted(limit.players for limit in found)
    for limit in found:
        here, more = (dataclasses.replace(load, players=limit.players + extra) for extra in (0, 1))
        used, of_more = ({p.name: p for p in need(it, least=Least(1, 1, 1))} for it in (here, more))
        if "no more pods a second" in limit.name:
            assert here.starts_s <= BINDS_PER_S < more.starts_s
        elif "holds no more pods" in limit.name:
            assert here.matches <= PODS_A_CLUSTER < more.matches
        elif "open streams" in limit.name:
            assert here.outside <= STREAMS_A_REPLICA < more.outside
        elif "queue" in limit.name:
            assert used["matchmaker"].count == 1 < of_more["matchmaker"].count
        else:
            assert of_more["Redis"].cores >= BUSY * (LOG_SHARDS if "shards" in limit.name else 1) * (1 - 1e-9)


def test_a_ticket_costs_less_the_more_come() -> None:
    """A wake-up is shared by who comes to the same process at the same time; Redis is asked for each."""

    def each(tickets_s: int, replicas: int = 1) -> dict[str, float]:
        load = Load(tickets_s * 1000, match_s=1000, wait_s=0, lobby_s=0, actions_hz=0, new_hour=0, games=0)
        parts = need(load, ONLY_TICKETS, least=Least(replicas, replicas))
        return {part.name: part.cores / tickets_s for part in parts}

    few, many, spread = each(2), each(100), each(100, replicas=50)
    for name in ("webapi", "matchmaker"):
        assert many[name] < 0.5 * few[name]
        assert spread[name] == pytest.approx(few[name])
    assert few["Redis"] == pytest.approx(many["Redis"])


def test_what_is_there_costs_while_nobody_is() -> None:
    """Without players each replica and each registered game has its price, and no server runs."""
    parts = {part.name: part.cores for part in need(Load(0, games=6))}
    c = Costs()
    assert parts["webapi"] == pytest.approx(2 * c.webapi_base)
    assert parts["matchmaker"] == pytest.approx(2 * c.matchmaker_base + 6 * c.matchmaker_game)
    assert parts["Redis"] == pytest.approx(c.redis_base + 6 * c.redis_game)
    assert parts["game servers"] == 0


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
