"""What an installation lets a server be."""

from __future__ import annotations

import pytest

from core.admission import Admission, check_server, prefixes
from core.errors import Invalid
from core.model import Resources, Server

GAMES = Admission(("registry.example/games", "other.example/"), cpu=2, memory_mib=512)


@pytest.mark.parametrize(
    "image",
    ["registry.example/games", "registry.example/games/a:1", "registry.example/games@sha256:0", "other.example/x"],
)
def test_images_that_are_allowed(image: str) -> None:
    """An image within one of the prefixes is."""
    check_server(Server(image=image), GAMES)


@pytest.mark.parametrize(
    "image", ["registry.example/games-evil", "evil/registry.example/games", "games", "other.example.evil/x"]
)
def test_images_that_are_not(image: str) -> None:
    """A prefix ends where a part of the name does; the answer names the prefixes."""
    with pytest.raises(Invalid, match=r"registry\.example/games or other\.example/") as refused:
        check_server(Server(image=image), GAMES)
    assert refused.value.pointer == "/server/image"


@pytest.mark.parametrize(
    ("wanted", "pointer"),
    [(Resources(cpu=2.5), "/server/resources/cpu"), (Resources(memory_mib=513), "/server/resources/memory_mib")],
)
def test_more_than_a_server_may_have(wanted: Resources, pointer: str) -> None:
    """Cores and memory are bounded."""
    with pytest.raises(Invalid) as refused:
        check_server(Server(arena={}, resources=wanted), GAMES)
    assert refused.value.pointer == pointer


def test_no_bounds() -> None:
    """By default every image is allowed."""
    check_server(Server(image="any/image"), Admission())
    assert prefixes(" a/, ,b/ ") == ("a/", "b/")
