"""The page's own logic, run where it runs: modules imported in the browser, no element touched."""

from __future__ import annotations

import pytest

from tests.browser.conftest import OpenTab

pytestmark = pytest.mark.slow


async def test_event_streams_are_read_however_they_are_cut(open_tab: OpenTab) -> None:
    """Events come out the same whether the text arrives whole or letter by letter; comments are skipped."""
    page = await open_tab()
    events = await page.evaluate("""async () => {
      const { EventParser } = await import("/assets/muster.js");
      const text = ': beat\\n\\nid: 7\\nevent: status\\ndata: {"a":\\ndata: 1}\\n\\ndata: 2\\r\\n\\r\\ndata: 3\\n';
      const whole = new EventParser().feed(text);
      const parser = new EventParser();
      return [whole, [...text].flatMap((letter) => parser.feed(letter))];
    }""")
    expected = [
        {"id": "7", "event": "status", "data": {"a": 1}},
        {"id": "7", "event": "message", "data": 2},
    ]
    assert events == [expected, expected]


async def test_a_tank_is_shown_between_its_snapshots(open_tab: OpenTab) -> None:
    """Halfway in time is halfway in place, angles turn the short way, and a tank that stood starts where it was."""
    page = await open_tab()
    shown = await page.evaluate("""async () => {
      const { ArenaState } = await import("/assets/arena/state.js");
      const state = new ArenaState();
      const world = {};
      state.welcome({ world, slot: 0, ack: 0, tick: 0, tick_rate: 100, played_ms: 0 }, 0);
      const at = (tick, x_cm, heading) =>
        state.snapshot({ tick, ack: 0, changed: [[0, x_cm, 0, heading, 0, 100]] }, tick * 10);
      at(1, 1000, 350);
      at(2, 1100, 10);
      const moving = state.tank(0, 15 + 70);
      at(100, 2000, 10);
      const standing = state.tank(0, 900 + 70);
      return { x: moving.x, heading: moving.heading, standing: standing.x, last: state.tank(0, 5000).x };
    }""")
    assert shown == {"x": 10.5, "heading": 360, "standing": 11, "last": 20}


async def test_who_leaves_our_area_is_shown_far_away(open_tab: OpenTab) -> None:
    """A tank out of the area is no tank any more, but a place on the map; what nothing is told of is forgotten."""
    page = await open_tab()
    shown = await page.evaluate("""async () => {
      const { ArenaState } = await import("/assets/arena/state.js");
      const state = new ArenaState();
      state.welcome({ world: {}, slot: 0, ack: 0, tick: 0, tick_rate: 100, played_ms: 0 }, 0);
      const told = (tick, fields) => state.snapshot({ tick, ack: 0, ...fields }, tick * 10);
      told(1, { changed: [[0, 0, 0, 0, 0, 100], [1, 900, 0, 0, 0, 100], [2, 500, 0, 0, 0, 100]] });
      const events = [["shot", 1, 0, 100, -1, 0], ["destroyed", 1, 0]];
      told(2, { removed: [1], far: [[1, 90, 40], [2, 5, 0]], events });
      const slots = () => state.tanks(0).map((tank) => tank.slot);
      const first = [slots(), state.distant(), state.effects.length, state.feed.length];
      told(400, { changed: [[0, 0, 0, 0, 0, 100]] });
      return [...first, slots(), state.distant()];
    }""")
    assert shown == [[0, 2], [{"slot": 1, "x": 90, "y": 40, "hitPoints": 1}], 0, 1, [0], []]
