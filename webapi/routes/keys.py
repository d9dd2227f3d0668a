"""Keys for programs, and invitations of developers."""

from __future__ import annotations

from typing import Final

from msgspec import UNSET

from core.errors import Conflict, Forbidden, Invalid, NotFound, TooMany
from webapi import account_documents as doc
from webapi import records
from webapi.context import Call
from webapi.documents import Account
from webapi.endpoint import ADMINS, DEVELOPERS, PLAYERS, SCOPES, Table
from webapi.routes.accounts import account_document
from webapi.store.apikeys import ApiKey
from webapi.store.developer_invitations import InvitationRecord

TABLE: Final = Table("keys", keys=False)

DAY_MS: Final = 86_400_000
HOUR_MS: Final = 3_600_000


@TABLE.route("POST", "/v1/keys", who=DEVELOPERS, status=201, errors=(TooMany, NotFound, Forbidden))
async def make(call: Call, body: doc.NewKey) -> doc.MadeKey:
    """A key for a program: what it may is named by its scopes. Its secret is told here and never again."""
    for i, scope in enumerate(body.scopes):
        if scope not in SCOPES:
            raise Invalid(f"there is no scope {scope!r}; there are {', '.join(sorted(SCOPES))}", pointer=f"/scopes/{i}")
    if body.game is not None and not await call.is_insider(body.game):
        raise Forbidden(f"the game {body.game!r} is not yours", code="not-yours")
    made, text = await call.services.api_keys.make(
        call.caller.player, body.name, body.scopes, body.role, body.game or "", call.now_ms,
        call.now_ms + body.days * DAY_MS,
    )  # fmt: skip
    call.services.entrance.audit.tell("api_key_made", call.origin, body.name, player=call.caller.player, by=made.id)
    call.headers["Cache-Control"] = "no-store"
    return doc.MadeKey(_key(made, 0), text)


@TABLE.route("GET", "/v1/keys", who=DEVELOPERS)
async def every(call: Call) -> doc.Keys:
    """Your keys, when each was used last, and the scopes that there are."""
    found = await call.services.api_keys.every(call.caller.player)
    return doc.Keys([_key(key, used_ms) for key, used_ms in found], sorted(SCOPES))


@TABLE.route("DELETE", "/v1/keys/{key}", who=DEVELOPERS, status=204, errors=(NotFound,))
async def revoke(call: Call) -> None:
    """Void a key at once."""
    await call.services.api_keys.revoke(call.caller.player, call.path("key"))
    call.services.entrance.audit.tell(
        "api_key_revoked", call.origin, call.caller.name, player=call.caller.player, by=call.path("key")
    )


@TABLE.route("POST", "/v1/developers/invitations", who=ADMINS, status=201, errors=(TooMany,))
async def invite(call: Call, body: doc.NewDeveloperInvitation) -> doc.MadeDeveloperInvitation:
    """Invite somebody to be a developer: the code is good once, and told here and never again."""
    made, code = await call.services.developer_invitations.make(
        call.caller.player, body.note, call.now_ms, call.now_ms + body.hours * HOUR_MS
    )
    call.services.entrance.audit.tell("invitation_made", call.origin, body.note, by=call.caller.player)
    call.headers["Cache-Control"] = "no-store"
    return doc.MadeDeveloperInvitation(_invitation(made), code)


@TABLE.route("GET", "/v1/developers/invitations", who=ADMINS)
async def invitations(call: Call) -> doc.DeveloperInvitations:
    """Invitations that have not expired, and who took them."""
    return doc.DeveloperInvitations(
        [_invitation(it) for it in await call.services.developer_invitations.every(call.now_ms)]
    )


@TABLE.route("DELETE", "/v1/developers/invitations/{invitation}", who=ADMINS, status=204, errors=(NotFound,))
async def uninvite(call: Call) -> None:
    """Void an invitation at once. Who took it already stays a developer."""
    await call.services.developer_invitations.revoke(call.path("invitation"))
    call.services.entrance.audit.tell("invitation_revoked", call.origin, "", by=call.caller.player)


@TABLE.route("POST", "/v1/me/developer", who=PLAYERS, errors=(NotFound, Conflict, Forbidden))
async def accept(call: Call, body: doc.TakenDeveloperInvitation) -> Account:
    """Become a developer by an invitation. Ends all your sessions: the next login has the role."""
    return account_document(await call.services.entrance.accept(body.code, call.caller, call.origin))


def _key(key: ApiKey, used_ms: int) -> doc.Key:
    return doc.Key(
        key.id, key.name, key.scopes, key.role, records.iso(key.created_ms), records.iso(key.until_ms),
        key.game or UNSET, records.iso(used_ms) if used_ms else UNSET,
    )  # fmt: skip


def _invitation(it: InvitationRecord) -> doc.DeveloperInvitation:
    made, until = records.iso(it.made_ms), records.iso(it.until_ms)
    return doc.DeveloperInvitation(it.id, it.note, it.by, made, until, it.used_by or UNSET)
