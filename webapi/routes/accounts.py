"""Accounts: sign up, log in, refresh, log out."""

from __future__ import annotations

from typing import Final

from core.clock import new_id
from core.errors import Conflict, Forbidden, NotFound, TooMany, Unauthorized
from webapi import documents as doc
from webapi import records
from webapi.auth import Refresh, read_refresh
from webapi.context import Call
from webapi.endpoint import EVERYONE, Table
from webapi.names import GUEST_LEAST, shown
from webapi.store.accounts import AccountRecord

TABLE: Final = Table("accounts")


@TABLE.route("POST", "/v1/accounts", known=False, status=201, errors=(Conflict, Forbidden, TooMany))
async def register(call: Call, body: doc.NewAccount) -> doc.Session:
    """Sign up. As a developer only where this installation lets everybody."""
    if body.role == "developer" and not call.services.settings.open_developers:
        raise Forbidden(
            "this installation lets nobody sign up as a developer: its operator may with MUSTER_OPEN_DEVELOPERS=true"
        )
    await call.services.login.admit(call.address, call.now_ms)
    return await _enter(call, await call.services.login.register(body.name, body.password, body.role, call.now_ms))


@TABLE.route("POST", "/v1/guests", known=False, status=201, errors=(TooMany,))
async def guest(call: Call, body: doc.NewGuest) -> doc.Session:
    """Play without signing up. A guest is forgotten when the refresh token ends."""
    player = new_id("player")
    name = shown(body.name, GUEST_LEAST) if body.name is not None else f"Guest-{player[-5:]}"
    await call.services.login.admit(call.address, call.now_ms)
    return await _enter(call, AccountRecord(player, name, "player", call.now_ms, guest=True))


@TABLE.route("POST", "/v1/login", known=False, errors=(Unauthorized, TooMany))
async def login(call: Call, body: doc.Credentials) -> doc.Session:
    """Log in. After too many failures, of the name or from the address, nobody is let in for a while."""
    return await _enter(call, await call.services.login.enter(body.name, body.password, call.address, call.now_ms))


@TABLE.route("POST", "/v1/refresh", known=False, errors=(Unauthorized,))
async def refresh(call: Call, body: doc.RefreshToken) -> doc.Session:
    """Change a refresh token for new tokens. It is good once: a second use ends the session."""
    old = read_refresh(call.services.secret, body.refresh_token)
    account, new = await call.services.accounts.rotate(old, call.now_ms)
    return _session(call, account, new)


@TABLE.route("POST", "/v1/logout", who=EVERYONE, status=204)
async def logout(call: Call) -> None:
    """End the session: all its tokens are void at once."""
    await call.services.accounts.revoke(call.caller.player, call.caller.session)


@TABLE.route("GET", "/v1/me", who=EVERYONE, errors=(NotFound,))
async def me(call: Call) -> doc.Account:
    """Who the token says you are."""
    account = await call.services.accounts.read(call.caller.player)
    return doc.Account(account.player, account.name, account.role, account.guest, records.iso(account.created_ms))


async def _enter(call: Call, account: AccountRecord) -> doc.Session:
    return _session(call, account, await call.services.accounts.open_session(account, call.now_ms))


def _session(call: Call, account: AccountRecord, refresh: Refresh) -> doc.Session:
    call.headers["Cache-Control"] = "no-store"
    services = call.services
    access = services.tokens.mint(account.player, account.name, account.role, refresh.session, call.now_ms // 1000)
    return doc.Session(account.player, account.name, account.role, access, refresh.text, services.settings.access_s)
