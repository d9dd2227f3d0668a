"""What an answer of the API server means for a start. PURE."""

from __future__ import annotations

from matchmaker.launch.base import LaunchRefused, LaunchRetryable
from matchmaker.launch.kube_api import KubeAway, KubeRefused

FORBIDDEN, NOT_FOUND, CONFLICT = 403, 404, 409


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
