"""Metrics in the Prometheus text format, version 0.0.4, written by hand.

The client library costs a game server 2.5 MB and 30 ms, once per match; a few gauges and counters need neither.
Values are asked for when somebody scrapes, so keeping them costs nothing in between.
"""

from __future__ import annotations

import resource
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from typing import Final, Literal, NamedTuple

from core.errors import Misconfigured
from gamepod.transport.http import HttpServer, serve_http
from gamepod.transport.http_types import Handler, Request, Response, plain

CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"
Kind = Literal["counter", "gauge", "histogram"]


class Metric(NamedTuple):
    """One family: its samples are (what follows the name, value): "", `{label="value"}` or `_bucket{le="1"}`."""

    name: str
    kind: Kind
    help: str
    samples: list[tuple[str, float]]


def one(name: str, kind: Kind, text: str, value: float) -> Metric:
    """A family of one sample without labels."""
    return Metric(name, kind, text, [("", value)])


def labelled(name: str, kind: Kind, text: str, label: str, values: dict[str, int]) -> Metric:
    """A family with a sample for each value of one label."""
    return Metric(name, kind, text, [(f'{{{label}="{_escape(key)}"}}', value) for key, value in values.items()])


def histogram(name: str, text: str, bounds: Sequence[float], counts: Sequence[int], total: float) -> Metric:
    """A histogram: `counts` has one entry a bound and one for what is beyond; `total` is the sum of the values."""
    samples, below = [], 0
    for bound, count in zip([*map(str, bounds), "+Inf"], counts, strict=True):
        below += count
        samples.append((f'_bucket{{le="{bound}"}}', float(below)))
    return Metric(name, "histogram", text, [*samples, ("_sum", total), ("_count", float(below))])


def _escape(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


def render(metrics: Iterable[Metric]) -> bytes:
    """The exposition of these families."""
    lines: list[str] = []
    for metric in metrics:
        lines += (f"# HELP {metric.name} {metric.help}", f"# TYPE {metric.name} {metric.kind}")
        lines += (f"{metric.name}{rest} {value}" for rest, value in metric.samples)
    return ("\n".join(lines) + "\n").encode()


def process_metrics() -> list[Metric]:
    """What the process itself uses, under the names that the client libraries use too."""
    usage = resource.getrusage(resource.RUSAGE_SELF)
    # Kilobytes on Linux, bytes on macOS.
    peak = usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024)
    return [
        one("process_cpu_seconds_total", "counter", "CPU time used, in seconds.", usage.ru_utime + usage.ru_stime),
        one("process_resident_memory_max_bytes", "gauge", "Most memory resident since the start.", peak),
        one("muster_gamepod_uptime_seconds", "gauge", "Since this server started.", time.monotonic() - _STARTED_S),
    ]


_STARTED_S: Final = time.monotonic()


class MetricsPage:
    """Handler of the metrics port: `/metrics`, and `/healthz` while the event loop turns."""

    def __init__(self, collect: Callable[[], Iterable[Metric]]) -> None:
        self._collect = collect

    async def __call__(self, request: Request) -> Response:
        if request.method not in ("GET", "HEAD"):
            return plain(405, "only GET")
        if request.path == "/metrics":
            return Response(200, render([*process_metrics(), *self._collect()]), CONTENT_TYPE)
        return plain(200, "ok") if request.path == "/healthz" else plain(404, "there is /metrics, and /healthz")


async def expose(page: Handler, host: str, port: int) -> HttpServer:
    """Serve the page. Raises Misconfigured where the port cannot be opened."""
    try:
        return await serve_http(page, host, port)
    except OSError as error:
        detail = f"port {port} on {host} cannot be opened: {error}"
        raise Misconfigured(detail, setting="MUSTER_METRICS_PORT") from None
