"""Settings come from the environment, once, and a bad value names its variable."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from core.errors import Misconfigured
from core.settings import Common, from_env, setting


@dataclass(frozen=True, slots=True)
class Sample:
    """One setting of each kind."""

    text: str = setting("SAMPLE_TEXT", "a")
    number: int = setting("SAMPLE_NUMBER", 1)
    seconds: float = setting("SAMPLE_SECONDS", 0.5)
    switch: bool = setting("SAMPLE_SWITCH", False)


def test_defaults() -> None:
    """What is not set, or set to nothing, has its default."""
    assert from_env(Sample, {"SAMPLE_NUMBER": ""}) == Sample("a", 1, 0.5, False)


@pytest.mark.parametrize(
    ("text", "value"), [("true", True), ("1", True), ("TRUE", True), ("false", False), ("0", False)]
)
def test_values(text: str, value: bool) -> None:
    """Values are read as the type of their default."""
    env = {"SAMPLE_TEXT": "b", "SAMPLE_NUMBER": "2", "SAMPLE_SECONDS": "2", "SAMPLE_SWITCH": text}
    assert from_env(Sample, env) == Sample("b", 2, 2.0, value)


@pytest.mark.parametrize(
    ("variable", "text"), [("SAMPLE_NUMBER", "two"), ("SAMPLE_SECONDS", "soon"), ("SAMPLE_SWITCH", "yes")]
)
def test_bad_values(variable: str, text: str) -> None:
    """A value that is not of its type names the variable and says what it was."""
    with pytest.raises(Misconfigured, match=variable) as caught:
        from_env(Sample, {variable: text})
    assert text in caught.value.detail


def test_secret() -> None:
    """A short secret is refused, a missing one where it is needed, and none is ever shown."""
    with pytest.raises(Misconfigured, match="MUSTER_SECRET"):
        from_env(Common, {"MUSTER_SECRET": "short"})
    with pytest.raises(Misconfigured, match="MUSTER_SECRET"):
        Common().require_secret()
    secret = "s" * 32
    common = from_env(Common, {"MUSTER_SECRET": secret})
    assert common.require_secret() == secret
    assert secret not in repr(common)
