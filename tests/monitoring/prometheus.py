"""A real Prometheus, on loopback and a free port, that scrapes a running stack as examples/prometheus does."""

from __future__ import annotations

import json
import shutil
import subprocess
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import yaml

from tests.stack import ROOT
from tests.support import end, free_port

EXAMPLE: Final = ROOT / "examples" / "prometheus"
START_S: Final = 60.0


@dataclass
class Prometheus:
    """Asked through its HTTP API."""

    url: str
    folder: Path

    def get(self, path: str, **query: str) -> Any:
        """The `data` of an answer. Fails with what it complained of."""
        url = f"{self.url}/api/v1/{path}" + (f"?{urllib.parse.urlencode(query)}" if query else "")
        try:
            with urllib.request.urlopen(url, timeout=10) as answer:
                told = json.load(answer)
        except urllib.error.HTTPError as error:
            raise AssertionError(f"{url}: {error.read().decode()}") from None
        assert told["status"] == "success", told
        return told["data"]

    def targets(self) -> dict[str, list[str]]:
        """The health of each job's targets; what a scrape that failed said follows it."""
        found: dict[str, list[str]] = {}
        for target in self.get("targets", state="active")["activeTargets"]:
            found.setdefault(target["labels"]["job"], []).append(f"{target['health']} {target['lastError']}".strip())
        return found

    def names(self) -> set[str]:
        """Every metric, and recording, that there is a series of."""
        return set(self.get("label/__name__/values"))

    def said(self) -> str:
        return (self.folder / "prometheus.log").read_text()[-3000:]


def settings(ports: Mapping[str, int]) -> dict[str, Any]:
    """The example's configuration with these ports, scraping as often as a test can wait; `ports` by job."""
    text = (EXAMPLE / "prometheus.yml").read_text().replace("  # - ", "  - ").replace("  #   ", "    ")
    document: dict[str, Any] = yaml.safe_load(text)
    document["global"] = {"scrape_interval": "1s", "scrape_timeout": "1s", "evaluation_interval": "1s"}
    document["rule_files"] = [str(EXAMPLE / "rules.yaml")]
    for job in document["scrape_configs"]:
        for static in job.get("static_configs", []):
            static["targets"] = [f"127.0.0.1:{ports[job['job_name']]}"]
        for found in job.get("http_sd_configs", []):
            found |= {"url": f"http://127.0.0.1:{ports['matchmaker']}/targets", "refresh_interval": "1s"}
    return document


@contextmanager
def running_prometheus(folder: Path, ports: Mapping[str, int]) -> Iterator[Prometheus]:
    """A Prometheus for the length of the block."""
    program = shutil.which("prometheus")
    assert program is not None, "no prometheus here: tools/install-test-deps.sh installs it"
    (folder / "prometheus.yml").write_text(yaml.safe_dump(settings(ports)))
    port = free_port()
    command = [
        program, f"--config.file={folder / 'prometheus.yml'}", f"--storage.tsdb.path={folder / 'data'}",
        f"--web.listen-address=127.0.0.1:{port}", "--log.level=warn",
    ]  # fmt: skip
    with (folder / "prometheus.log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log)
    made = Prometheus(f"http://127.0.0.1:{port}", folder)
    try:
        deadline = time.monotonic() + START_S
        while True:
            try:
                with urllib.request.urlopen(f"{made.url}/-/ready", timeout=2):
                    break
            except OSError:
                assert process.poll() is None, made.said()
                assert time.monotonic() < deadline, made.said()
                time.sleep(0.1)
        yield made
    finally:
        end(process)
