"""The error tree. The type carries the policy: whose fault it is and what the caller does next.

    MusterError
    ├── Refused            the caller's fault: asking again unchanged gives the same answer
    │   ├── Invalid            the input breaks a rule; `pointer` names the place
    │   ├── Unauthorized       who are you
    │   ├── Forbidden          you may not
    │   ├── NotFound
    │   ├── Conflict           the state of the thing forbids it
    │   └── TooMany            a bound of the caller is reached; `retry_after_s` tells when to come back
    ├── Unavailable        ours, and passing: ask again after `retry_after_s`
    ├── Fenced             another replica owns the game now
    ├── IllegalTransition  a life was told an event its table does not have; nothing changed
    └── Misconfigured      the operator's fault: names the setting that changes it

Every error has a stable `code` (the last part of the problem type in the API), a sentence that says what was
wrong and where, and, if there is one, what to do.
"""

from __future__ import annotations


class MusterError(Exception):
    """Root of everything Muster raises on purpose."""

    status = 500
    code = "internal"

    def __init__(self, detail: str, *, code: str | None = None) -> None:
        super().__init__(detail)
        self.detail = detail
        if code is not None:
            self.code = code


class Refused(MusterError):
    """The caller's fault; the same request will be refused again."""

    status = 400
    code = "refused"


class Invalid(Refused):
    """The input breaks a rule. `pointer` is a JSON pointer to the place, or the parameter's name."""

    status = 422
    code = "invalid"

    def __init__(self, detail: str, *, pointer: str = "", code: str | None = None) -> None:
        super().__init__(detail, code=code)
        self.pointer = pointer


class Unauthorized(Refused):
    status = 401
    code = "unauthorized"


class Forbidden(Refused):
    status = 403
    code = "forbidden"


class NotFound(Refused):
    status = 404
    code = "not-found"


class Conflict(Refused):
    status = 409
    code = "conflict"


class TooMany(Refused):
    """A bound of this caller is reached; it may come back after `retry_after_s` seconds."""

    status = 429
    code = "too-many"

    def __init__(self, detail: str, *, retry_after_s: int = 1, code: str | None = None) -> None:
        super().__init__(detail, code=code)
        self.retry_after_s = retry_after_s


class Unavailable(MusterError):
    """Ours and passing (Redis away, its disk full, a queue at its bound): retry after `retry_after_s` seconds."""

    status = 503
    code = "unavailable"

    def __init__(self, detail: str, *, retry_after_s: int = 1, code: str | None = None) -> None:
        super().__init__(detail, code=code)
        self.retry_after_s = retry_after_s


class IllegalTransition(MusterError):
    """A life was told an event that its table does not have in this state. The state is unchanged."""

    status = 409
    code = "illegal-transition"


class Misconfigured(MusterError):
    """The operator's fault; `setting` is the environment variable that changes it."""

    code = "misconfigured"

    def __init__(self, detail: str, *, setting: str) -> None:
        super().__init__(f"{detail} (setting: {setting})")
        self.setting = setting


class Fenced(MusterError):
    """Another replica holds the lease now: forget everything about this game and go on."""

    code = "fenced"
