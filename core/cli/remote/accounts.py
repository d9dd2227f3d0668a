"""`muster login`, `logout`, `whoami`, `accounts`."""

from __future__ import annotations

import sys

import click

from core.cli.remote.shown import remote, show_one
from core.cli.remote.site import Site


@click.command()
@click.argument("name")
@click.option("--password-stdin", is_flag=True, help="Read the password from standard input, for scripts.")
@remote
def login(to: Site, name: str, *, password_stdin: bool) -> None:
    """Log in as NAME and keep the session for later commands."""
    password = (
        sys.stdin.readline().rstrip("\n") if password_stdin else click.prompt("Password", hide_input=True, err=True)
    )
    kept = to.login(name, password)
    click.echo(f"logged in to {to.url} as {kept.name} ({kept.role})")


@click.command()
@remote
def logout(to: Site) -> None:
    """End the session that `login` kept."""
    click.echo(f"logged out of {to.url}" if to.logout() else f"nobody was logged in to {to.url}")


@click.command()
@remote
def whoami(to: Site) -> None:
    """Who later commands speak as."""
    account = to.call("GET", "me")
    show_one(account, [("at", to.url), *((k, account[k]) for k in ("name", "player", "role", "created_at"))])


@click.group()
def accounts() -> None:
    """Accounts, for admins."""


@accounts.command("show")
@click.argument("name")
@remote
def account_show(to: Site, name: str) -> None:
    """The account of that NAME."""
    account = to.call("GET", "accounts", name=name)
    show_one(account, [(k, account[k]) for k in ("name", "player", "role", "guest", "created_at")])


@accounts.command("role")
@click.argument("name")
@click.argument("role", type=click.Choice(["player", "developer"]))
@remote
def account_role(to: Site, name: str, role: str) -> None:
    """Make the account NAME a developer, or a player again. Its sessions end."""
    player = to.call("GET", "accounts", name=name)["player"]
    account = to.call("PUT", "accounts", player, "role", body={"role": role})
    show_one(account, [(k, account[k]) for k in ("name", "player", "role")])


COMMANDS = (login, logout, whoami, accounts)
