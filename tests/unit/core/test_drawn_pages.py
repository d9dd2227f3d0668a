"""Pages that are drawn from code are those that the code draws now, and leave nothing unsaid."""

from __future__ import annotations

import dataclasses

from tools import draw_lifecycles, draw_scale, draw_settings


def test_lifecycle_page_is_fresh() -> None:
    """docs/lifecycle.md is what `make docs` writes now."""
    assert draw_lifecycles.PAGE.read_text() == draw_lifecycles.page()


def test_settings_page_is_fresh() -> None:
    """docs/settings.md is what `make docs` writes now."""
    assert draw_settings.PAGE.read_text() == draw_settings.page()


def test_scale_page_is_fresh() -> None:
    """The tables of docs/scale.md are what `make docs` writes now."""
    page = draw_scale.PAGE.read_text()
    assert page == draw_scale.drawn(page)


def test_arena_page_is_fresh() -> None:
    """docs/arena.md is what `make docs` writes now."""
    assert draw_settings.ARENA_PAGE.read_text() == draw_settings.arena_page()


def test_names_of_settings_are_fresh() -> None:
    """core/setting_names.py is what `make docs` writes now."""
    assert draw_settings.NAMES.read_text() == draw_settings.names()


def test_every_setting_says_what_it_means() -> None:
    """Each field of each settings class has a comment beside it."""
    silent = [
        f"{cls.__module__}.{field.name}"
        for _, cls in draw_settings.SECTIONS
        for field in dataclasses.fields(cls)
        if not draw_settings.comments(cls).get(field.name)
    ]
    assert silent == []
