"""What a demo run came to: the figures, whether they add up, and how they are shown. No I/O here."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from core.cli.bot import Tale
from core.cli.table import table


class BoardLine(msgspec.Struct, frozen=True):
    """A line of a leaderboard."""

    rank: int
    name: str
    score: float


class Report(msgspec.Struct, frozen=True):
    """A demo run in figures. Times in milliseconds."""

    players: int
    wires: dict[str, int]
    tickets: int
    matches: int
    matches_ended: int
    first_snapshot_p50_ms: float
    first_snapshot_p99_ms: float
    snapshots: int
    interactions_accepted: int
    interactions_logged: int
    activity: list[BoardLine]
    score: list[BoardLine]
    servers_listed: int
    servers_running: int
    seconds: float
    problems: list[str]


def percentile(values: Sequence[float], share: float) -> float:
    """The value below which `share` (0-1) of the values lie, by nearest rank; 0 of none."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else 0.0


def make_report(
    tales: Sequence[Tale],
    *,
    per_match: int,
    states: Mapping[str, str],
    logged: Mapping[str, int],
    boards: Mapping[str, list[BoardLine]],
    servers_listed: int,
    servers_running: int,
    seconds: float,
) -> Report:
    """Put together what the bots saw, `states` of matches by the API, and interactions `logged` in Redis by player."""
    waits = [(tale.playing_s - tale.posted_s) * 1000 for tale in tales if tale.playing_s]
    report = Report(
        players=len(tales),
        wires=dict(sorted(Counter(tale.wire for tale in tales).items())),
        tickets=sum(1 for tale in tales if tale.posted_s),
        matches=len(states),
        matches_ended=sum(1 for state in states.values() if state == "ENDED"),
        first_snapshot_p50_ms=round(percentile(waits, 0.50), 1),
        first_snapshot_p99_ms=round(percentile(waits, 0.99), 1),
        snapshots=sum(tale.snapshots for tale in tales),
        interactions_accepted=sum(tale.accepted for tale in tales),
        interactions_logged=sum(logged.values()),
        activity=boards["activity"],
        score=boards["score"],
        servers_listed=servers_listed,
        servers_running=servers_running,
        seconds=round(seconds, 1),
        problems=[],
    )
    return msgspec.structs.replace(report, problems=_problems(report, tales, per_match, logged))


def _problems(report: Report, tales: Sequence[Tale], per_match: int, logged: Mapping[str, int]) -> list[str]:
    found = [f"{tale.name} ({tale.wire}): {tale.failure}" for tale in tales if tale.failure]
    expected = report.players // per_match
    if not report.matches == report.matches_ended == expected:
        found.append(
            f"{expected} matches were expected; there were {report.matches}, of which {report.matches_ended} ended"
        )
    for tale in tales:
        if tale.accepted != logged.get(tale.player, 0):
            found.append(
                f"{tale.name} ({tale.wire}): {tale.accepted} interactions were accepted, "
                f"{logged.get(tale.player, 0)} are in Redis"
            )
    if not report.interactions_accepted:
        found.append("no interaction was accepted at all")
    for count, what in ((report.servers_listed, "listed by the API"), (report.servers_running, "running as processes")):
        if count:
            found.append(f"{count} servers are still {what}")
    return found


def to_json(report: Report) -> str:
    """The report as one JSON object."""
    return msgspec.json.encode(report).decode()


def to_text(report: Report) -> str:
    """The report as tables for people."""
    by_wire = ", ".join(f"{count} {wire}" for wire, count in report.wires.items())
    rows: list[tuple[str, Any]] = [
        ("players", f"{report.players} ({by_wire})"),
        ("tickets", f"{report.tickets:,}"),
        ("matches", f"{report.matches} ({report.matches_ended} ended)"),
        ("ticket posted -> first snapshot, p50", f"{report.first_snapshot_p50_ms:,.0f} ms"),
        ("ticket posted -> first snapshot, p99", f"{report.first_snapshot_p99_ms:,.0f} ms"),
        ("snapshots received", f"{report.snapshots:,}"),
        ("interactions accepted", f"{report.interactions_accepted:,}"),
        ("interactions found in Redis", f"{report.interactions_logged:,}"),
        ("servers still running", f"{max(report.servers_listed, report.servers_running)}"),
        ("took", f"{report.seconds:.1f} s"),
    ]
    parts = [table(rows)]
    boards = (("Most active", "interactions", report.activity), ("Best scores", "score", report.score))
    for title, unit, lines in boards:
        if lines:
            shown = [(line.rank, line.name, int(line.score)) for line in lines]
            parts.append(f"{title}\n" + table(shown, head=("rank", "player", unit)))
    if report.problems:
        parts.append("What went wrong\n" + "\n".join(f"- {problem}" for problem in report.problems))
    return "\n\n".join(parts)
