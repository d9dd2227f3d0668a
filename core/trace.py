"""Trace ids: one thread through all that happens for a ticket, from its request to the end of its server. PURE.

A trace id has the form of W3C Trace Context (and so of OpenTelemetry): 32 lower-case hexadecimal digits, not all zero.
An id of Muster is a ULID of as many bits, so a ticket's trace id is its id in another notation, which costs nothing to
keep; only where the client brought one (`traceparent`) is that stored with the ticket. A match has the trace of its
first ticket, and its first log line names those of the others.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable
from typing import Final

from core.ids import number_of

HEADER: Final = "traceparent"
ENVIRONMENT: Final = "TRACEPARENT"  # as OpenTelemetry's SDKs read it
_PARENT: Final = re.compile(r"(?!ff)[0-9a-f]{2}-([0-9a-f]{32})-([0-9a-f]{16})-[0-9a-f]{2}(-.*)?")
_NONE: Final = ("0" * 32, "0" * 16)


def of_id(id_: str) -> str:
    """The trace id of a ticket, or server, that was given none: its id's 128 bits, or a digest of another's name."""
    return f"{_bits(id_):032x}"


def given(header: str | None) -> str:
    """The trace id in a `traceparent` header; '' where there is none, or one that is not well-formed, as W3C has it."""
    found = _PARENT.fullmatch(header) if header is not None and len(header) <= 512 else None
    if found is None or found[1] == _NONE[0] or found[2] == _NONE[1]:
        return ""
    if found[3] is not None and header is not None and header.startswith("00"):
        return ""  # version 00 ends with its flags
    return found[1]


def of(id_: str, kept: str = "") -> str:
    """The trace id of a ticket or match; `kept` is what is stored with it, '' for none."""
    return kept or of_id(id_)


def parent(trace: str, id_: str) -> str:
    """The `traceparent` by which a game's own spans become children of the match `id_`; sampled."""
    return f"00-{trace}-{_bits(id_) & (1 << 64) - 1 or 1:016x}-01"


def others(trace: str, traces: Iterable[str]) -> list[str]:
    """The traces beside `trace`, each once, in order: W3C's links."""
    return [one for one in dict.fromkeys(traces) if one != trace]


def _bits(id_: str) -> int:
    try:
        return number_of(id_) & (1 << 128) - 1 or 1
    except ValueError:
        return int.from_bytes(hashlib.blake2b(id_.encode(), digest_size=16).digest())
