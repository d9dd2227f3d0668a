"""A finding of `muster doctor`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Verdict = Literal["good", "note", "bad"]


@dataclass(frozen=True, slots=True)
class Finding:
    """What was looked at, what was found, and what to do about it ("" where it is good)."""

    what: str
    verdict: Verdict
    found: str
    do: str = ""
