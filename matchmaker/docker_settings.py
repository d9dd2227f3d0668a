"""Settings of the launcher for Docker. Read from the environment once; unit and reason stand beside each default."""

from __future__ import annotations

from dataclasses import dataclass

from core.admission import Admission, prefixes
from core.errors import Misconfigured
from core.settings import setting


@dataclass(frozen=True, slots=True)
class DockerSettings:
    """Which daemon runs the servers, and what their containers look like."""

    # Keeps the installations on one daemon apart; '' derives it from the secret and the Redis URL.
    installation: str = setting("MUSTER_INSTALLATION", "")
    # The daemon, as the docker command reads these.
    docker_host: str = setting("DOCKER_HOST", "unix:///var/run/docker.sock")
    tls_verify: str = setting("DOCKER_TLS_VERIFY", "")  # as the docker command has it
    cert_path: str = setting("DOCKER_CERT_PATH", "")  # folder with ca.pem, cert.pem and key.pem
    call_s: float = setting("MUSTER_DOCKER_CALL_S", 30.0)  # a call answers in 5-300 ms; a busy disk takes its time
    starts: int = setting("MUSTER_STARTS", 8)  # servers that start at the same time; each takes 0.3 s of a core
    max_servers: int = setting("MUSTER_MAX_SERVERS", 256)  # on this daemon
    gamepod_image: str = setting("MUSTER_DOCKER_GAMEPOD_IMAGE", "muster/gamepod:0.1.0")  # arena, and sidecar of others
    # Pull images that are not there. Otherwise such a game is refused, for whoever registers images fills this disk.
    pull: bool = setting("MUSTER_DOCKER_PULL", False)
    pull_s: float = setting("MUSTER_DOCKER_PULL_S", 300.0)  # then the match waits no longer; the daemon may pull on
    image_prefixes: str = setting("MUSTER_IMAGE_PREFIXES", "")  # comma-separated; '' allows every image

    address: str = setting("MUSTER_ADDRESS", "127.0.0.1")  # players reach this host by
    # Ports are published here. Docker opens them past the host's firewall, so it is loopback unless told otherwise.
    bind: str = setting("MUSTER_BIND", "127.0.0.1")
    # Ports that servers take, both ends included: below the ephemeral ones, which connections of the host use.
    port_first: int = setting("MUSTER_DOCKER_PORT_FIRST", 20_000)
    port_last: int = setting("MUSTER_DOCKER_PORT_LAST", 24_999)  # and the last
    network: str = setting("MUSTER_DOCKER_NETWORK", "bridge")  # of the containers; Redis must be reachable from it
    redis_url: str = setting("MUSTER_SERVER_REDIS_URL", "")  # as servers reach it; '' is ours

    # What a server gets that asks for nothing, in cores and MiB: the arena of 100 players takes 0.5 and 40.
    cpu: float = setting("MUSTER_SERVER_CPU", 0.1)
    memory_mib: int = setting("MUSTER_SERVER_MEMORY_MIB", 128)  # of a server that asks for none
    cpu_most: float = setting("MUSTER_SERVER_CPU_MOST", 4.0)  # that a registration may ask for
    memory_most_mib: int = setting("MUSTER_SERVER_MEMORY_MOST_MIB", 4096)  # most that one server may ask for
    # Limit of a server's CPU over what it asked for, 1 core at least: starting takes a core, playing a tenth.
    cpu_burst: float = setting("MUSTER_SERVER_CPU_BURST", 4.0)
    pids: int = setting("MUSTER_SERVER_PIDS", 256)  # processes and threads of one container
    tmp_mib: int = setting("MUSTER_SERVER_TMP_MIB", 64)  # of /tmp, the one place to write; counts as memory
    log_bytes: int = setting("MUSTER_SERVER_LOG_BYTES", 1_000_000)  # of one container; the older half is dropped
    sidecar_cpu: float = setting("MUSTER_SIDECAR_CPU", 0.02)  # cores; it beats each 2 s
    sidecar_memory_mib: int = setting("MUSTER_SIDECAR_MEMORY_MIB", 64)  # it takes 25
    # User of a game whose image names none, or root. An image's own user is kept where it is another number.
    run_as: int = setting("MUSTER_DOCKER_RUN_AS", 65_532)
    runtime: str = setting("MUSTER_DOCKER_RUNTIME", "")  # such as runsc (gVisor), for strangers' games
    # A small process 1 in games' containers: without it a program that does not handle SIGTERM ignores it.
    init: bool = setting("MUSTER_DOCKER_INIT", True)
    log_level: str = setting("MUSTER_SERVER_LOG_LEVEL", "info")  # of gamepod

    def __post_init__(self) -> None:
        if not 1 <= self.port_first <= self.port_last <= 65_535:
            raise Misconfigured(
                f"{self.port_first} to {self.port_last} is no range of ports", setting="MUSTER_DOCKER_PORT_FIRST"
            )
        for number, least, variable in (
            (self.starts, 1, "MUSTER_STARTS"),
            (self.max_servers, 1, "MUSTER_MAX_SERVERS"),
            (self.cpu_burst, 1, "MUSTER_SERVER_CPU_BURST"),
            (self.run_as, 1, "MUSTER_DOCKER_RUN_AS"),
            (self.log_bytes, 4096, "MUSTER_SERVER_LOG_BYTES"),
            (self.memory_mib, 16, "MUSTER_SERVER_MEMORY_MIB"),
        ):
            if number < least:
                raise Misconfigured(f"{number} is less than {least}", setting=variable)

    @property
    def admission(self) -> Admission:
        """What a registration may ask for."""
        return Admission(prefixes(self.image_prefixes), self.cpu_most, self.memory_most_mib, agones=False)
