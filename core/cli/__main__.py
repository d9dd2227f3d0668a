"""The commands: see `muster --help`."""

from __future__ import annotations

import os
import sys

import click
from click.shell_completion import get_completion_class

from core.capacity import Load
from core.cli import backup, capacity, demo, doctor, local, rebuild, secrets, up
from core.cli.remote import accounts, drain, games, matches, stories
from core.cli.settings import StackSettings
from core.errors import Misconfigured, MusterError
from core.misspelt import misspelt
from core.process import version
from core.serve import EXIT_MISCONFIGURED
from core.settings import from_env


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(version(), prog_name="muster")
def cli() -> None:
    """Muster: game servers on demand."""


@cli.command("up")
@click.option("--verbose", "-v", is_flag=True, help="Show the services' logs here instead of in the data folder.")
def up_command(*, verbose: bool) -> None:
    """Run Redis, webapi and matchmaker here, and print the URL of the page.

    Data is kept in .data (MUSTER_DATA_DIR). With REDIS_URL set, that Redis is used and none is started.
    """
    settings = from_env(StackSettings, os.environ)
    for name, meant in misspelt(os.environ):
        up.say(f"{name} is no setting, and does nothing" + (f": is {meant} meant?" if meant else ""))
    raise SystemExit(up.run(settings, verbose=verbose))


@cli.command("demo")
@click.option("--players", default=100, show_default=True, metavar="N", help=f"Bots; a multiple of {demo.PER_MATCH}.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object instead of a table.")
def demo_command(*, players: int, as_json: bool) -> None:
    """Send bots over UDP, TCP and WebSocket through the running stack, or through one of its own.

    Exits with 1 where a bot failed, an interaction is missing or a server is left over.
    """
    if players < demo.PER_MATCH or players % demo.PER_MATCH or players > demo.MAX_PLAYERS:
        raise click.BadParameter(
            f"{players} is not a multiple of {demo.PER_MATCH} up to {demo.MAX_PLAYERS}: a match of the demo has "
            f"{demo.PER_MATCH} players",
            param_hint="--players",
        )
    raise SystemExit(demo.run(from_env(StackSettings, os.environ), players, as_json=as_json))


@cli.command("local")
@click.option("--players", default=2, show_default=True, metavar="N", help="Of a match.")
@click.option("--ready", type=click.Choice(["sdk", "port"]), default="sdk", show_default=True, help="What means ready.")
@click.option("--protocol", type=click.Choice(["udp", "tcp", "ws"]), default="tcp", show_default=True)
@click.option("--verbose", "-v", is_flag=True, help="Show the services' logs here.")
@click.argument("command", nargs=-1, type=click.UNPROCESSED)
def local_command(*, players: int, ready: str, protocol: str, verbose: bool, command: tuple[str, ...]) -> None:
    """Run the SDK's sidecar alone, or with -- COMMAND a whole stack with that game in it.

    Alone it is what Agones' local mode is, on ports 9358 (REST) and 9357 (gRPC): MUSTER_SDK_PORT, MUSTER_SDK_GRPC_PORT.
    """
    if not command:
        raise SystemExit(local.sidecar())
    spec = local.registration(command, players=players, ready=ready, protocol=protocol)
    raise SystemExit(local.run(from_env(StackSettings, os.environ), spec, verbose=verbose))


@cli.command("rebuild")
@click.argument("game")
def rebuild_command(*, game: str) -> None:
    """Make the views and activity counts of GAME again from its log, which stays as it is.

    On REDIS_URL, or else on the Redis of the stack that runs in .data. Matches may go on; what they count in this
    moment is left to them.
    """
    raise SystemExit(rebuild.run(from_env(StackSettings, os.environ), game))


@cli.command("backup")
@click.option("--to", default="", metavar="PLACE", help="A folder, or s3://bucket/prefix.  [default: .data/backups]")
@click.option("--keep", default=7, show_default=True, metavar="N", help="Newest backups that stay.")
@click.option("--every", default=0, metavar="S", help="Go on for ever, one each S seconds.")
def backup_command(*, to: str, keep: int, every: int) -> None:
    """Copy all that Redis holds, while everything goes on.

    Of REDIS_URL, or else of the Redis of the stack that runs in .data. Needs no access to Redis' disk.
    """
    raise SystemExit(backup.run(from_env(StackSettings, os.environ), to, version(), keep=keep, every_s=every))


@cli.command("backups")
@click.option("--at", default="", metavar="PLACE", help="A folder, or s3://bucket/prefix.  [default: .data/backups]")
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of a table.")
def backups_command(*, at: str, as_json: bool) -> None:
    """List backups, oldest first."""
    raise SystemExit(backup.listing(from_env(StackSettings, os.environ), at, as_json=as_json))


