"""What a load test found: a table for people, JSON for scripts, one page with its plots inside."""

from __future__ import annotations

import csv
import html
import io
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from matplotlib.figure import Figure

from bench.harness import percentile
from bench.loadtest.bots import Crowd
from bench.loadtest.samples import Sampler

FAILURES_SHOWN: Final = 20
STYLE: Final = (
    "body{font:15px system-ui,sans-serif;max-width:70em;margin:2em auto;padding:0 1em;color:#222}"
    "table{border-collapse:collapse;margin:1em 0}td,th{padding:.3em .8em;border-bottom:1px solid #ddd;text-align:right}"
    "td:first-child,th:first-child{text-align:left}.bad{color:#b00020}svg{max-width:100%;height:auto}"
)


@dataclass(frozen=True)
class Calls:
    """Answers to one kind of request, or to all. Times are ms."""

    name: str
    requests: int
    failures: int
    per_s: float
    p50: float
    p95: float
    p99: float


@dataclass(frozen=True)
class Second:
    """One line of locust's history of all requests."""

    at_s: float
    users: int
    per_s: float
    failures_per_s: float
    p50: float
    p99: float


@dataclass(frozen=True)
class Api:
    """What locust wrote: each kind of request, all together last; its history; its failures."""

    calls: list[Calls]
    history: list[Second]
    failures: list[str]

    @classmethod
    def read(cls, prefix: Path) -> Api:
        """From locust's CSV files at `prefix`. Raises OSError, KeyError where locust wrote none."""
        calls = [
            Calls(
                row["Name"],
                int(row["Request Count"]),
                int(row["Failure Count"]),
                float(row["Requests/s"]),
                *(_number(row[column]) for column in ("50%", "95%", "99%")),
            )
            for row in _rows(prefix, "stats")
        ]
        seconds = [row for row in _rows(prefix, "stats_history") if row["Name"] == "Aggregated"]
        begun = int(seconds[0]["Timestamp"]) if seconds else 0
        history = [
            Second(
                int(row["Timestamp"]) - begun,
                int(row["User Count"]),
                float(row["Requests/s"]),
                float(row["Failures/s"]),
                _number(row["50%"]),
                _number(row["99%"]),
            )
            for row in seconds
        ]
        failures = [f"{row['Occurrences']} x {row['Name']}: {row['Error']}" for row in _rows(prefix, "failures")]
        return cls(calls, history, failures)


