"""Accounts: sign up, log in, refresh, log out; and who may be a developer."""

from __future__ import annotations

from typing import Final

from core.errors import Conflict, Forbidden, NotFound, TooMany, Unauthorized
from webapi import account_documents as acc
from webapi import documents as doc
from webapi import records
from webapi.context import Call
from webapi.endpoint import ADMINS, EVERYONE, PLAYERS, Table
from webapi.store.accounts import AccountRecord

TABLE: Final = Table("accounts", keys=False)


@TABLE.route("POST", "/v1/accounts", known=False, status=201, errors=(Conflict, Forbidden, TooMany))
async def register(call: Call, body: doc.NewAccount) -> doc.Session:
    """Sign up. As a developer only where this installation lets everybody."""
    return _secret(call, await call.services.entrance.register(body, call.origin, call.now_ms))


@TABLE.route("GET", "/v1/accounts", who=ADMINS, errors=(NotFound,))
async def named(call: Call, query: doc.NamedAccount) -> doc.Account:
    """Find an account by its name. Guests have none."""
    record = await call.services.accounts.login(query.name)
    if record is None:
        raise NotFound(f"nobody has the name {query.name!r}")
    return account_document(record.account)


@TABLE.route("PUT", "/v1/accounts/{player}/role", who=ADMINS, errors=(NotFound, Conflict))
async def change_role(call: Call, body: doc.NewRole) -> doc.Account:
    """Make somebody a developer, or a player again. Ends all of that account's sessions: the next login has the role.

    Guests have no role to change, and admins are the operator's.
    """
    entrance = call.services.entrance
    return account_document(await entrance.change_role(call.path("player"), body.role, call.origin, call.caller))


@TABLE.route("POST", "/v1/guests", known=False, status=201, errors=(TooMany,))
async def guest(call: Call, body: doc.NewGuest) -> doc.Session:
    """Play without signing up. A guest is forgotten when the refresh token ends."""
    return _secret(call, await call.services.entrance.guest(body, call.origin, call.now_ms))


@TABLE.route("POST", "/v1/me/account", who=PLAYERS, status=201, errors=(Conflict, NotFound))
async def upgrade(call: Call, body: acc.GuestAccount) -> doc.Session:
    """Make an account of the guest you are: you keep your id, and all that is yours. Answers with a new session."""
    return _secret(call, await call.services.entrance.upgrade(body, call.caller, call.origin, call.now_ms))


@TABLE.route("PUT", "/v1/me/password", who=EVERYONE, status=204, errors=(NotFound, Conflict, TooMany))
async def change_password(call: Call, body: acc.NewPassword) -> None:
    """Change your password. All your other sessions end. A wrong one counts as a failed login does."""
    await call.services.entrance.change_password(body, call.caller, call.origin, call.now_ms)


@TABLE.route("POST", "/v1/login", known=False, errors=(Unauthorized, TooMany))
async def login(call: Call, body: doc.Credentials) -> doc.Session:
    """Log in. After too many failures, of the name or from the address, nobody is let in for a while."""
    return _secret(call, await call.services.entrance.login(body, call.origin, call.now_ms))


@TABLE.route("POST", "/v1/refresh", known=False, errors=(Unauthorized,))
async def refresh(call: Call, body: doc.RefreshToken) -> doc.Session:
    """Change a refresh token for new tokens. It is good once: a second use ends the session.

    An answer that was lost may be asked for again while the new refresh token was not used: within a minute it is the
    same answer, after that another one, and the lost token is void.
    """
    return _secret(call, await call.services.entrance.refresh(body, call.origin, call.now_ms))


@TABLE.route("POST", "/v1/logout", who=EVERYONE, status=204)
async def logout(call: Call) -> None:
    """End the session: all its tokens are void at once."""
    await call.services.entrance.logout(call.caller, call.origin)


@TABLE.route("GET", "/v1/me", who=EVERYONE, errors=(NotFound,))
async def me(call: Call) -> doc.Account:
    """Who the token says you are."""
    return account_document(await call.services.accounts.read(call.caller.player))


def account_document(record: AccountRecord) -> doc.Account:
    """An account as the API tells it."""
    return doc.Account(record.player, record.name, record.role, record.guest, records.iso(record.created_ms))


def _secret(call: Call, session: doc.Session) -> doc.Session:
    call.headers["Cache-Control"] = "no-store"
    return session