@cli.command("restore")
@click.option("--from", "source", default="", metavar="PLACE", help="Where backups are.  [default: .data/backups]")
@click.option("--replace", is_flag=True, help="Remove first what the Redis holds.")
@click.option("--check", is_flag=True, help="Only look whether the backup is whole and undamaged.")
@click.argument("name", default="")
def restore_command(*, source: str, replace: bool, check: bool, name: str) -> None:
    """Put the backup NAME, or the newest, into an empty Redis of any shape: REDIS_URL, or the one of .data.

    Stop the services first.
    """
    settings = from_env(StackSettings, os.environ)
    raise SystemExit(backup.put_back(settings, source, name, replace=replace, only_check=check))


@cli.command("secrets")
@click.option("--namespace", required=True, help="Namespace of the release.")
@click.option("--release", default="muster", show_default=True, help="Name of the release.")
@click.option("--fullname", default="", help="What its names begin with, where an override says so.")
@click.option("--name", default="muster", show_default=True, help="Name of the Secret (secrets.name).")
@click.option("--games-namespace", default="", help="Namespace of the game servers, if another (games.namespace).")
@click.option("--redis-url", default="", help="URL of a Redis of your own (redis.enabled false).")
@click.option("--admin", default="", metavar="NAME", help="Make an admin of this name too (secrets.admin true).")
def secrets_command(
    *, namespace: str, release: str, fullname: str, name: str, games_namespace: str, redis_url: str, admin: str
) -> None:
    """Print the Secrets that the Helm chart expects.

    muster secrets --namespace games | kubectl create -f -
    """
    found = secrets.documents(
        name,
        namespace,
        fullname or secrets.fullname(release),
        games_namespace=games_namespace,
        redis_url=redis_url,
        admin=admin,
    )
    click.echo(secrets.text(found))


def _at_least(least: float) -> click.FloatRange:
    return click.FloatRange(min=least, max=1e9)


@cli.command("capacity")
@click.option("--players", default=10_000, show_default=True, type=click.IntRange(1, 10**9), help="Connected at once.")
@click.option("--per-match", default=10, show_default=True, type=click.IntRange(1, 1000))
@click.option("--match-s", default=600.0, show_default=True, type=_at_least(1), help="Length of a match.")
@click.option("--wait-s", default=20.0, show_default=True, type=_at_least(0), help="For a match.")
@click.option("--lobby-s", default=120.0, show_default=True, type=_at_least(0), help="Between two matches.")
@click.option("--actions-hz", default=1.0, show_default=True, type=_at_least(0), help="Kept interactions of a player.")
@click.option("--games", default=1, show_default=True, type=click.IntRange(1, 10**6), help="Registered.")
@click.option("--flush-s", default=0.03, show_default=True, type=_at_least(0.001), help="MUSTER_FLUSH_S.")
@click.option("--core", default=0.03, show_default=True, type=_at_least(0), help="Price of a core for an hour.")
@click.option("--memory", default=0.004, show_default=True, type=_at_least(0), help="Price of a GB for an hour.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of tables.")
def capacity_command(*, core: float, memory: float, flush_s: float, as_json: bool, **load: float) -> None:
    """Work out what so many players need, what it costs, and which limit comes first: docs/scale.md."""
    wanted = Load(**load, flush_hz=1 / flush_s)  # type: ignore[arg-type]
    show = capacity.document if as_json else capacity.text
    click.echo(show(wanted, core=core, memory_gb=memory))


@cli.command("doctor")
def doctor_command() -> None:
    """Look whether what Muster needs is there, and say what to do where it is not."""
    raise SystemExit(doctor.run(from_env(StackSettings, os.environ), os.environ))


@cli.command("completion")
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def completion_command(*, shell: str) -> None:
    """Print the completion of SHELL: eval "$(muster completion bash)"."""
    found = get_completion_class(shell)
    assert found is not None
    click.echo(found(cli, {}, "muster", "_MUSTER_COMPLETE").source())


for command in (*accounts.COMMANDS, *games.COMMANDS, *matches.COMMANDS, *drain.COMMANDS, *stories.COMMANDS):
    cli.add_command(command)


def main() -> None:
    """Entry point of the console command."""
    try:
        cli()
    except Misconfigured as error:
        print(f"muster: {error.detail}", file=sys.stderr)
        sys.exit(EXIT_MISCONFIGURED)
    except MusterError as error:
        print(f"muster: {error.detail}", file=sys.stderr)
        sys.exit(1)


if __name__ == "__main__":
    main()
