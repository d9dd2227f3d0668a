"""Who tried to come in: each attempt is one event, told here and nowhere else, whichever door it came through.

An event is a line of the log (part `audit`) that no log level leaves out, a count, and an entry of the trail in Redis
(`webapi.trail`), from where sinks carry it to the topic `auth_events`. Names are what a stranger typed: they are cut
and made printable, so that none of them forges a line. No password, token or key is ever in one.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import Final, Literal, TypeAlias

import orjson

from core.clock import new_id, now_ms
from core.errors import MusterError
from core.log import get
from webapi.metrics import Metrics
from webapi.names import NAME_MOST
from webapi.origin import Origin
from webapi.trail import Trail

log = get("audit", always=True)

Name: TypeAlias = Literal[
    "user_registered", "user_registration_failed", "user_logged_in", "user_login_failed", "user_role_changed",
    "guest_made", "guest_refused", "user_upgraded", "user_upgrade_failed", "user_password_changed",
    "user_password_change_failed", "user_logged_out", "session_reused", "user_logged_in_outside",
    "user_login_outside_failed", "invitation_made", "invitation_revoked", "api_key_made", "api_key_revoked",
    "user_exported", "user_erased",
]  # fmt: skip

GONE: Final = "gone"  # the reason of an attempt whose client left, or whose time was over, before it was decided


@dataclass(frozen=True, slots=True, kw_only=True)
class AuthEvent:
    """One event. `reason` is the code of the refusal; `by` the admin who changed something."""

    event: Name
    id: str
    at_ms: int
    name: str
    address: str
    via: str
    player: str = ""
    role: str = ""
    reason: str = ""
    by: str = ""


class Audit:
    """See the module."""

    def __init__(self, metrics: Metrics, trail: Trail) -> None:
        self._metrics, self.trail = metrics, trail

    def tell(
        self,
        event: Name,
        origin: Origin,
        name: str,
        *,
        player: str = "",
        role: str = "",
        reason: str = "",
        by: str = "",
    ) -> None:
        """Tell of an event, now."""
        made = AuthEvent(
            event=event, id=new_id("event"), at_ms=now_ms(), name=_printable(name), address=_printable(origin.address),
            via=origin.via, player=player, role=role, reason=reason, by=by,
        )  # fmt: skip
        self._metrics.auth_events.labels(event, made.via, reason).inc()
        document = asdict(made)
        self.trail.put(player or made.name, orjson.dumps(document))
        fields = {key: value for key, value in document.items() if value != "" and key != "event"}
        log.info(made.event, **fields)

    @contextmanager
    def attempt(self, failure: Name, origin: Origin, name: str) -> Iterator[None]:
        """Tell of `failure` where the block raises, also where it is cancelled: a guess counts unanswered too."""
        try:
            yield
        except asyncio.CancelledError:
            self.tell(failure, origin, name, reason=GONE)
            raise
        except Exception as error:
            self.tell(failure, origin, name, reason=error.code if isinstance(error, MusterError) else MusterError.code)
            raise


def _printable(text: str) -> str:
    return "".join(char if char.isprintable() else "\N{REPLACEMENT CHARACTER}" for char in text[: 2 * NAME_MOST])
