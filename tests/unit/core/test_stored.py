"""Documents of a newer release are read; documents that are wrong are not."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from core.model import Game, GameSpec, Port, Server, Team, TicketPlayer
from core.stored import Stored

GAME = Game("tanks", "dev", 1, 5, 6, GameSpec(Server(arena={"width": 9}), teams=[Team("red", 1, 2)]))


def _tree() -> Any:
    return msgspec.to_builtins(GAME)


def test_fields_of_a_newer_release_are_passed_over_at_every_depth() -> None:
    """A matchmaker of the last release reads the registration that the new webapi wrote."""
    tree = _tree()
    tree["season"] = 3
    tree["spec"]["weather"] = True
    tree["spec"]["server"]["gpu"] = {"count": 1}
    tree["spec"]["teams"][0]["colour"] = "#f00"
    tree["spec"]["timers"]["sulk_s"] = 4
    assert Stored(Game).decode(msgspec.json.encode(tree)) == GAME


def test_free_form_parts_are_kept_whole() -> None:
    """Arena settings, rule sets and attributes have names that no type knows."""
    game = msgspec.structs.replace(
        GAME, spec=GameSpec(Server(image="a/b:1", ports=[Port()]), rules={"name": {"x": [1]}})
    )
    tree = msgspec.to_builtins(game) | {"later": 1}
    assert Stored(Game).decode(msgspec.json.encode(tree)).spec.rules == {"name": {"x": [1]}}


def test_lists_of_documents() -> None:
    """A ticket's players are a list."""
    text = b'[{"id": "a", "attributes": {"skill": 4, "modes": ["x"], "maps": {"y": 2}}, "mood": "good"}]'
    player = TicketPlayer("a", attributes={"skill": 4.0, "modes": ["x"], "maps": {"y": 2.0}})
    assert Stored(list[TicketPlayer]).decode(text) == [player]


@pytest.mark.parametrize("wrong", [b"", b"[]", b"{", b'{"id": 4}'])
def test_what_is_wrong_is_still_refused(wrong: bytes) -> None:
    """Passing over unknown fields excuses nothing else."""
    with pytest.raises(msgspec.DecodeError):
        Stored(Game).decode(wrong)


def test_a_known_field_with_a_wrong_value_is_refused() -> None:
    """Also beside an unknown one."""
    tree = _tree()
    tree["later"] = 1
    tree["version"] = "one"
    with pytest.raises(msgspec.ValidationError, match="version"):
        Stored(Game).decode(msgspec.json.encode(tree))


def test_a_document_that_is_changed_keeps_what_a_newer_release_wrote() -> None:
    """At every depth, and in lists by id: what was taken out goes, what is new comes, what is changed is changed."""
    before = {
        "id": "m-1", "weather": "rain", "team": {"name": "red", "colour": "#f00"},
        "players": [{"id": "a", "name": "ann", "skin": 7}, {"id": "b", "name": "bob", "skin": 8}], "mood": {"a": 1},
    }  # fmt: skip
    stored = Stored(_Meeting)
    text = msgspec.json.encode(before)
    found = stored.decode(text)
    changed = msgspec.structs.replace(
        found, team=_Named("red", "rot"), players=[_Seat("c", "cem"), _Seat("a", "Anna")], mood={}
    )
    assert msgspec.json.decode(stored.encode(changed, text)) == {
        "id": "m-1", "weather": "rain", "team": {"name": "red", "said": "rot", "colour": "#f00"},
        "players": [{"id": "c", "name": "cem"}, {"id": "a", "name": "Anna", "skin": 7}], "mood": {},
    }  # fmt: skip
    assert stored.decode(stored.encode(changed, text)) == changed


class _Named(msgspec.Struct, forbid_unknown_fields=True):
    name: str
    said: str = ""


class _Seat(msgspec.Struct, forbid_unknown_fields=True):
    id: str
    name: str


class _Meeting(msgspec.Struct):
    id: str
    team: _Named | None
    players: list[_Seat]
    mood: dict[str, int]
