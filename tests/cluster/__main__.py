"""`python -m tests.cluster up|down|status|build`: the test cluster by hand, as root."""

from __future__ import annotations

import sys
import time

import click

from tests.cluster import binaries, cluster, packages
from tests.cluster.sandbox import SandboxError


@click.group(help="A real Kubernetes of one node on this machine, for the tests. See tests/cluster/README.md.")
def main() -> None:
    reason = packages.unavailable(packages.CLUSTER)
    if reason:
        raise click.ClickException(f"no test cluster here: {reason}")


@main.command()
@click.option("--name", default=cluster.NAME, show_default=True, help="several can run side by side")
def up(name: str) -> None:
    """Start it, building and installing what is missing, and say how to reach it."""
    began = time.monotonic()
    try:
        made = cluster.up(name)
    except SandboxError as error:
        raise click.ClickException(str(error)) from error
    print(f"up in {time.monotonic() - began:.1f} s: node {made.node}, address {made.address}", file=sys.stderr)
    print(f"export KUBECONFIG={made.kubeconfig}")


@main.command()
@click.option("--name", default=cluster.NAME, show_default=True)
def down(name: str) -> None:
    """Take it down, with all it left anywhere."""
    began = time.monotonic()
    cluster.down(name)
    print(f"down in {time.monotonic() - began:.1f} s", file=sys.stderr)


@main.command()
@click.option("--name", default=cluster.NAME, show_default=True)
def status(name: str) -> None:
    """Say what runs. Exit code 1 if it is not up, or not whole."""
    found = cluster.running(name)
    if found is None:
        raise click.ClickException("not up")
    codes = found.sandbox.codes()
    for component in found.components:
        code = codes.get(component, "never started")
        print(f"  {component:24} {'runs' if code is None else f'ended: {code}'}")
    print(f"  kubeconfig {found.kubeconfig}\n  logs {found.layout.logs}\n{found.kubectl('get', 'nodes,pods', '-A')}")
    if found.failed():
        raise SystemExit(1)


@main.command()
def build() -> None:
    """Compile what is missing, Helm included, and install the Debian packages, starting nothing."""
    packages.ensure(packages.CLUSTER | packages.DOCKER)
    for wanted in binaries.ALL:
        binaries.ensure(wanted)
        print(f"  {wanted.name} {wanted.version}: {wanted.folder}", file=sys.stderr)


if __name__ == "__main__":
    main()
