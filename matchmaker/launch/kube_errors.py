"""Answers of the API server other than yes, and what they mean for a start. PURE."""

from __future__ import annotations

from matchmaker.launch.base import LaunchRefused, LaunchRetryable

FORBIDDEN, NOT_FOUND = 403, 404


class KubeRefused(Exception):
    """The API server answered no. `reason` is its one word for it, `retry_after_s` when it asks to come back."""

    def __init__(self, status: int, reason: str, message: str, retry_after_s: float = 0.0) -> None:
        super().__init__(f"{status} {reason}: {message}")
        self.status, self.reason, self.message, self.retry_after_s = status, reason, message, retry_after_s


class KubeAway(Exception):
    """No answer came. Whether a write happened is not known."""


def as_launch_error(error: KubeRefused | KubeAway) -> LaunchRefused | LaunchRetryable:
    """Refused for what asking again does not change, retryable for the rest; both with the API server's own words."""
    if isinstance(error, KubeAway):
        return LaunchRetryable(str(error))
    if error.status == FORBIDDEN:
        if "exceeded quota" in error.message:  # frees itself as servers end
            return LaunchRetryable(f"the namespace has no room: {error.message}")
        if "cannot" in error.message and " resource " in error.message:
            return LaunchRefused(f"the matchmaker lacks a right in the cluster: {error.message}")
        return LaunchRefused(f"the cluster does not admit the pod: {error.message}")
    if error.status in (400, 422):
        return LaunchRefused(f"the cluster refuses the pod: {error.message}")
    if error.status == NOT_FOUND:
        return LaunchRefused(f"the namespace of the pods is missing: {error.message}")
    # 401 (a token on its way to being renewed), 409 of a quota, 429, 5xx: passing.
    return LaunchRetryable(f"the API server answered {error}")


def is_passing(error: KubeRefused | KubeAway) -> bool:
    """Whether the same call may well pass a little later."""
    return isinstance(as_launch_error(error), LaunchRetryable)


def asked_s(error: KubeRefused | KubeAway) -> float:
    """How long the API server asked to be left alone."""
    return error.retry_after_s if isinstance(error, KubeRefused) else 0.0
