"""What a load test's report makes of what was seen: failures are problems, figures add up, names are escaped."""

from __future__ import annotations

from pathlib import Path

from bench.loadtest.bots import Crowd
from bench.loadtest.report import Api, Found
from bench.loadtest.samples import Sample, Sampler
from core.cli.bot import Tale

STATS = (
    "Type,Name,Request Count,Failure Count,Requests/s,50%,95%,99%\n"
    "GET,GET /v1/me,9,1,1.5,4,9,12\n,told to wait,2,0,0.1,0,0,0\n,Aggregated,11,1,1.6,4,9,12\n"
)
HISTORY = (
    "Timestamp,User Count,Name,Requests/s,Failures/s,50%,99%\n"
    "100,1,Aggregated,0.5,0,N/A,N/A\n100,1,GET /v1/me,0.5,0,3,9\n102,2,Aggregated,1.6,0.1,4,12\n"
)
FAILURES = "Method,Name,Error,Occurrences\nGET,GET /v1/me,<b>500</b>,1\n"


def _api(folder: Path, failures: str) -> Api:
    for name, text in (("stats", STATS), ("stats_history", HISTORY), ("failures", failures)):
        (folder / f"run_{name}.csv").write_text(text)
    return Api.read(folder / "run")


def _crowd(*tales: Tale) -> Crowd:
    return Crowd("http://there", len(tales), tales=list(tales))


def _played(name: str, match: str) -> Tale:
    return Tale(name, "udp", match=match, posted_s=1.0, held_s=1.5, playing_s=1.51, accepted=40, over=True)


def test_a_good_run(tmp_path: Path) -> None:
    """Nothing failed: no problem, and the figures of locust, bots and samples are side by side."""
    sampler = Sampler("http://there", samples=[Sample(1, {"redis": 0.5}, {"redis": 9}, 1, 2), Sample(2, {}, {}, 0, 0)])
    found = Found(
        "Run", _api(tmp_path, FAILURES.partition("\n")[0]), _crowd(_played("a", "m-1"), _played("b", "m-1")), sampler
    )
    figures = found.figures()
    assert found.problems == []
    assert [second.at_s for second in found.api.history] == [0, 2]
    assert (figures["requests"], figures["told_to_wait"], figures["api_p99_ms"]) == (11, 2, 12)
    assert (figures["matches_played"], figures["bots_in_them"], figures["inputs_accepted"]) == (1, 2, 80)
    assert (figures["queued_to_address_p50_ms"], figures["address_to_playing_p99_ms"]) == (500, 10)
    assert (figures["cores_mean"], figures["rss_mb_most"]) == ({"redis": 0.25}, {"redis": 9})
    assert "Nothing failed" in found.page()


def test_what_failed_is_a_problem(tmp_path: Path) -> None:
    """A request that failed, a bot that failed, and nobody who played: each is said, and what it says is escaped."""
    found = Found("Run", _api(tmp_path, FAILURES), _crowd(Tale("c", "ws", failure="lost")), Sampler("http://there"))
    assert found.problems == [
        "1 x GET /v1/me: <b>500</b>", "c over ws: lost", "no bot played a match to its end",
    ]  # fmt: skip
    assert "PROBLEM: c over ws: lost" in found.text()
    assert "<b>500</b>" not in found.page()
    assert "&lt;b&gt;500&lt;/b&gt;" in found.page()
