"""The README's commands, taken out of it as they stand there and run by a shell: what is written is what is tested."""

from __future__ import annotations

import os
import re
import signal
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from tests.chart.rendered import ROOT

README: Final = ROOT / "README.md"


def commands(heading: str) -> str:
    """All shell blocks between this heading and the next one of its rank or above, as one script."""
    rank = heading.split(" ")[0]
    text = README.read_text().partition(f"\n{heading}\n")[2]
    assert text, f"the README has no heading {heading!r}"
    section = re.split(rf"^#{{1,{len(rank)}}} ", text, maxsplit=1, flags=re.MULTILINE)[0]
    blocks = re.findall(r"^```sh\n(.*?)^```$", section, re.MULTILINE | re.DOTALL)
    assert blocks, f"no shell blocks under {heading!r}"
    return "\n".join(blocks)


@contextmanager
def running(
    script: str, log: Path, env: Mapping[str, str], enter: Sequence[str] = ()
) -> Iterator[subprocess.Popen[bytes]]:
    """The script in bash, from the project's folder, each command shown before it runs and the first failure the end.

    `enter` stands before bash on the command line. At the end whatever runs in the script's background is ended.
    """
    with log.open("wb") as output:
        process = subprocess.Popen(
            [*enter, "bash", "-euxo", "pipefail", "-c", script],
            cwd=ROOT,
            env=dict(env),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
    try:
        yield process
    finally:
        # The group is the script's own, and it is there as long as anything of it is.
        for number in (signal.SIGTERM, signal.SIGKILL):
            try:
                os.killpg(process.pid, number)
            except ProcessLookupError:
                break
            process.wait()
