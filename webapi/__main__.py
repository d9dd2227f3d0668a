"""`python -m webapi`: settings from the environment, one process, until SIGTERM or SIGINT."""

from __future__ import annotations

import asyncio
import os
import sys

from core import log
from core.metrics import listening, metrics_server
from core.misspelt import warn_of_misspelt
from core.redis.client import open_database
from core.release import member
from core.serve import run
from core.settings import Common, from_env
from webapi.app import make_app
from webapi.context import SERVICES
from webapi.lines import listening_lines
from webapi.metrics import Metrics
from webapi.settings import Settings


async def main(stop: asyncio.Event) -> None:
    """Serve until `stop`. Raises Misconfigured."""
    common, settings = from_env(Common, os.environ), from_env(Settings, os.environ)
    log.setup("webapi", form=common.log_format, level=common.log_level)
    warn_of_misspelt(os.environ)
    metrics = Metrics()
    app = make_app(common, settings, metrics)
    async with (
        open_database(common.redis_url) as db,
        member(db, "webapi", stop),
        metrics_server(
            metrics.registry, settings.metrics_host, settings.metrics_port, setting="MUSTER_WEBAPI_METRICS_PORT"
        ),
        listening(app, settings.host, settings.port, setting="MUSTER_WEBAPI_PORT") as port,
        listening_lines(app[SERVICES]) as auth_port,
    ):
        log.get("webapi").info("listening", url=f"http://{settings.host}:{port}", auth_port=auth_port)
        await stop.wait()


if __name__ == "__main__":
    sys.exit(run(main))
