"""Variables that look like Muster's and are none: most often a misspelt setting, which would be ignored in silence.

A service is given those of others too, for a whole stack is often set at one place; so all of Muster's are known
(`core.setting_names`). Apart from `core.settings` because game servers read settings too, and cannot afford a logger.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from typing import Final

from core.log import get
from core.setting_names import NAMES

log = get("settings")

PREFIX: Final = "MUSTER_"
ELSEWHERE: Final = ("MUSTER_BENCH_", "MUSTER_TEST_", "MUSTER_EXAMPLES")  # read by benches and tests
TOLD: Final = 20  # of one process, at most


def misspelt(env: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """Each such variable with the setting that is closest to it, or ''; by name, `TOLD` at most."""
    found = (name for name in sorted(env) if name.startswith(PREFIX) and name not in NAMES)
    for name, _ in zip((name for name in found if not name.startswith(ELSEWHERE)), range(TOLD), strict=False):
        yield name, next(iter(get_close_matches(name, NAMES, 1)), "")


def warn_of_misspelt(env: Mapping[str, str]) -> None:
    """Log a warning for each: it does nothing, and whoever set it should hear so."""
    for name, meant in misspelt(env):
        log.warning("no such setting", variable=name, **({"meant": meant} if meant else {}))
