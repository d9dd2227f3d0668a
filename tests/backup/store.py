"""A real S3 store for tests: versitygw over a folder, on loopback."""

from __future__ import annotations

import os
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.cluster.binaries import VERSITYGW, program
from tests.support import free_port

START_S = 60.0
BUCKET = "backups"


@contextmanager
def s3_store(folder: Path) -> Iterator[dict[str, str]]:
    """Environment that leads to a store with one empty bucket."""
    (folder / "objects" / BUCKET).mkdir(parents=True)
    port = free_port()
    address = f"127.0.0.1:{port}"
    env = {"ROOT_ACCESS_KEY": "tester", "ROOT_SECRET_KEY": "not a secret", "HOME": str(folder), "PATH": os.defpath}
    with (folder / "store.log").open("wb") as log:
        process = subprocess.Popen(
            [program(VERSITYGW, "versitygw"), "--port", address, "posix", "--sidecar", str(_made(folder / "meta")),
             str(folder / "objects")],
            env=env, stdout=log, stderr=subprocess.STDOUT,
        )  # fmt: skip
    try:
        until = time.monotonic() + START_S
        while not _answers(address):
            assert process.poll() is None, (folder / "store.log").read_text()
            assert time.monotonic() < until, (folder / "store.log").read_text()
            time.sleep(0.05)
        yield {
            "AWS_ENDPOINT_URL": f"http://{address}",
            "AWS_ACCESS_KEY_ID": env["ROOT_ACCESS_KEY"],
            "AWS_SECRET_ACCESS_KEY": env["ROOT_SECRET_KEY"],
        }
    finally:
        process.kill()
        process.wait()


def _made(folder: Path) -> Path:
    folder.mkdir()
    return folder


def _answers(address: str) -> bool:
    try:
        urllib.request.urlopen(f"http://{address}/", timeout=5).close()
    except urllib.error.HTTPError:
        return True  # it wants to know who we are
    except OSError:
        return False
    return True
