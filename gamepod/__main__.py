"""`python -m gamepod`: the server of one match, with the environment of `docs/architecture.md`.

`python -m gamepod local` is its sidecar alone (`gamepod.local`); `python -m gamepod worker` executes delayed commands
(`gamepod.worker`).
"""

from __future__ import annotations

import gc
import sys

from gamepod.slim import leave_out


def main() -> int:
    """Run the server; returns the exit code."""
    if sys.argv[1:] == ["worker"]:
        from gamepod.worker.app import run as run_worker

        return run_worker()
    gc.disable()  # until all is loaded: it would look at all of it again and again, 5 ms, and find next to nothing
    leave_out()
    if sys.argv[1:] == ["local"]:
        from gamepod.local import run as run_local

        gc.enable()
        return run_local()
    from gamepod.app import run

    return run()


if __name__ == "__main__":
    sys.exit(main())
