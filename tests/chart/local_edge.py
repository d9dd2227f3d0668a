"""The edge on this machine: a real Nginx with the rendered configuration, in front of services that the test plays.

Only addresses are put in the place of names and of fixed ports: Nginx looks names up, and a fixed port may be taken.
"""

from __future__ import annotations

import re
import shutil
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from tests.cluster.api import until
from tests.support import free_port

STREAM: Final = Path("/usr/lib/nginx/modules/ngx_stream_module.so")  # a module of its own in Debian's build
NGINX: Final = shutil.which("nginx", path="/usr/sbin:/usr/bin:/usr/local/bin")
# Addresses of loopback: a UDP port leads to the same port of another address.
EDGE: Final = "127.0.0.2"
NODE: Final = "127.0.0.3"
START_S: Final = 60.0


@dataclass(frozen=True)
class Places:
    """Ports: of the edge at EDGE, of what is behind it at 127.0.0.1, and of UDP at EDGE and NODE alike."""

    http: int = field(default_factory=free_port)
    auth: int = field(default_factory=free_port)
    webapi: int = field(default_factory=free_port)
    listener: int = field(default_factory=free_port)
    game: int = field(default_factory=free_port)

    @property
    def url(self) -> str:
        """Where clients reach the API."""
        return f"http://{EDGE}:{self.http}"

    def options(self, *limits: str) -> list[str]:
        """Options of the chart for an edge with everything, and these limits (`connections=2`)."""
        auth = f"edge.auth.enabled=true,edge.auth.port={self.auth},edge.auth.targetPort={self.listener}"
        udp = (
            f"edge.udp.enabled=true,edge.udp.upstream={NODE},games.ports.first={self.game},games.ports.last={self.game}"
        )
        given = ["edge.enabled=true", auth, udp, f"webapi.service.port={self.webapi}"]
        return ["--set", ",".join([*given, *(f"edge.limits.{limit}" for limit in limits)])]

    def local(self, text: str, folder: Path) -> str:
        """The configuration with addresses of this machine, its files in `folder`."""
        text = text.replace("muster-webapi:", "127.0.0.1:").replace("/tmp/", f"{folder}/")
        text = text.replace("listen 8080;", f"listen {self.http};")
        text = text.replace("listen 8081;", f"listen unix:{folder}/health;")
        return re.sub(r"listen (\d[\d-]*)", rf"listen {EDGE}:\1", text)


def directives(*given: str) -> str:
    """For `-g`: these, and what makes Nginx know `stream` where it is built apart."""
    return " ".join([*given, *([f"load_module {STREAM};"] if STREAM.exists() else [])])


@contextmanager
def nginx(text: str, places: Places, folder: Path) -> Iterator[None]:
    """Nginx with this configuration for as long as the context lasts; it listens when the context begins."""
    assert NGINX, "no nginx here: apt-get install nginx libnginx-mod-stream"
    path = folder / "nginx.conf"
    path.write_text(places.local(text, folder))
    command = [NGINX, "-e", "stderr", "-c", str(path), "-g", directives("daemon off;")]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        try:
            until(lambda: _listens(process, places), "Nginx listens", within_s=START_S)
            yield
        finally:
            process.terminate()


def _listens(process: subprocess.Popen[str], places: Places) -> bool:
    if process.poll() is not None and process.stderr is not None:
        raise AssertionError(process.stderr.read())
    socket.create_connection((EDGE, places.http), 1).close()
    return True
