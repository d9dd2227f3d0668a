"""`python -m matchmaker`: settings, parts, and their ends in reverse order."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from typing import Any

from core import log
from core.doorbell import Doorbell, open_doorbell
from core.instruments import new_registry, watch_redis
from core.metrics import metrics_server
from core.misspelt import warn_of_misspelt
from core.process import unique_name
from core.redis.client import Database, open_database
from core.release import member
from core.serve import run
from core.settings import Common, from_env
from matchmaker.docker_settings import DockerSettings
from matchmaker.launch.base import Changed, Launcher
from matchmaker.launch.instant import InstantLauncher
from matchmaker.launch.process import ProcessLauncher
from matchmaker.loop import Matchmaker
from matchmaker.metrics import Metrics
from matchmaker.outgoing import Outgoing
from matchmaker.settings import ProcessSettings, Settings
from matchmaker.shared import Shared
from matchmaker.targets import targets


class _Ears:
    """What rings and launchers call before the matchmaker exists, and after."""

    def __init__(self) -> None:
        self.matchmaker: Matchmaker | None = None

    def hear(self, topic: str, ids: list[str]) -> None:
        if self.matchmaker is not None:
            self.matchmaker.hear(topic, ids)

    def server_ended(self, game: str, match: str) -> None:
        if self.matchmaker is not None:
            self.matchmaker.server_ended(game, match)


@asynccontextmanager
async def _open_launcher(
    common: Common, settings: Settings, db: Database, bell: Doorbell, ears: _Ears
) -> AsyncIterator[Launcher]:
    async with _open_own(common, settings, db, bell, ears) as own:
        if not settings.agones:
            yield own
            return
        from matchmaker.launch.both import Both, open_agones  # 40 MB that others do not need

        stop = settings.stop_servers
        async with open_agones(common, db, bell, ears.server_ended, stop_servers=stop) as source:
            yield Both(own, source)


@asynccontextmanager
async def _open_own(
    common: Common, settings: Settings, db: Database, bell: Doorbell, ears: _Ears
) -> AsyncIterator[Launcher]:
    if settings.launcher == "kubernetes":
        # Loaded only where it is used: it costs a second and 60 MB.
        from matchmaker.launch.kubernetes import open_launcher

        async with open_launcher(common, db, ears.server_ended, stop_servers=settings.stop_servers) as opened:
            yield opened
        return
    launcher = _make_launcher(common, settings, db, bell, ears.server_ended)
    try:
        yield launcher
    finally:
        await launcher.close(stop_servers=settings.stop_servers)


def _make_launcher(common: Common, settings: Settings, db: Database, bell: Doorbell, changed: Changed) -> Launcher:
    if settings.launcher == "instant":
        return InstantLauncher(db, bell)
    given: Any = {
        "secret": common.require_secret(), "redis_url": common.redis_url,
        "changed": changed, "keyring": common.signing(),
    }  # fmt: skip
    if settings.launcher == "docker":
        from matchmaker.launch.docker import DockerLauncher  # 25 MB that other launchers do not need

        chosen = from_env(DockerSettings, os.environ)
        return DockerLauncher(chosen, os.environ, **given)
    return ProcessLauncher(from_env(ProcessSettings, os.environ), **given)


async def main(common: Common, settings: Settings, stop: asyncio.Event) -> None:
    """Open the parts, work until `stop`, close them."""
    ears = _Ears()
    registry = new_registry("matchmaker")
    async with AsyncExitStack() as parts:
        db = await parts.enter_async_context(open_database(common.redis_url))
        watch_redis(registry, db.trips)
        await parts.enter_async_context(
            metrics_server(
                registry,
                settings.metrics_host,
                settings.metrics_port,
                setting="MUSTER_MATCHMAKER_METRICS_PORT",
                targets=partial(targets, db),
            )
        )
        bell = await parts.enter_async_context(
            open_doorbell(
                db,
                topics=["queue", "match", "asked", "feed"],
                heard=ears.hear,
                bind=common.doorbell_bind,
                host=common.doorbell_host,
            )
        )
        launcher = await parts.enter_async_context(_open_launcher(common, settings, db, bell, ears))
        outgoing = Outgoing(private=settings.webhook_private)
        parts.push_async_callback(outgoing.close)
        await parts.enter_async_context(member(db, "matchmaker", stop))
        shared = Shared(
            db,
            bell,
            launcher,
            settings,
            Metrics(registry),
            keys=common.signing().marks,
            secret=common.secret,
            outgoing=outgoing,
        )
        ears.matchmaker = Matchmaker(shared, unique_name())
        log.get("matchmaker").info("ready", launcher=settings.launcher)
        await ears.matchmaker.run(stop)


async def _start(stop: asyncio.Event) -> None:
    """Read the settings, where a wrong one is the operator's to hear of, and work. Raises Misconfigured."""
    common, settings = from_env(Common, os.environ), from_env(Settings, os.environ)
    log.setup("matchmaker", form=common.log_format, level=common.log_level)
    warn_of_misspelt(os.environ)
    await main(common, settings, stop)


if __name__ == "__main__":
    sys.exit(run(_start))
