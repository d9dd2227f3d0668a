"""Numbered messages, and a Redis that forgets some of them."""

from __future__ import annotations

import random
from typing import NamedTuple

import pytest

from gamepod.outbox import KEEP_BYTES, KEEP_S, Outbox


class Letter(NamedTuple):
    number: int
    size: int = 1


def outbox(*letters: Letter) -> Outbox[Letter]:
    made = Outbox[Letter](lambda letter: letter.size)
    for letter in letters:
        made.put(letter)
    return made


def numbers(box: Outbox[Letter], now_s: float = 0.0) -> list[int]:
    """What is sent from now on."""
    sent = []
    while (letter := box.head()) is not None:
        sent.append(letter.number)
        box.done(now_s)
    return sent


def test_a_message_stays_until_it_is_acknowledged() -> None:
    """The head is the same until it is done, and the first acknowledgement is told from a later one."""
    box = outbox(Letter(1), Letter(2))
    assert box.head() == box.head() == box.oldest == (1, 1)
    assert box.done(0.0)
    assert box.rewind(0) == 1
    assert (box.head(), box.oldest, len(box)) == ((1, 1), (2, 1), 2)
    assert not box.done(0.0)
    assert box.done(0.0)
    assert box.head() is None


def test_what_was_lost_goes_first_in_its_order() -> None:
    """After a rewind the lost ones are sent again before those that wait, and a second loss is no problem."""
    box = outbox(*(Letter(n) for n in range(1, 6)))
    assert numbers(box) == [1, 2, 3, 4, 5]
    box.put(Letter(6))
    assert box.rewind(2) == 3
    box.done(0.0)
    assert box.rewind(1) == 2
    assert box.rewind(1) == 0
    assert numbers(box) == [2, 3, 4, 5, 6]


def test_doubt_asks_by_the_newest_once() -> None:
    """However often Redis fails, one acknowledged message is sent again to see whether it is there."""
    box = outbox()
    box.doubt()
    assert box.head() is None
    box = outbox(Letter(1), Letter(2))
    numbers(box)
    box.put(Letter(3))
    box.doubt()
    box.doubt()
    assert numbers(box) == [2, 3]


def test_what_is_kept_is_bounded_by_age_and_size() -> None:
    """Old ones and what exceeds the bytes are let go; the newest stays whatever it is."""
    box = outbox(*(Letter(n) for n in range(1, 4)))
    box.done(0.0)
    box.done(1.0)
    box.done(KEEP_S + 0.5)
    assert box.rewind(0) == 2
    big = outbox(*(Letter(n, KEEP_BYTES // 2) for n in range(1, 5)), Letter(5, 2 * KEEP_BYTES))
    for _ in range(4):
        big.done(0.0)
    assert big.rewind(0) == 2
    assert numbers(big) == [3, 4, 5]
    assert big.rewind(0) == 1


@pytest.mark.parametrize("seed", range(20))
def test_a_forgetful_receiver_has_everything_once_in_the_end(seed: int) -> None:
    """Replies are lost and the receiver forgets its newest messages, again and again; in the end it has all, once."""
    chance = random.Random(seed)
    box, had, put = outbox(), list[int](), 0
    while put < 200 or len(box) or len(had) < 200:
        if put < 200 and chance.random() < 0.6:
            put += 1
            box.put(Letter(put))
        if put < 200 and chance.random() < 0.1:
            del had[max(0, len(had) - chance.randrange(30)) :]
            box.doubt()
        letter = box.head()
        if letter is None:
            box.doubt()
            continue
        last = had[-1] if had else 0
        if letter.number > last + 1:
            assert box.rewind(last) > 0
            continue
        if letter.number == last + 1:
            had.append(letter.number)
        if chance.random() < 0.2:
            box.doubt()  # the reply was lost
        else:
            box.done(0.0)
    assert had == list(range(1, 201))
