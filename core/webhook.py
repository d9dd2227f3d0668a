"""Webhooks: where they may go, how deliveries are signed, and when a failed one is tried again. PURE.

A delivery is signed as `t=<seconds>,v1=<hex of HMAC-SHA256 over "<seconds>." and the body>`, so that a receiver can
tell who made it, and that it is not an old one sent again. The key is derived from the installation's secret and a salt
of the webhook: what Redis holds signs nothing.
"""

from __future__ import annotations

import hashlib
import hmac
from typing import Final
from urllib.parse import urlsplit

from msgspec import Raw, Struct

from core.addresses import may_call
from core.errors import Invalid

TRIES: Final = 10  # of a delivery: the last one eight and a half minutes after the first
FIRST_PAUSE_S: Final = 1.0
LONGEST_PAUSE_S: Final = 300.0
AT_ONCE: Final = 200  # events of a delivery: 40 KB
DEAD_MOST: Final = 1000  # deliveries of a game that are kept; then the oldest goes, and is counted as lost
ERROR_LENGTH: Final = 300  # characters kept of why an attempt failed
FRESH_S: Final = 300  # how old a signature a receiver should take

SIGNATURE: Final = "Muster-Signature"
DELIVERY: Final = "Muster-Delivery"


class Dead(Struct, frozen=True):
    """A delivery that was given up."""

    id: str
    at_ms: int
    tries: int
    error: str
    events: list[Raw]


def key(secret: str, game: str, salt: str) -> str:
    """What a game's deliveries are signed with."""
    return hmac.digest(secret.encode(), f"webhook:{game}:{salt}".encode(), hashlib.sha256).hex()


def sign(signing_key: str, body: bytes, now_s: int) -> str:
    """The signature of a body."""
    digest = hmac.digest(signing_key.encode(), f"{now_s}.".encode() + body, hashlib.sha256)
    return f"t={now_s},v1={digest.hex()}"


def verify(signing_key: str, body: bytes, signature: str, now_s: int) -> bool:
    """Whether a delivery is Muster's, and fresh. What a receiver does, for one in Python."""
    stamp, _, rest = signature.partition(",")
    if not (stamp.isascii() and stamp.startswith("t=") and stamp[2:].isdigit()) or len(stamp) > 16:
        return False
    made_s = int(stamp[2:])
    return abs(now_s - made_s) <= FRESH_S and hmac.compare_digest(
        f"{stamp},{rest}".encode(), sign(signing_key, body, made_s).encode()
    )


def pause_s(tries: int, share: float) -> float | None:
    """How long to wait after so many failed attempts (1, 2, ...); None: give it up. `share` of 0-1 is chance."""
    if tries >= TRIES:
        return None
    return min(LONGEST_PAUSE_S, FIRST_PAUSE_S * 2.0 ** (tries - 1)) * (0.75 + 0.25 * share)


def body(delivery: str, game: str, documents: list[bytes]) -> bytes:
    """What is posted: the documents are JSON already, and ids need no escapes."""
    head = f'{{"delivery":"{delivery}","game":"{game}","events":['.encode()
    return head + b",".join(documents) + b"]}"


def check_url(url: str, *, private: bool) -> str:
    """A URL that deliveries may go to. `private` allows addresses inside, and http. Raises Invalid."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
    except ValueError as error:
        raise Invalid(f"this is no URL: {error}", pointer="/url") from None
    schemes = ("https", "http") if private else ("https",)
    if parts.scheme not in schemes or not host or port == 0:
        raise Invalid(f"a webhook is an absolute URL of {' or '.join(schemes)}", pointer="/url")
    if parts.username is not None or parts.password is not None or parts.fragment:
        raise Invalid("a webhook's URL has no credentials and no fragment; deliveries are signed", pointer="/url")
    if not url.isascii() or any(letter <= " " or letter == "\\" for letter in url):
        raise Invalid("a webhook's URL is of ASCII, without spaces", pointer="/url")
    if not private and not _may_be_outside(host):
        raise Invalid("webhooks go to public addresses only", pointer="/url")
    return url


def _may_be_outside(host: str) -> bool:
    """Whether a host may be public as far as its text tells; what a name resolves to is seen at each attempt."""
    try:
        return may_call(host)
    except ValueError:
        # Resolvers take 127.1, 0x7f000001 and 2130706433 for addresses; no public name's last part is a number.
        last = host.rstrip(".").rpartition(".")[2]
        return (
            "." in host.rstrip(".")
            and not last[:1].isdigit()
            and last.lower() not in ("localhost", "local", "internal")
        )
