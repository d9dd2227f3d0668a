"""What a server process is given: its environment and its command line. Built by pure functions, tested whole."""

from __future__ import annotations

import hashlib
import hmac
import json
import shlex
import sys
from collections.abc import Mapping
from typing import Final

from core import trace
from core.errors import Misconfigured
from core.model import Match
from core.signing import Keyring
from matchmaker.settings import ProcessSettings

# A server gets these of our own environment and nothing else: above all not the secret that signs everybody's tokens.
PASSED_ON: Final = (
    "HOME", "LANG", "LC_ALL", "LC_CTYPE", "LD_LIBRARY_PATH", "PATH", "PYTHONDONTWRITEBYTECODE", "PYTHONPATH",
    "PYTHONUNBUFFERED", "SSL_CERT_FILE", "TMPDIR", "TZ", "USER", "VIRTUAL_ENV",
    "MUSTER_LOG_LEVEL", "MUSTER_METRICS_BIND",
)  # fmt: skip
# Settings of gamepod that the operator chose for all servers, wherever they run.
TUNING: Final = (
    "MUSTER_BOARDS_S", "MUSTER_BUFFER_BYTES", "MUSTER_BUFFER_INTERACTIONS", "MUSTER_FINAL_FLUSH_S", "MUSTER_FLUSH_S",
    "MUSTER_LOG_BATCHES", "MUSTER_LOG_FORMAT", "MUSTER_VIEWS_S",
)  # fmt: skip


def tuning(base: Mapping[str, str]) -> dict[str, str]:
    """The part of `base`, our own environment, that tunes gamepod."""
    return {name: base[name] for name in TUNING if name in base}


def installation_name(chosen: str, secret: str, redis_url: str) -> str:
    """What keeps the servers of this installation apart from another's at the same place: same secret, same Redis."""
    if chosen:
        return chosen
    return hmac.digest(secret.encode(), f"installation:{redis_url}".encode(), hashlib.sha256).hex()[:16]


def server_command(settings: ProcessSettings) -> list[str]:
    """The command line of a server process. Raises Misconfigured where the setting cannot be split."""
    if not settings.server_command:
        return [sys.executable, "-m", "gamepod"]
    try:
        return shlex.split(settings.server_command)
    except ValueError as error:
        raise Misconfigured(f"{settings.server_command!r}: {error}", setting="MUSTER_SERVER_COMMAND") from None


def join_keys(keyring: Keyring, match: Match) -> dict[str, str]:
    """What a server verifies its players' tokens with. The public keys are for its game: the arena needs none."""
    public = {} if match.server.arena is not None else {"MUSTER_JOIN_JWKS": json.dumps(keyring.jwks())}
    return {"MUSTER_JOIN_KEY": keyring.match_keys(match.id)} | public


def server_environment(
    match: Match,
    settings: ProcessSettings,
    base: Mapping[str, str],
    *,
    installation: str,
    run_dir: str,
    secret: str,
    redis_url: str,
    keyring: Keyring | None = None,
) -> dict[str, str]:
    """The environment of the server of `match`, as docs/architecture.md lists it. `base` is our own."""
    return {name: base[name] for name in (*PASSED_ON, *TUNING) if name in base} | {
        "MUSTER_GAME": match.game,
        "MUSTER_MATCH": match.id,
        "MUSTER_TRACE": trace.of(match.id, match.trace),
        **join_keys(keyring or Keyring([secret]), match),
        "REDIS_URL": redis_url,
        "MUSTER_ADDRESS": settings.address,
        "MUSTER_BIND": settings.bind,
        "MUSTER_SERVER": f"{installation}/{match.id}",
        "MUSTER_RUN_DIR": run_dir,
        # Many servers share this host: none can have the fixed ports.
        "MUSTER_SDK_PORT": "0",
        "MUSTER_SDK_GRPC_PORT": "0",
        "MUSTER_METRICS_PORT": "0",
        # Batches come and go in a game server's memory: the C library gives back what is free from 128 KB on, instead
        # of raising that bound as it goes. Saves 2 to 4 MB in a match of a hundred.
        "MALLOC_TRIM_THRESHOLD_": "131072",
    }
