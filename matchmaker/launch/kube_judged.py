"""What a call to the API server tells the brake that let it through."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from contextlib import contextmanager

from matchmaker.launch.brake import Brake
from matchmaker.launch.kube_errors import KubeAway, KubeRefused, as_launch_error, asked_s, is_passing


def is_done(error: KubeRefused | KubeAway) -> bool:
    """Whether there is nothing left to delete: the pod is gone, or another has its name by now."""
    return isinstance(error, KubeRefused) and error.status in (404, 409)


@contextmanager
def judged(brake: Brake) -> Iterator[None]:
    """Tell the brake how a call went that it let through."""
    try:
        yield
    except (KubeRefused, KubeAway) as error:
        if is_passing(error) and not is_done(error):
            brake.failed(time.monotonic(), asked_s(error), as_launch_error(error).detail)
        else:
            brake.passed()
        raise
    except asyncio.CancelledError:
        brake.dropped()
        raise
    except Exception:
        brake.passed()
        raise
    else:
        brake.passed()
