"""Whether the service runs."""

from __future__ import annotations

from typing import Final

from aiohttp import web

from core.errors import Unavailable
from webapi import account_documents as doc
from webapi.context import Call
from webapi.endpoint import Table

TABLE: Final = Table("service")


@TABLE.route("GET", "/status", known=False, media="text/plain", answer=str)
async def status(call: Call) -> web.Response:
    """A sentence for people."""
    return web.Response(text="Server is running !")


@TABLE.route("GET", "/healthz", known=False, media="text/plain", answer=str)
async def healthz(call: Call) -> web.Response:
    """Liveness: this process answers."""
    return web.Response(text="ok")


@TABLE.route("GET", "/readyz", known=False, media="text/plain", answer=str, errors=(Unavailable,))
async def readyz(call: Call) -> web.Response:
    """Readiness: Redis answers this process, the admin of a first start can log in, and it is not stopping."""
    if call.services.streams.closing:
        raise Unavailable("this replica is stopping", code="stopping")
    await call.services.batch.do("PING")
    if not call.services.admin_there.is_set():
        raise Unavailable("the admin account is being made", code="starting")
    return web.Response(text="ok")


@TABLE.route("GET", "/.well-known/jwks.json", known=False)
async def jwks(call: Call) -> doc.PublicKeys:
    """The public keys that join tokens, and access tokens where they are EdDSA, are verified with (RFC 7517)."""
    call.headers["Cache-Control"] = "public, max-age=300"
    return doc.PublicKeys([doc.PublicKey(**jwk) for jwk in call.services.keyring.jwks()["keys"]])
