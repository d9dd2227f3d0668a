"""A base image from this very Python, for builds where no registry has one: the interpreter, pip, a shell.

It takes the place of `python:slim`: `python3` and `sh` are on PATH, and wheels for this interpreter fit. Written as
`docker save` writes images, in seconds; for anything but tests and air-gapped trials take a distribution's image.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Final

import pip

from tests.cluster.images import Layer, write_image
from tests.cluster.python_image import dynamic_modules, shared_libraries, standard_library

SHELL: Final = Path("/bin/sh")
CERTIFICATES: Final = Path("/etc/ssl/certs/ca-certificates.crt")
PASSWD: Final = b"root:x:0:0::/root:/bin/sh\nmuster:x:65532:65532::/tmp:/bin/false\n"


def base_image(archive: Path, name: str) -> Path:
    """Write the archive of a base image called `name` and give its path."""
    library = standard_library()
    stdlib = next(Path(path).parent for path in library if path.endswith("/asyncio"))
    shell = SHELL.resolve()
    system: Layer = {
        "/bin/sh": shell,
        "/etc/passwd": PASSWD,
        "/tmp/": b"",  # noqa: S108 - the image's
        **({str(CERTIFICATES): CERTIFICATES} if CERTIFICATES.exists() else {}),
    }
    # Into the standard library, as where site-packages is differs between distributions.
    python: Layer = {**library, f"{stdlib}/pip": Path(pip.__file__).parent}
    layers = [shared_libraries([Path(sys.executable), shell, *dynamic_modules()]), system, python]
    env = {"PATH": "/usr/local/bin:/usr/bin:/bin"}
    return write_image(archive, name, layers, command=["python3"], env=env, user=0)
