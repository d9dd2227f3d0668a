"""Settings: small frozen dataclasses read from the environment once, at the start of a process.

A field is read from the variable named in its `env` metadata; unit and reason stand beside each default. A value
that does not parse is Misconfigured and names the variable. Nothing else in Muster reads the environment.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Final, TypeVar

from core.errors import Misconfigured
from core.signing import SECRETS_MOST, Keyring

T = TypeVar("T")

SECRET_BYTES: Final = 32  # RFC 7518: an HS256 key is at least as long as its hash


def setting(env: str, default: Any, *, secret: bool = False) -> Any:
    """A dataclass field that is read from the environment variable `env`; a secret one is never printed."""
    return field(default=default, metadata={"env": env}, repr=not secret)


def from_env(cls: type[T], env: Mapping[str, str]) -> T:
    """Build settings dataclass `cls` from `env`. Raises Misconfigured naming the variable."""
    values: dict[str, Any] = {}
    for item in fields(cls):  # type: ignore[arg-type]
        name = item.metadata.get("env")
        if name is not None and (text := env.get(name, "")) != "":
            values[item.name] = _parse(text, type(item.default), name)
    return cls(**values)


def _parse(text: str, kind: type, name: str) -> Any:
    if kind is bool:
        if text.lower() not in ("true", "false", "1", "0"):
            raise Misconfigured(f"{text!r} is neither true nor false", setting=name)
        return text.lower() in ("true", "1")
    try:
        return kind(text)
    except ValueError:
        wanted = {"int": "a whole number", "float": "a number"}.get(kind.__name__, kind.__name__)
        raise Misconfigured(f"{text!r} is not {wanted}", setting=name) from None


@dataclass(frozen=True, slots=True)
class Common:
    """What every service has."""

    # redis://host:port/db, rediss://, unix://, redis+cluster://host:port, or behind Sentinel
    # redis+sentinel://[user:password@]host:26379[,host:26379...]/name-of-the-primary/db, over TLS rediss+sentinel://;
    # its options ?sentinel_username=&sentinel_password= are what the Sentinels themselves ask for
    redis_url: str = setting("REDIS_URL", "redis://127.0.0.1:6379/0")
    # Signs access tokens and, derived per match, join tokens. The same for all services of an installation.
    secret: str = setting("MUSTER_SECRET", "", secret=True)
    # Sign in place of the secret, separated by commas: the first signs, all are accepted, so that a key is changed
    # without logging anybody out. '' takes the secret. The same for all services.
    signing_secrets: str = setting("MUSTER_SIGNING_SECRETS", "", secret=True)
    # Where this service's ZeroMQ doorbell listens; * takes a free port. Loopback unless told otherwise.
    doorbell_bind: str = setting("MUSTER_DOORBELL_BIND", "tcp://127.0.0.1:*")
    # Host that others connect to, if it differs from the bound one (a pod's address).
    doorbell_host: str = setting("MUSTER_DOORBELL_HOST", "")
    log_format: str = setting("MUSTER_LOG_FORMAT", "json")  # json, or text for people
    log_level: str = setting("MUSTER_LOG_LEVEL", "info")  # debug, info, warning or error

    def __post_init__(self) -> None:
        if self.secret and len(self.secret.encode()) < SECRET_BYTES:
            raise Misconfigured(
                f"the secret has {len(self.secret.encode())} bytes; HS256 needs at least {SECRET_BYTES}: "
                "make one with `openssl rand -hex 32`",
                setting="MUSTER_SECRET",
            )
        given = self.signing_secrets.split(",") if self.signing_secrets else []
        if len(given) > SECRETS_MOST or any(len(one.strip().encode()) < SECRET_BYTES for one in given):
            raise Misconfigured(
                f"give 1 to {SECRETS_MOST} secrets of at least {SECRET_BYTES} bytes each, separated by commas",
                setting="MUSTER_SIGNING_SECRETS",
            )

    def signing(self) -> Keyring:
        """The keys that sign and verify tokens. Raises Misconfigured where there is no secret."""
        secret = self.require_secret()
        return Keyring([one.strip() for one in self.signing_secrets.split(",")] if self.signing_secrets else [secret])

    def require_secret(self) -> str:
        """The secret. Raises Misconfigured where there is none."""
        if not self.secret:
            raise Misconfigured("no secret is set: make one with `openssl rand -hex 32`", setting="MUSTER_SECRET")
        return self.secret
