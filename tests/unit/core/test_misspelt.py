"""A misspelt setting is told of, with the one that was meant; whatever is ours or nobody's is not."""

from __future__ import annotations

import pytest
from structlog.testing import capture_logs

from core.misspelt import TOLD, misspelt, warn_of_misspelt


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("MUSTER_OPEN_DEVELOPER", "MUSTER_OPEN_DEVELOPERS"),
        ("MUSTER_LEASES_S", "MUSTER_LEASE_S"),
        ("MUSTER_WEB_API_PORT", "MUSTER_WEBAPI_PORT"),
        ("MUSTER_QQQQQQQQ", ""),
    ],
)
def test_the_closest_setting_is_named(name: str, meant: str) -> None:
    """Whichever service it is of, and none where none is close."""
    assert [*misspelt({name: "1"})] == [(name, meant)]


def test_what_is_known_is_not_told_of() -> None:
    """Settings of every service, what benches and tests read, and what is not Muster's."""
    env = ("MUSTER_STREAMS", "MUSTER_LEASE_S", "MUSTER_FLUSH_S", "MUSTER_DATA_DIR", "MUSTER_BENCH_SEED", "X")
    assert [*misspelt(dict.fromkeys(env, ""))] == []


def test_warnings_are_bounded() -> None:
    """A warning a variable, and so many at most."""
    with capture_logs() as lines:
        warn_of_misspelt({f"MUSTER_ZZZ_{number:03}": "" for number in range(100)})
    assert [(line["log_level"], line["variable"]) for line in lines] == [
        ("warning", f"MUSTER_ZZZ_{number:03}") for number in range(TOLD)
    ]
