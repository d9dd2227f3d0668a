"""An image of the bundled Redis for clusters without a registry: the embedded Valkey's own program."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from core.redis.embedded import find_server
from tests.cluster.images import write_image
from tests.cluster.python_image import shared_libraries

REPOSITORY: Final = "muster.test/valkey"
TAG: Final = "1"
PROGRAM: Final = "/usr/bin/valkey-server"


def valkey_image(archive: Path) -> Path:
    """The archive of an image with the server and the libraries it is linked to, and nothing else."""
    server = Path(find_server())
    layer = {PROGRAM: server, **shared_libraries([server])}
    return write_image(archive, f"{REPOSITORY}:{TAG}", [layer], entrypoint=[PROGRAM], env={"PATH": "/usr/bin"})
