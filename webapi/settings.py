"""Settings of webapi, beside those every service has (`core.settings.Common`)."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Final

from core.admission import Admission, prefixes
from core.commandspec import modules
from core.errors import Invalid, Misconfigured
from core.settings import setting
from webapi.names import check_password, shown
from webapi.origin import Proxies

ALGORITHMS: Final = ("EdDSA", "HS256")

# Bounds of numbers by field; 1 and 10^9 where nothing is said.
LEAST: Final[dict[str, float]] = {
    "port": 0,
    "metrics_port": 0,
    "auth_port": 0,
    "auth_lines": 0,
    "trusted_proxies": 0,
    "relay_connections": 0,
    "agones": 0,
    "relay_connect_s": 0.1,
    "allow_commands": 0,
    "open_developers": 0,
    "issuers_private": 0,
    "server_cpu_most": 0.01,
    "request_s": 0.1,
    "auth_idle_s": 0.1,
    "heartbeat_s": 0.1,
    "presence_interval_s": 0.1,
    "presence_timeout_s": 0.3,
    "webhook_private": 0,
}
MOST: Final[dict[str, float]] = {"port": 65_535, "metrics_port": 65_535, "auth_port": 65_535}


@dataclass(frozen=True, slots=True)
class Settings:
    """Read once at the start. Numbers are positive; a port of 0 takes a free one."""

    host: str = setting("MUSTER_WEBAPI_HOST", "127.0.0.1")  # loopback unless told otherwise
    port: int = setting("MUSTER_WEBAPI_PORT", 22548)  # page and API
    metrics_host: str = setting("MUSTER_WEBAPI_METRICS_HOST", "127.0.0.1")  # in a pod 0.0.0.0: the scraper is elsewhere
    metrics_port: int = setting("MUSTER_WEBAPI_METRICS_PORT", 8000)  # Prometheus' format, at /metrics

    auth_lines: bool = setting("MUSTER_AUTH_LINES", True)  # accounts over TCP too, a line of JSON each
    auth_port: int = setting("MUSTER_WEBAPI_AUTH_PORT", 22550)  # of these lines, at the API's host
    auth_connections: int = setting("MUSTER_AUTH_CONNECTIONS", 1000)  # over it at once, in this replica
    auth_connections_address: int = setting("MUSTER_AUTH_CONNECTIONS_ADDRESS", 50)  # ... of one address
    # For the whole of the next line to come, however slowly its bytes do, and for an answer to be taken.
    auth_idle_s: float = setting("MUSTER_AUTH_IDLE_S", 30.0)

    # Commands run strangers' programs on this host: only for operators who trust their developers.
    allow_commands: bool = setting("MUSTER_ALLOW_COMMANDS", False)
    # Python modules that may execute delayed commands, comma-separated: those that workers have.
    command_modules: str = setting("MUSTER_COMMAND_MODULES", "")
    # Images that may be registered begin with one of these, comma-separated; '' allows every image.
    image_prefixes: str = setting("MUSTER_IMAGE_PREFIXES", "")
    agones: bool = setting("MUSTER_AGONES", False)  # games may name fleets of Agones
    server_cpu_most: float = setting("MUSTER_SERVER_CPU_MOST", 4.0)  # cores that one server may ask for
    server_memory_most_mib: int = setting("MUSTER_SERVER_MEMORY_MOST_MIB", 4096)  # most that one server may ask for
    open_developers: bool = setting("MUSTER_OPEN_DEVELOPERS", False)  # anybody may sign up as a developer
    admin_name: str = setting("MUSTER_ADMIN_NAME", "")  # made at the start where it does not exist
    admin_password: str = setting("MUSTER_ADMIN_PASSWORD", "", secret=True)  # of that account, when it is made

    access_s: int = setting("MUSTER_ACCESS_TOKEN_S", 900)  # a stolen one is of use for so long
    refresh_s: int = setting("MUSTER_REFRESH_TOKEN_S", 2_592_000)  # 30 days; a guest away for longer is forgotten

    # HS256: only we verify access tokens, at a third of the work. EdDSA: whoever has /.well-known/jwks.json may too.
    access_algorithm: str = setting("MUSTER_ACCESS_ALGORITHM", "HS256")
    # EdDSA: a game verifies join tokens with a public key; HS256: through its sidecar alone. The arena's are HS256.
    join_algorithm: str = setting("MUSTER_JOIN_ALGORITHM", "EdDSA")

    # Outside issuers may be in one's own network and speak plain HTTP; otherwise public addresses and https alone.
    issuers_private: bool = setting("MUSTER_ISSUERS_PRIVATE", False)

    body_bytes: int = setting("MUSTER_BODY_BYTES", 262_144)  # the largest registration is a tenth of it
    request_s: float = setting("MUSTER_REQUEST_S", 10.0)  # body read and answered; streams and long polls excepted
    # Origins of browser games served elsewhere, comma-separated; * allows all (no cookies are ever used).
    cors_origins: str = setting("MUSTER_CORS_ORIGINS", "")
    # Proxies before us: they append to X-Forwarded-For, and begin a TCP connection with a line of the PROXY protocol,
    # which is then asked for. 0 takes the peer's address.
    trusted_proxies: int = setting("MUSTER_TRUSTED_PROXIES", 0)
    # Where the last of them speaks from, networks separated by commas; nobody else is believed. Loopback and private.
    proxy_networks: str = setting(
        "MUSTER_PROXY_NETWORKS",
        "127.0.0.0/8,10.0.0.0/8,172.16.0.0/12,192.168.0.0/16,100.64.0.0/10,::1/128,fc00::/7",
    )

    hash_threads: int = setting("MUSTER_HASH_THREADS", 2)  # argon2 takes 30 ms of a core and 19 MiB each
    hash_waiting: int = setting("MUSTER_HASH_WAITING", 64)  # two threads clear it in a second; beyond: 503

    login_window_s: int = setting("MUSTER_LOGIN_WINDOW_S", 300)  # failures are forgotten after
    login_tries_name: int = setting("MUSTER_LOGIN_TRIES_NAME", 10)  # failures by account name from one address
    # ... by account name from all addresses that it was never entered from: a guesser with many of them
    login_tries_strangers: int = setting("MUSTER_LOGIN_TRIES_STRANGERS", 100)
    # New accounts and guests by address in that window: a school shares one, a flood fills Redis.
    signups_address: int = setting("MUSTER_SIGNUPS_ADDRESS", 1000)
    login_tries_address: int = setting("MUSTER_LOGIN_TRIES_ADDRESS", 100)  # ... by address: a school shares one

    streams: int = setting("MUSTER_STREAMS", 10_000)  # ticket streams and long polls of this replica
    streams_per_player: int = setting("MUSTER_STREAMS_PER_PLAYER", 4)  # a few tabs; a further one is refused
    overview_streams: int = setting("MUSTER_OVERVIEW_STREAMS", 500)  # of their own, so pages cannot starve players
    heartbeat_s: float = setting("MUSTER_HEARTBEAT_S", 15.0)  # proxies cut silent streams after 30-60 s

    # Players' WebSockets that are passed on to servers (docs/edge.md), in this replica; 0 passes none on.
    relay_connections: int = setting("MUSTER_RELAY_CONNECTIONS", 1000)
    relay_connections_player: int = setting("MUSTER_RELAY_CONNECTIONS_PLAYER", 4)  # ... of one player; a few tabs
    relay_connect_s: float = setting("MUSTER_RELAY_CONNECT_S", 5.0)  # for the server to take one, handshake included
    relay_idle_s: float = setting("MUSTER_RELAY_IDLE_S", 60.0)  # a client that does not even answer pings is gone
    relay_message_bytes: int = setting("MUSTER_RELAY_MESSAGE_BYTES", 65_536)  # of a client; a larger one ends it (1009)
    # Each way on one connection; whoever sends more is read more slowly. An arena of a hundred sends 60,000.
    relay_bytes_s: int = setting("MUSTER_RELAY_BYTES_S", 524_288)
    # Frames, or pieces of one, over all connections of this replica: what relaying may take from the API, about half
    # a core. Beyond it frames wait, and pass together.
    relay_frames_s: int = setting("MUSTER_RELAY_FRAMES_S", 20_000)
    presence_interval_s: float = setting("MUSTER_PRESENCE_INTERVAL_S", 60.0)  # clients are asked for a heartbeat each
    # A player of whom nobody heard for so long is offline: two heartbeats may be lost. The same as the matchmaker's.
    presence_timeout_s: float = setting("MUSTER_PRESENCE_TIMEOUT_S", 180.0)
    # Webhooks may go to private addresses, and without TLS: only where all developers are trusted with the network.
    webhook_private: bool = setting("MUSTER_WEBHOOK_PRIVATE", False)

    def __post_init__(self) -> None:
        for item in fields(self):
            value, name = getattr(self, item.name), item.metadata["env"]
            least, most = LEAST.get(item.name, 1), MOST.get(item.name, 10**9)
            if isinstance(value, int | float) and not least <= value <= most:
                raise Misconfigured(f"{value} is not within {least} and {most}", setting=name)
        try:
            self.proxies  # noqa: B018 - a wrong network is told now
        except Invalid as error:
            raise Misconfigured(error.detail, setting="MUSTER_PROXY_NETWORKS") from None
        for name, algorithm in (
            ("MUSTER_ACCESS_ALGORITHM", self.access_algorithm),
            ("MUSTER_JOIN_ALGORITHM", self.join_algorithm),
        ):
            if algorithm not in ALGORITHMS:
                raise Misconfigured(f"{algorithm!r} is not one of {', '.join(ALGORITHMS)}", setting=name)
        if self.presence_timeout_s < 2 * self.presence_interval_s:
            raise Misconfigured(
                f"{self.presence_timeout_s:g} s is less than two intervals of {self.presence_interval_s:g} s: one lost "
                "heartbeat would end a session",
                setting="MUSTER_PRESENCE_TIMEOUT_S",
            )
        self._check_admin()

    def _check_admin(self) -> None:
        if bool(self.admin_name) != bool(self.admin_password):
            missing = "MUSTER_ADMIN_PASSWORD" if self.admin_name else "MUSTER_ADMIN_NAME"
            raise Misconfigured("an admin account needs both a name and a password", setting=missing)
        if not self.admin_name:
            return
        try:
            check_password(self.admin_password, shown(self.admin_name))
        except Invalid as error:
            raise Misconfigured(error.detail, setting=f"MUSTER_ADMIN_{error.pointer[1:].upper()}") from None

    @property
    def proxies(self) -> Proxies:
        """Who may say for whom a request is."""
        return Proxies(self.trusted_proxies, self.proxy_networks)

    @property
    def admission(self) -> Admission:
        """What a registration may ask for."""
        return Admission(prefixes(self.image_prefixes), self.server_cpu_most, self.server_memory_most_mib, self.agones)

    @property
    def modules(self) -> frozenset[str]:
        """Modules that a registration may name."""
        return modules(self.command_modules)

    @property
    def origins(self) -> frozenset[str]:
        """The allowed origins, each `scheme://host[:port]`, or `*`."""
        return frozenset(origin.strip().rstrip("/") for origin in self.cors_origins.split(",") if origin.strip())
