"""A sidecar with the reference's fixture in this process, or as the program that `gamepod local` is."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from gamepod.local import local_sdk
from gamepod.sdk.sdk import Sdk
from gamepod.sdk.sidecar import SdkPorts, open_sidecar
from gamepod.transport.http_types import Request, Response, plain
from tests.support import free_port


class Side(NamedTuple):
    """A sidecar, and where it listens."""

    sdk: Sdk
    ports: SdkPorts

    async def call(self, method: str, path: str, body: Any = None, *, raw: bytes | None = None) -> tuple[int, Any]:
        """One request: status and decoded body."""
        data = raw if raw is not None else b"" if body is None else json.dumps(body).encode()
        return await call(self.ports.rest, method, path, data)


async def call(port: int, method: str, path: str, data: bytes = b"{}") -> tuple[int, Any]:
    """One request, written out: status and decoded body."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    head = f"{method} {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: {len(data)}\r\n\r\n"
    writer.write(head.encode() + data)
    reply = await reader.read()
    writer.close()
    top, _, rest = reply.partition(b"\r\n\r\n")
    return int(top.split()[1]), json.loads(rest) if b"json" in top else rest.decode()


@asynccontextmanager
async def side() -> AsyncIterator[Side]:
    """A sidecar in this process."""
    sdk = local_sdk()
    async with open_sidecar(sdk, _nothing_else, 0, 0) as ports:
        yield Side(sdk, ports)


async def _nothing_else(_: Request) -> Response:
    return plain(404, "nothing")


class Program(NamedTuple):
    """A running `gamepod local`."""

    pid: int
    ports: SdkPorts

    def memory_kb(self, what: str = "Rss") -> int:
        """A line of the kernel's account of its memory."""
        lines = Path(f"/proc/{self.pid}/smaps_rollup").read_text().splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith(f"{what}:"))


@contextmanager
def program(log: Path) -> Iterator[Program]:
    """The program, up."""
    ports = SdkPorts(free_port(), free_port())
    # As it is for a game: what coverage loads into it would be seen as its own.
    env = {name: value for name, value in os.environ.items() if not name.startswith("COVERAGE_")}
    env |= {"MUSTER_SDK_PORT": str(ports.rest), "MUSTER_SDK_GRPC_PORT": str(ports.grpc)}
    with log.open("wb") as output:
        process = subprocess.Popen([sys.executable, "-m", "gamepod", "local"], env=env, stdout=output, stderr=output)
    try:
        waits = f"from gamepod import up; up.MOST_S = 60.0; raise SystemExit(up.main({ports.rest}))"
        subprocess.run([sys.executable, "-c", waits], check=True)
        yield Program(process.pid, ports)
    finally:
        process.terminate()
        assert process.wait(60) == 0, log.read_text()
