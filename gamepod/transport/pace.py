"""How often one client is told: as often as it asks, less often while it cannot keep up. PURE: time is an argument.

A stream that is behind shows in its buffer. A datagram that is lost shows to the client alone, so a client that wants
to be spared says in its pings how many snapshots it got.
"""

from __future__ import annotations

from typing import Final

from gamepod.arena.delta import EVERY

SLOWER_MS: Final = 1_000  # between two steps down: one must show its effect first
FASTER_MS: Final = 5_000  # without trouble until the next step up
LOSS: Final = 0.1  # share of snapshots lost above which a client is told less often
JUDGED: Final = 10  # snapshots at least between two verdicts


class Pace:
    """`every`: ticks from one snapshot of this client to the next, one of EVERY; in a crowd they are more."""

    __slots__ = ("_asked", "_got", "_rate_hz", "_sent", "_step", "_trouble_ms", "every", "sent", "told")

    def __init__(self, tick_rate_hz: int) -> None:
        self.every = EVERY[0]
        self.sent = 0  # snapshots since the welcome, not counting the one with it
        self.told = 0  # tick of the last snapshot
        self._rate_hz = tick_rate_hz
        self._asked = 0  # position in EVERY that the client asked for
        self._step = 0  # the present one
        self._trouble_ms = -SLOWER_MS
        self._sent = self._got = 0  # at the last verdict

    def ask(self, hz: int) -> None:
        """The client wants at most so many snapshots a second."""
        fits = (step for step, every in enumerate(EVERY) if self._rate_hz <= hz * every)
        asked = next(fits, len(EVERY) - 1)
        # Asking does not undo what was done because the client could not keep up: that takes its time.
        self._go(asked if self._step == self._asked else max(asked, self._step))
        self._asked = asked

    def trouble(self, now_ms: int) -> None:
        """A snapshot could not be sent, or too many were lost."""
        if now_ms - self._trouble_ms >= SLOWER_MS:
            self._trouble_ms = now_ms
            self._go(min(self._step + 1, len(EVERY) - 1))

    def report(self, got: int, now_ms: int) -> None:
        """The client got so many snapshots since its welcome; more than were sent counts as all."""
        sent = self.sent - self._sent
        if sent < JUDGED:
            return
        lost = sent - (min(got, self.sent) - self._got)
        self._sent, self._got = self.sent, min(got, self.sent)
        if lost > sent * LOSS:
            self.trouble(now_ms)

    def recover(self, now_ms: int) -> None:
        """Time has passed: after a while without trouble the client is told more often again, step by step."""
        if self._step > self._asked and now_ms - self._trouble_ms >= FASTER_MS:
            self._trouble_ms = now_ms
            self._go(self._step - 1)

    def _go(self, step: int) -> None:
        self._step = step
        self.every = EVERY[step]
