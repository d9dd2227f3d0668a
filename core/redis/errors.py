"""What Redis says, as Muster's errors. Shared by both clients, so that callers see one tree."""

from __future__ import annotations

from typing import Final

from core.errors import Fenced, MusterError, Unavailable

# Passing states of a healthy installation: a fail-over, a restart that loads its file, a full disk or memory.
_PASSING: Final = {
    "LOADING": "Redis is loading its data",
    "MISCONF": "Redis refuses writes because it cannot save to disk: free space where its append-only file lives",
    "OOM": "Redis refuses writes because its memory limit is reached",
    "READONLY": "the Redis reached is a replica",
    "MASTERDOWN": "Redis has lost its primary",
    "CLUSTERDOWN": "Redis Cluster is not complete",
    "TRYAGAIN": "Redis Cluster is moving these keys",
    "NOREPLICAS": "Redis has too few replicas to accept writes",
    "BUSY": "Redis is busy running a script",
}


class FunctionMissing(MusterError):
    """This Redis has not loaded our library (new, failed over, or flushed): load it and call again."""

    code = "function-missing"


def from_reply(text: str) -> MusterError:
    """The error for an error reply of Redis."""
    kind = text.split(" ", 1)[0]
    if kind in _PASSING:
        return Unavailable(f"{_PASSING[kind]} ({text[:200]})", code="storage-unavailable")
    if "FENCED" in text:
        return Fenced(text)
    if "Function not found" in text:
        return FunctionMissing(text)
    return MusterError(f"Redis refused a command: {text[:500]}", code="storage-error")


def unreachable(error: BaseException) -> Unavailable:
    """The error for a connection that failed or timed out."""
    return Unavailable(f"Redis cannot be reached: {str(error) or type(error).__name__}", code="storage-unavailable")
