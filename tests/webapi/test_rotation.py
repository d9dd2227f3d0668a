"""A secret is changed while players play: nobody is logged out, and what was signed with it is void in the end."""

from __future__ import annotations

import jwt
import pytest

from core.errors import Misconfigured
from core.jointoken import verify
from core.model import Server
from core.redis.client import Database
from core.settings import Common
from tests.webapi.support import SECRET, claim, make_ready, open_api

NEW = "a new secret of thirty-two bytes."


@pytest.mark.parametrize("algorithm", ["HS256", "EdDSA"])
async def test_a_secret_is_changed_without_logging_anybody_out(redis_url: str, algorithm: str) -> None:
    """Both known, the new one signing, the old one gone: a session goes through all three, an old token does not."""
    async with open_api(redis_url, access_algorithm=algorithm) as before:
        session = await before.account("Long here")
        old = session["access_token"]
        kids = [key["kid"] for key in (await before.ask("GET", "/.well-known/jwks.json")).body["keys"]]
    for signing in (f"{SECRET},{NEW}", f"{NEW},{SECRET}"):
        async with open_api(redis_url, signing_secrets=signing, access_algorithm=algorithm) as during:
            assert (await during.ask("GET", "/v1/me", token=old)).status == 200
            assert (await during.ask("GET", "/v1/me", token=session["access_token"])).status == 200
            answer = await during.ask("POST", "/v1/refresh", {"refresh_token": session["refresh_token"]})
            assert answer.status == 200
            session = answer.body
            listed = [key["kid"] for key in (await during.ask("GET", "/.well-known/jwks.json")).body["keys"]]
            assert set(kids) < set(listed)
            assert jwt.get_unverified_header(session["access_token"])["kid"] == listed[0]
    async with open_api(redis_url, signing_secrets=NEW, access_algorithm=algorithm) as after:
        assert (await after.ask("GET", "/v1/me", token=session["access_token"])).status == 200
        assert (await after.ask("POST", "/v1/refresh", {"refresh_token": session["refresh_token"]})).status == 200
        assert (await after.ask("GET", "/v1/me", token=old)).problem == "invalid-token"


async def test_a_server_that_knows_both_takes_tokens_of_either(redis_url: str, db: Database) -> None:
    """A match that began while both secrets were known is joined with tokens of the old one and of the new one."""
    keys = Common(secret=SECRET, signing_secrets=f"{SECRET},{NEW}").signing()
    async with open_api(redis_url) as api:
        await api.game()
        player = await api.guest()
        ticket = await api.ticket(player)
    for server in (Server(arena={}), Server(command=["./game"])):
        match = await claim(db, "tanks", ticket, server=server)
        await make_ready(db, "tanks", match)
        for signing in (SECRET, NEW):
            async with open_api(redis_url, signing_secrets=f"{signing},{SECRET}") as api:
                path = f"/v1/tickets/tanks/{ticket['id']}"
                token = (await api.ask("GET", path, token=player["access_token"])).body["join_token"]
                assert verify(keys.match_keys(match), token, match, 0).player == player["player"]
        async with open_api(redis_url) as api:
            ticket = await api.ticket(player)


@pytest.mark.parametrize("given", ["short", f"{SECRET},short", f"{SECRET},", ",".join([SECRET] * 5)])
def test_signing_secrets_that_cannot_be_meant_are_named(given: str) -> None:
    """Too short, an empty one, too many: the variable is named, and no secret is in the words."""
    with pytest.raises(Misconfigured, match="MUSTER_SIGNING_SECRETS") as caught:
        Common(secret=SECRET, signing_secrets=given)
    assert SECRET not in caught.value.detail
