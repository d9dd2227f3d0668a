"""How much was asked of the API server: its own counters, read before and after.

`apiserver_request_total` counts requests that were answered, by verb and resource; WATCH counts when it ends.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from tests.cluster.api import Api

# As in the metric's label `verb`.
WRITES: Final = frozenset({"POST", "PUT", "PATCH", "APPLY", "DELETE", "DELETECOLLECTION"})
LINE: Final = re.compile(r"^apiserver_request_total\{(.*)\} (\S+)$", re.MULTILINE)
LABEL: Final = re.compile(r'(\w+)="([^"]*)"')


@dataclass(frozen=True, slots=True)
class Request:
    """One kind of request. A subresource is part of the resource's name here: `pods/status`."""

    verb: str
    resource: str
    code: int


class RequestCounts(Counter[Request]):
    """Requests by kind; the difference of two is what happened in between."""

    def since(self, before: RequestCounts) -> RequestCounts:
        """What was added after `before`."""
        return RequestCounts({kind: count - before[kind] for kind, count in self.items() if count > before[kind]})

    def writes(self, resources: Iterable[str] | None = None, *, without: Iterable[str] = ()) -> int:
        """Writing requests to these resources (all, if not given) but those `without`: `leases`, `events`."""
        wanted, unwanted = None if resources is None else set(resources), set(without)
        return sum(
            count
            for kind, count in self.items()
            if kind.verb in WRITES
            and (wanted is None or kind.resource in wanted)
            and kind.resource not in unwanted
            and kind.code != 0
        )


def request_counts(api: Api) -> RequestCounts:
    """The counters of now."""
    return parse(api.text("/metrics"))


def parse(text: str) -> RequestCounts:
    """The counters in the exposition format of Prometheus."""
    counts = RequestCounts()
    for labels, value in LINE.findall(text):
        label = dict(LABEL.findall(labels))
        subresource = f"/{label['subresource']}" if label.get("subresource") else ""
        kind = Request(label["verb"], label["resource"] + subresource, int(label["code"] or 0))
        counts[kind] += int(float(value))
    return counts