@dataclass(frozen=True)
class Found:
    """All that a load test saw. `problems` are what makes it fail."""

    title: str
    api: Api
    crowd: Crowd
    sampler: Sampler

    @property
    def problems(self) -> list[str]:
        """In words; empty where all went well."""
        found = [*self.api.failures, *self.crowd.failures]
        if self.crowd.bots and not self.crowd.played:
            found.append("no bot played a match to its end")
        if not self.api.history:
            found.append("locust wrote no history")
        return found

    def figures(self) -> dict[str, Any]:
        """The figures that are compared from one run to the next."""
        tales = self.crowd.played
        all_calls = self.api.calls[-1] if self.api.calls else Calls("Aggregated", 0, 0, 0, 0, 0, 0)
        samples = self.sampler.samples
        parts = sorted({part for sample in samples for part in sample.cores})
        return {
            "requests": all_calls.requests,
            "requests_per_s": round(all_calls.per_s, 1),
            "api_p50_ms": all_calls.p50,
            "api_p99_ms": all_calls.p99,
            "api_failures": all_calls.failures,
            "told_to_wait": sum(call.requests for call in self.api.calls if call.name == "told to wait"),
            "matches_played": len({tale.match for tale in tales}),
            "bots_in_them": len(tales),
            "bot_failures": len(self.crowd.failures),
            "queued_to_address_p50_ms": _ms([tale.held_s - tale.posted_s for tale in tales], 0.5),
            "address_to_playing_p50_ms": _ms([tale.playing_s - tale.held_s for tale in tales], 0.5),
            "address_to_playing_p99_ms": _ms([tale.playing_s - tale.held_s for tale in tales], 0.99),
            "inputs_accepted": sum(tale.accepted for tale in tales),
            "cores_mean": {p: round(_mean(s.cores.get(p, 0.0) for s in samples), 3) for p in parts},
            "rss_mb_most": {p: round(max(s.rss_mb.get(p, 0.0) for s in samples), 1) for p in parts},
        }

    def text(self) -> str:
        """The table for people."""
        lines = [self.title, ""]
        lines += [f"{'request':<52}{'count':>8}{'failed':>8}{'per s':>9}{'p50 ms':>9}{'p99 ms':>9}"]
        lines += [
            f"{call.name[:51]:<52}{call.requests:>8}{call.failures:>8}{call.per_s:>9.1f}{call.p50:>9.0f}{call.p99:>9.0f}"
            for call in self.api.calls
        ]
        lines.append("")
        for name, value in self.figures().items():
            shown = ", ".join(f"{k} {v}" for k, v in value.items()) if isinstance(value, Mapping) else value
            lines.append(f"{name.replace('_', ' '):<28}{shown}")
        lines += ["", *(f"PROBLEM: {problem}" for problem in self.problems[:FAILURES_SHOWN])]
        return "\n".join(lines)

    def page(self) -> str:
        """One HTML page, its plots inside."""
        e = html.escape
        calls = "".join(
            f"<tr><td>{e(c.name)}</td><td>{c.requests}</td><td{' class=bad' if c.failures else ''}>{c.failures}</td>"
            f"<td>{c.per_s:.1f}</td><td>{c.p50:.0f}</td><td>{c.p95:.0f}</td><td>{c.p99:.0f}</td></tr>"
            for c in self.api.calls
        )
        figures = "".join(
            f"<tr><td>{e(name.replace('_', ' '))}</td><td>{e(str(value).strip('{}'))}</td></tr>"
            for name, value in self.figures().items()
        )
        problems = "".join(f"<li class=bad>{e(problem)}</li>" for problem in self.problems[:FAILURES_SHOWN])
        return (
            f"<!doctype html><html lang=en><meta charset=utf-8><title>{e(self.title)}</title><style>{STYLE}</style>"
            f"<h1>{e(self.title)}</h1>{f'<ul>{problems}</ul>' if problems else '<p>Nothing failed.</p>'}{self._plots()}"
            f"<h2>Figures</h2><table>{figures}</table><h2>Requests</h2><table><tr><th>request<th>count<th>failed"
            f"<th>per s<th>p50 ms<th>p95 ms<th>p99 ms</tr>{calls}</table></html>\n"
        )

    def _plots(self) -> str:
        history, samples = self.api.history, self.sampler.samples
        at, sampled = [second.at_s for second in history], [sample.at_s for sample in samples]
        parts = sorted({part for sample in samples for part in sample.cores})
        tales = sorted(self.crowd.played, key=lambda tale: tale.posted_s)
        begun = tales[0].posted_s if tales else 0.0
        played = [tale.posted_s - begun for tale in tales]
        figure = Figure(figsize=(12, 11), layout="constrained")
        axes = figure.subplots(3, 2)
        _draw(axes[0][0], "API: requests a second", at, {
            "answered": [s.per_s for s in history], "failed": [s.failures_per_s for s in history],
            "users": [s.users for s in history],
        })  # fmt: skip
        _draw(axes[0][1], "API: answered within, ms", at, {
            "p50": [s.p50 for s in history], "p99": [s.p99 for s in history],
        })  # fmt: skip
        _draw(axes[1][0], "Matches that live, tickets that wait", sampled, {
            "matches": [s.matches for s in samples], "waiting": [s.waiting for s in samples],
        })  # fmt: skip
        _draw(axes[1][1], "Bots: seconds until they have the address, and until they play", played, {
            "queued to address": [t.held_s - t.posted_s for t in tales],
            "address to first snapshot": [t.playing_s - t.held_s for t in tales],
        }, dots=True)  # fmt: skip
        _draw(axes[2][0], "Cores used", sampled, {p: [s.cores.get(p, 0.0) for s in samples] for p in parts})
        _draw(axes[2][1], "Memory, MB", sampled, {p: [s.rss_mb.get(p, 0.0) for s in samples] for p in parts})
        picture = io.StringIO()
        figure.savefig(picture, format="svg")
        return picture.getvalue().partition("<svg")[2].join(("<svg", ""))


def _draw(
    axes: Any, title: str, at: Sequence[float], lines: Mapping[str, Sequence[float]], *, dots: bool = False
) -> None:
    for name, values in lines.items():
        axes.plot(at, values, "." if dots else "-", markersize=3, linewidth=1.4, label=name)
    axes.set(title=title, xlabel="s", ylim=(0, None))
    axes.grid(alpha=0.25)
    axes.spines[["top", "right"]].set_visible(False)
    if lines:
        axes.legend(frameon=False, fontsize="small")


def _rows(prefix: Path, kind: str) -> list[dict[str, str]]:
    with prefix.with_name(f"{prefix.name}_{kind}.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def _number(text: str) -> float:
    return 0.0 if text in ("", "N/A") else float(text)


def _mean(values: Iterable[float]) -> float:
    found = list(values)
    return sum(found) / len(found) if found else 0.0


def _ms(seconds: Sequence[float], share: float) -> float:
    return round(percentile(seconds, share) * 1000, 1) if seconds else 0.0
