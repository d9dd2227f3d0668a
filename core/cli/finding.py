"""A finding of `muster doctor`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

Verdict = Literal["good", "note", "bad"]

SKEW_MS: Final = 1000  # waits and deadlines compare hosts' clocks


@dataclass(frozen=True, slots=True)
class Finding:
    """What was looked at, what was found, and what to do about it ("" where it is good)."""

    what: str
    verdict: Verdict
    found: str
    do: str = ""
