"""Images for a cluster without a registry, under the names that the chart's defaults give them.

The bundled Redis is the embedded Valkey's own program, and the edge is Debian's Nginx: each with the libraries that it
is linked to, and nothing else. Muster's own are those of the Dockerfile, built by a Docker daemon of the tests.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

import docker

from core.redis.embedded import find_server
from tests.chart.local_edge import NGINX, STREAM
from tests.cluster.images import Layer, write_image
from tests.cluster.python_image import shared_libraries

REPOSITORY: Final = "muster.test/valkey"
TAG: Final = "1"
PROGRAM: Final = "/usr/bin/valkey-server"
SHELL: Final = Path("/bin/sh")

# Debian builds the stream module apart; the image that the chart names has it built in.
NGINX_SCRIPT: Final = f"""#!{SHELL}
for directives; do :; done
exec /usr/sbin/nginx "$@" -g "load_module {STREAM}; $directives"
"""


def valkey_image(archive: Path, name: str = f"{REPOSITORY}:{TAG}") -> Path:
    """The archive of an image with the server."""
    server = Path(find_server())
    layer = {PROGRAM: server, **shared_libraries([server])}
    return write_image(archive, name, [layer], entrypoint=[PROGRAM], env={"PATH": "/usr/bin"})


def nginx_image(archive: Path, name: str) -> Path:
    """The archive of an image whose `nginx` knows `stream`, as the last of its arguments are directives (`-g`)."""
    assert NGINX, "no nginx here: apt-get install nginx libnginx-mod-stream"
    program, shell = Path(NGINX), SHELL.resolve()
    script = archive.with_name("nginx.sh")
    script.write_text(NGINX_SCRIPT)
    script.chmod(0o755)
    files: Layer = {"/usr/sbin/nginx": program, "/usr/bin/nginx": script, "/bin/sh": shell, str(STREAM): STREAM}
    layer = {**shared_libraries([program, shell, STREAM]), **files, "/tmp/": b""}
    return write_image(archive, name, [layer], command=["nginx"], env={"PATH": "/usr/bin:/bin"})


def saved(client: docker.DockerClient, name: str, archive: Path) -> Path:
    """The archive of an image that a Docker daemon has."""
    with archive.open("wb") as file:
        for part in client.api.get_image(name):
            file.write(part)
    return archive
