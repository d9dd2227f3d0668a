"""Server-sent events as bytes."""

from __future__ import annotations

import pytest
from aiohttp.test_utils import make_mocked_request

from webapi.sse import event, last_event_id


def test_an_event_has_its_lines() -> None:
    """Id if there is one, name, data, and an empty line."""
    assert event("status", b'{"a":1}', 7) == b'id: 7\nevent: status\ndata: {"a":1}\n\n'
    assert event("overview", b"{}") == b"event: overview\ndata: {}\n\n"


@pytest.mark.parametrize(("text", "seq"), [("", 0), ("12", 12), ("-1", 0), ("x", 0), ("²", 0), ("9" * 30, 0)])
def test_a_last_event_id_that_is_none_replays_everything(text: str, seq: int) -> None:
    """Only a plain number counts."""
    assert last_event_id(make_mocked_request("GET", "/", headers={"Last-Event-ID": text})) == seq
