"""Settings of the arena: defaults hold, JSON overrides them, and mistakes are named."""

from __future__ import annotations

import json
import math

import pytest

from core.errors import Invalid
from gamepod.arena import ArenaSettings


def test_defaults_are_valid() -> None:
    """The defaults pass their own bounds."""
    assert ArenaSettings().tick_rate_hz == 60


def test_a_json_document_overrides_defaults() -> None:
    """What the document names is taken; what it leaves out keeps its default."""
    document = json.loads('{"score_limit": 5, "shot_range_m": 30, "walls": [[20, 20, 30, 30]]}')
    settings = ArenaSettings.from_dict(document)
    assert (settings.score_limit, settings.shot_range_m) == (5, 30)
    assert settings.walls == ((20, 20, 30, 30),)
    assert settings.max_mana == ArenaSettings().max_mana


@pytest.mark.parametrize(
    ("document", "pointer"),
    [
        ({"scor_limit": 5}, "/scor_limit"),
        ({"score_limit": "5"}, "/score_limit"),
        ({"score_limit": 2.5}, "/score_limit"),
        ({"score_limit": True}, "/score_limit"),
        ({"score_limit": -1}, "/score_limit"),
        ({"tick_rate_hz": 0}, "/tick_rate_hz"),
        ({"max_speed_mps": math.nan}, "/max_speed_mps"),
        ({"max_speed_mps": math.inf}, "/max_speed_mps"),
        ({"max_speed_mps": None}, "/max_speed_mps"),
        ({"friendly_fire": 1}, "/friendly_fire"),
        ({"capacity": 200, "max_roster": 100}, "/max_roster"),
        ({"walls": 3}, "/walls"),
        ({"walls": [[1, 2, 3]]}, "/walls/0"),
        ({"walls": [[20, 20, 30, "30"]]}, "/walls/0"),
        ({"walls": [[30, 20, 20, 30]]}, "/walls/0"),
        ({"walls": [[0, 20, 20, 30]]}, "/walls/0"),
        ({"walls": [[20, math.nan, 30, 30]]}, "/walls/0"),
        ({"walls": [[20, 20, 30, 30]] * 65}, "/walls"),
    ],
)
def test_a_bad_setting_is_refused_by_name(document: dict[str, object], pointer: str) -> None:
    """An unknown key, a wrong type or a value out of bounds is refused, and the error points at it."""
    with pytest.raises(Invalid) as caught:
        ArenaSettings.from_dict(document)
    assert caught.value.pointer == pointer
