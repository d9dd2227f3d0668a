"""Proof that a UDP sender owns its address, without remembering anything about it.

A cookie is a keyed hash of the address and of the present time window. The server keeps no table of pending
joins, so a flood of forged addresses has nothing to fill; a cookie is good in its window and in the next.
"""

from __future__ import annotations

import hashlib
import hmac

COOKIE_BYTES = 16  # cannot be guessed within its lifetime; 32 characters on the wire


class Cookies:
    """Issues and checks cookies. `secret` (32 random bytes at most) never leaves the process."""

    def __init__(self, secret: bytes, lifetime_s: float) -> None:
        self._secret = secret
        self._window_ms = int(lifetime_s * 1000.0)

    def issue(self, address: str, now_ms: int) -> str:
        """The cookie of an address in the window of `now_ms`."""
        return self._cookie(address, now_ms // self._window_ms)

    def valid(self, cookie: str, address: str, now_ms: int) -> bool:
        """Was this cookie issued to this address in this window or in the one before?"""
        if len(cookie) != 2 * COOKIE_BYTES or not cookie.isascii():
            return False
        window = now_ms // self._window_ms
        return any(hmac.compare_digest(cookie, self._cookie(address, window - age)) for age in (0, 1))

    def _cookie(self, address: str, window: int) -> str:
        text = f"{window}|{address}".encode()
        return hashlib.blake2s(text, key=self._secret, digest_size=COOKIE_BYTES).hexdigest()
