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
# Those of the C library's family that any wheel may take for granted (PEP 599, PEP 600).
TAKEN_FOR_GRANTED: Final = (
    "libdl.so.2", "libgcc_s.so.1", "libpthread.so.0", "libresolv.so.2", "librt.so.1", "libstdc++.so.6", "libutil.so.1",
    "libz.so.1",
)  # fmt: skip
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
    libraries = shared_libraries([Path(sys.executable), shell, *dynamic_modules()])
    beside = next(Path(path).parent for path in libraries if path.endswith("/libc.so.6"))
    libraries |= {str(beside / name): beside / name for name in TAKEN_FOR_GRANTED if (beside / name).exists()}
    layers = [libraries, system, python]
    env = {"PATH": "/usr/local/bin:/usr/bin:/bin"}
    return write_image(archive, name, layers, command=["python3"], env=env, user=0)
