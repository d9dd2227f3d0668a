"""`python -m core.analytics`: count events and flag what cannot be right, until a signal."""

from __future__ import annotations

import asyncio
import os
import sys

from core import log
from core.analytics.metrics import Metrics
from core.analytics.settings import Settings
from core.analytics.source import Source
from core.analytics.streams import Streams
from core.analytics.worker import Analyst
from core.errors import Misconfigured
from core.instruments import new_registry, watch_redis
from core.metrics import metrics_server
from core.misspelt import warn_of_misspelt
from core.process import unique_name
from core.redis.client import Database, open_database
from core.release import member
from core.serve import run
from core.settings import Common, from_env


def source_of(settings: Settings, db: Database) -> Source:
    """Kafka where it is set, else the logs in Redis. Raises Misconfigured where Kafka's library is missing."""
    if not settings.kafka:
        return Streams(db)
    try:
        from core.analytics.topics import Topics
    except ImportError:
        raise Misconfigured("install muster[kafka]", setting="KAFKA_BOOTSTRAP_SERVERS") from None
    return Topics(db, settings.kafka)


async def main(stop: asyncio.Event) -> None:
    """Read the settings and work until `stop`."""
    common, settings = from_env(Common, os.environ), from_env(Settings, os.environ)
    log.setup("analytics", form=common.log_format, level=common.log_level)
    warn_of_misspelt(os.environ)
    registry = new_registry("analytics")
    owner = unique_name()
    async with (
        open_database(common.redis_url) as db,
        metrics_server(registry, settings.metrics_host, settings.metrics_port, setting="MUSTER_ANALYTICS_METRICS_PORT"),
        member(db, "analytics", stop),
    ):
        watch_redis(registry, db.trips)
        source = source_of(settings, db)
        log.get("analytics").info("ready", source=source.name)
        await Analyst(db, source, owner, settings, Metrics(registry)).run(stop)


if __name__ == "__main__":
    sys.exit(run(main))
