"""The ways in, whichever door is used: sign up, log in, refresh, log out. REST and TCP lines call these alone.

So both have the same accounts, rules, limits and codes, and each attempt is one audit event.
"""

from __future__ import annotations

from core.clock import new_id
from core.errors import Conflict, Forbidden, NotFound, Refused, Unauthorized
from core.signing import Keyring
from webapi import account_documents as acc
from webapi import documents as doc
from webapi.audit import Audit
from webapi.auth import Caller, Refresh, Tokens, read_refresh
from webapi.login import Login
from webapi.names import GUEST_LEAST, shown
from webapi.origin import Origin
from webapi.settings import Settings
from webapi.store.accounts import AccountRecord, Accounts, LoginRecord
from webapi.store.developer_invitations import DeveloperInvitations
from webapi.store.outside import Outside


class Entrance:
    """See the module. Every method raises Unavailable."""

    def __init__(
        self,
        settings: Settings,
        keyring: Keyring,
        login: Login,
        accounts: Accounts,
        invitations: DeveloperInvitations,
        tokens: Tokens,
        audit: Audit,
    ) -> None:
        self._settings = settings
        self._keyring = keyring
        self._login = login
        self._accounts = accounts
        self._tokens = tokens
        self._invitations = invitations
        self.audit = audit

    async def register(self, body: doc.NewAccount, origin: Origin, now_ms: int) -> doc.Session:
        """A new account and its first session. Raises Forbidden, TooMany, Invalid, Conflict (the name is taken)."""
        with self.audit.attempt("user_registration_failed", origin, body.name):
            if body.role == "developer" and not self._settings.open_developers and body.invitation is None:
                raise Forbidden(
                    "this installation lets nobody sign up as a developer without an invitation: its operator may with "
                    "MUSTER_OPEN_DEVELOPERS=true, and an admin invites with POST /v1/developers/invitations"
                )
            await self._login.admit(origin.address, now_ms)
            account = await self._registered(body, now_ms)
        # Told before the session is opened: the account is there, whatever becomes of that.
        self.audit.tell("user_registered", origin, account.name, player=account.player, role=account.role)
        await self._login.came_from(account.name, origin.address, now_ms)
        return await self.open(account, now_ms)

    async def _registered(self, body: doc.NewAccount, now_ms: int) -> AccountRecord:
        if body.invitation is None:
            return await self._login.register(body.name, body.password, body.role, now_ms)
        player = new_id("player")
        await self._invitations.take(body.invitation, player)
        try:
            return await self._login.register(body.name, body.password, "developer", now_ms, player)
        except Refused:
            await self._invitations.give_back(body.invitation)
            raise

    async def accept(self, code: str, caller: Caller, origin: Origin) -> AccountRecord:
        """Make a developer of the player who asks, by an invitation. Raises Forbidden, Conflict, NotFound."""
        account = await self._changeable(caller.player)
        await self._invitations.take(code, caller.player)
        return await self._change_role(account, "developer", origin, by=code.partition(".")[0])

    async def guest(self, body: doc.NewGuest, origin: Origin, now_ms: int) -> doc.Session:
        """A player without an account to log in to. Raises TooMany, Invalid."""
        player = new_id("player")
        with self.audit.attempt("guest_refused", origin, body.name or ""):
            name = shown(body.name, GUEST_LEAST) if body.name is not None else f"Guest-{player[-5:]}"
            await self._login.admit(origin.address, now_ms)
            session = await self.open(AccountRecord(player, name, "player", now_ms, guest=True), now_ms)
        self.audit.tell("guest_made", origin, name, player=player, role="player")
        return session

    async def upgrade(self, body: acc.GuestAccount, caller: Caller, origin: Origin, now_ms: int) -> doc.Session:
        """Make an account of the guest who asks: the player stays who he is. Raises Invalid, Conflict, NotFound."""
        with self.audit.attempt("user_upgrade_failed", origin, body.name):
            guest = await self._accounts.read(caller.player)
            if not guest.guest:
                raise Conflict("this is no guest", code="not-a-guest")
            account = await self._login.upgrade(guest, body.name, body.password, now_ms)
        self.audit.tell("user_upgraded", origin, account.name, player=account.player, role=account.role)
        await self._login.came_from(account.name, origin.address, now_ms)
        return await self.open(account, now_ms)

    async def login(self, body: doc.Credentials, origin: Origin, now_ms: int) -> doc.Session:
        """A new session of an account. Raises Unauthorized, TooMany (locked out)."""
        with self.audit.attempt("user_login_failed", origin, body.name):
            record = await self._login.enter(body.name, body.password, origin.address, now_ms)
            try:
                session = await self.open(record.account, now_ms, record)
            except NotFound:  # erased at this moment
                raise Unauthorized("there is no account of this name and password", code="wrong-credentials") from None
        self.audit.tell("user_logged_in", origin, session.name, player=session.player, role=session.role)
        return session

    async def from_outside(self, game: str, token: str, outside: Outside, origin: Origin, now_ms: int) -> doc.Session:
        """A session of one game for a token of its issuer. Raises Unauthorized, NotFound (no issuer), TooMany."""
        with self.audit.attempt("user_login_outside_failed", origin, game):
            knocked = await self._login.knock(origin.address, now_ms)
            issuer, claims = await outside.claims(game, token)
            await self._login.entered(knocked)
            if await outside.known(game, claims) is None:
                await self._login.admit(origin.address, now_ms)
            try:
                session = await self.open(await outside.account(game, issuer, claims, now_ms), now_ms)
            except NotFound:
                raise Unauthorized("this player is being erased: come back later", code="wrong-credentials") from None
        self.audit.tell("user_logged_in_outside", origin, session.name, player=session.player, role=session.role)
        return session

    async def refresh(self, body: doc.RefreshToken, origin: Origin, now_ms: int) -> doc.Session:
        """New tokens for a refresh token, which is good once (`webapi.store.sessions`). Raises Unauthorized."""
        old = read_refresh([key.secret for key in self._keyring.keys], body.refresh_token)
        try:
            account, new = await self._accounts.rotate(old, now_ms)
        except Unauthorized as error:
            if error.code == "token-reused":
                self.audit.tell("session_reused", origin, "", player=old.player, reason=error.code)
            raise
        return self._session(account, new, now_ms)

    async def caller(self, access_token: str, now_ms: int) -> Caller:
        """Whose access token this is. Raises Unauthorized, also where its session has ended."""
        caller = self._tokens.verify(access_token, now_ms / 1000)
        if (await self._accounts.sessions.revoked([caller.session]))[0]:
            raise Unauthorized("the session has ended: log in again", code="token-revoked")
        return caller

    async def confirm(self, account: AccountRecord, password: str, origin: Origin, now_ms: int) -> None:
        """See that who asks knows the password of the account. Raises Unauthorized, TooMany."""
        with self.audit.attempt("user_login_failed", origin, account.name):
            record = await self._login.enter(account.name, password, origin.address, now_ms)
            if record.account.player != account.player:
                raise Unauthorized("there is no account of this name and password", code="wrong-credentials")

    async def change_password(self, body: acc.NewPassword, caller: Caller, origin: Origin, now_ms: int) -> None:
        """Change the password of who asks, and end all other sessions. Raises Unauthorized, TooMany, Invalid, Conflict.

        The others end before and after: stopped in between, only what was opened at that very moment lives on, and the
        new password asked for again, as both, ends it.
        """
        with self.audit.attempt("user_password_change_failed", origin, caller.name):
            account = await self._accounts.read(caller.player)
            if account.guest or account.game:
                raise Conflict("this is no account with a password", code="no-password")
            end_others = self._accounts.sessions.revoke_all
            await self._login.change_password(
                account, body.password, body.new_password, origin.address, now_ms,
                before=lambda: end_others(caller.player, caller.session),
            )  # fmt: skip
            await end_others(caller.player, caller.session)
        self.audit.tell("user_password_changed", origin, account.name, player=account.player, role=account.role)

    async def logout(self, caller: Caller, origin: Origin) -> None:
        """End the session that the caller's token is of."""
        await self._accounts.sessions.revoke(caller.player, caller.session)
        self.audit.tell("user_logged_out", origin, caller.name, player=caller.player, role=caller.role)

    async def change_role(self, player: str, role: doc.SettableRole, origin: Origin, by: Caller) -> AccountRecord:
        """Make `player` a player or a developer, and end all sessions of the other role.

        Raises NotFound, Conflict (a guest, who has nothing to log in to; an admin, whom the settings name).
        """
        return await self._change_role(await self._changeable(player), role, origin, by.player)

    async def _changeable(self, player: str) -> AccountRecord:
        account = await self._accounts.read(player)
        if account.guest or account.game:
            raise Conflict("this is a guest: only an account with a name has a role", code="guest")
        if account.role not in ("player", "developer"):
            raise Conflict(f"this is a {account.role}, whose role is not changed here", code="role-fixed")
        return account

    async def _change_role(
        self, account: AccountRecord, role: doc.SettableRole, origin: Origin, by: str
    ) -> AccountRecord:
        changed = await self._accounts.change_role(account, role)
        self.audit.tell("user_role_changed", origin, account.name, player=account.player, role=role, by=by)
        await self._accounts.sessions.revoke_all(account.player)
        return changed

    async def open(self, account: AccountRecord, now_ms: int, record: LoginRecord | None = None) -> doc.Session:
        """A new session. Raises NotFound (erased), Unauthorized (the password of `record` was changed)."""
        account, refresh = await self._accounts.open_session(account, now_ms, record)
        return self._session(account, refresh, now_ms)

    def _session(self, account: AccountRecord, refresh: Refresh, now_ms: int) -> doc.Session:
        access = self._tokens.mint(
            account.player, account.name, account.role, refresh.session, now_ms // 1000, account.game
        )
        return doc.Session(account.player, account.name, account.role, access, refresh.text, self._settings.access_s)
