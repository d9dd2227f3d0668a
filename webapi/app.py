"""The application: what lives as long as it does, opened and closed in pairs, and the router built from the tables."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, suppress
from functools import partial
from typing import Final, cast

from aiohttp import web

from core.beats import Beats
from core.clock import now_ms
from core.deadlines import Deadlines
from core.doorbell import open_doorbell
from core.errors import Misconfigured, MusterError
from core.log import get
from core.redis.batch import Batch
from core.redis.client import open_database
from core.settings import Common
from webapi.audit import Audit
from webapi.auth import Algorithm, Tokens
from webapi.context import SERVICES, Services
from webapi.endpoint import endpoint
from webapi.entrance import Entrance
from webapi.erasing import Erasing
from webapi.followers import Followers
from webapi.guard import add_headers, guard
from webapi.login import Login
from webapi.metrics import Metrics
from webapi.outside_keys import open_outside_keys
from webapi.passwords import open_passwords
from webapi.relay.relay import Relay
from webapi.routes import TABLES
from webapi.settings import Settings
from webapi.site import add_site
from webapi.store.accounts import Accounts
from webapi.store.analytics import Counted
from webapi.store.apikeys import ApiKeys
from webapi.store.boards import Boards
from webapi.store.developer_invitations import DeveloperInvitations
from webapi.store.drains import Drains
from webapi.store.games import Games
from webapi.store.hooks import Hooks
from webapi.store.invitations import Invitations
from webapi.store.matches import Matches
from webapi.store.outside import Outside
from webapi.store.overview import OverviewReader
from webapi.store.packs import Packs
from webapi.store.parties import Parties
from webapi.store.personal import Stores
from webapi.store.presence import Presence
from webapi.store.queues import Queues
from webapi.store.sessions import Sessions
from webapi.store.story import Stories
from webapi.store.supplies import Supplies
from webapi.store.tickets import Tickets
from webapi.store.versions import Versions
from webapi.streams import Streams
from webapi.trail import Trail
from webapi.watch import OverviewWatch

log = get("app")

ADMIN_RETRY_S: Final = 1.0  # Redis may start after us


def make_app(common: Common, settings: Settings, metrics: Metrics) -> web.Application:
    """The application. Raises Misconfigured where there is no secret."""
    secret = common.require_secret()
    app = web.Application(middlewares=[guard], client_max_size=settings.body_bytes)

    async def lifetime(app: web.Application) -> AsyncIterator[None]:
        async with AsyncExitStack() as stack:
            app[SERVICES] = services = await _open(stack, common, settings, secret, metrics)
            stack.push_async_callback(services.beats.close)
            stack.push_async_callback(services.entrance.audit.trail.close)
            for work in (
                services.streams.run(),
                services.pack_streams.run(),
                services.overview.run(),
                services.erasing.run(),
                services.relay.run(),
                services.beats.run(),
                services.entrance.audit.trail.run(),
                _ensure_admin(services),
            ):
                stack.push_async_callback(_end, asyncio.ensure_future(work))
            yield

    async def say_goodbye(app: web.Application) -> None:
        app[SERVICES].streams.close()
        app[SERVICES].pack_streams.close()
        app[SERVICES].relay.close()
        app[SERVICES].feeds.close()
        app[SERVICES].followers.close()
        app[SERVICES].overview.close()

    app.cleanup_ctx.append(lifetime)
    app.on_shutdown.append(say_goodbye)
    app.on_response_prepare.append(add_headers)
    routes = [route for table in TABLES for route in table.routes]
    deadlines = Deadlines(settings.request_s)
    for route in routes:
        app.router.add_route(route.method, route.path, endpoint(route, settings.request_s, deadlines))
    add_site(app, routes)
    return app


async def _open(stack: AsyncExitStack, common: Common, settings: Settings, secret: str, metrics: Metrics) -> Services:
    db = metrics.watching(await stack.enter_async_context(open_database(common.redis_url)))
    batch = Batch(db)
    passwords = stack.enter_context(open_passwords(settings.hash_threads, settings.hash_waiting, metrics))
    keyring = common.signing()
    accounts = Accounts(batch, Sessions(batch, keyring, settings.access_s, settings.refresh_s), settings.refresh_s)
    login = Login(batch, accounts, passwords, settings, metrics, secret)
    invited = DeveloperInvitations(batch)
    outside_keys = await stack.enter_async_context(open_outside_keys(private=settings.issuers_private))
    tokens = Tokens(keyring, settings.access_s, cast(Algorithm, settings.access_algorithm))
    trail = Trail(batch, metrics.trail_dropped.inc)
    metrics.trail_waiting.set_function(lambda: trail.waiting)
    entrance = Entrance(settings, keyring, login, accounts, invited, tokens, Audit(metrics, trail))
    tickets, games, packs = Tickets(batch), Games(batch), Packs(batch)
    boards, parties = Boards(batch, accounts), Parties(batch)
    beats = Beats(batch.call, int(settings.presence_timeout_s * 1000))
    metrics.count_beats(beats)
    streams = Streams(tickets, accounts.sessions, settings, metrics, beats)
    pack_streams = Streams(packs, accounts.sessions, settings, metrics, beats, "packs")
    each = settings.streams_per_player
    feeds = Followers(settings.overview_streams, each, metrics.streams.labels("feed"))
    followers = Followers(settings.streams, each, metrics.streams.labels("player"))
    bell = await stack.enter_async_context(
        open_doorbell(
            db,
            topics=["ticket", "told", "feed", "party", "packs"],
            heard=partial(_heard, streams, pack_streams, feeds, followers),
            bind=common.doorbell_bind,
            host=common.doorbell_host,
        )
    )
    return Services(
        settings=settings,
        secret=secret,
        keyring=keyring,
        proxies=settings.proxies,
        batch=batch,
        bell=bell,
        metrics=metrics,
        login=login,
        entrance=entrance,
        accounts=accounts,
        api_keys=ApiKeys(batch),
        developer_invitations=invited,
        outside=Outside(batch, accounts, outside_keys, private=settings.issuers_private),
        games=games,
        versions=Versions(batch, games),
        tickets=tickets,
        queues=Queues(batch),
        supplies=Supplies(batch),
        drains=Drains(batch),
        matches=Matches(batch),
        counted=Counted(batch),
        stories=Stories(batch),
        boards=boards,
        parties=parties,
        packs=packs,
        streams=streams,
        pack_streams=pack_streams,
        relay=Relay(settings, metrics),
        beats=beats,
        presence=Presence(batch),
        hooks=Hooks(batch),
        feeds=feeds,
        followers=followers,
        invitations=Invitations(batch),
        overview=OverviewWatch(OverviewReader(batch), settings.overview_streams, metrics),
        erasing=Erasing(db, accounts, Stores(batch, tickets, boards, parties)),
        admin_there=asyncio.Event(),
    )


def _heard(
    streams: Streams, pack_streams: Streams, feeds: Followers, followers: Followers, topic: str, ids: list[str]
) -> None:
    """Tell a ring of the doorbell to those whom it concerns."""
    if topic == "feed":
        feeds.heard(ids)
        return
    if topic == "packs":
        pack_streams.heard(topic, ids)
        return
    streams.heard(topic, ids)
    if topic in ("party", "ticket"):
        followers.heard(ids)


async def _ensure_admin(services: Services) -> None:
    """Make the admin account as soon as Redis is there. A name that is somebody else's is logged, and not retried."""
    while services.settings.admin_name:
        try:
            await services.login.ensure_admin(now_ms())
        except Misconfigured as error:
            log.error("no admin account", detail=error.detail)
        except MusterError:
            await asyncio.sleep(ADMIN_RETRY_S)
            continue
        break
    services.admin_there.set()


async def _end(task: asyncio.Future[None]) -> None:
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task
