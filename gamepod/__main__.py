"""`python -m gamepod`: the server of one match, with the environment of `docs/architecture.md`."""

from __future__ import annotations

import sys

from gamepod.slim import leave_out


def main() -> int:
    """Run the server; returns the exit code."""
    leave_out()
    from gamepod.app import run

    return run()


if __name__ == "__main__":
    sys.exit(main())
