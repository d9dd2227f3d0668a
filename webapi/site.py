"""What a browser gets: the page with its files, the description of the API, and a page to browse that."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from aiohttp import web

from core.errors import NotFound
from webapi.endpoint import Route
from webapi.openapi import build

PAGES: Final = Path(__file__).resolve().parent / "pages"

# Game servers listen on ports of their own, and a game may be on another host: WebSockets may go anywhere.
POLICY: Final = (
    "default-src 'self'; connect-src 'self' ws: wss:; img-src 'self' data: blob:; style-src 'self' 'unsafe-inline'; "
    "object-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
HEADERS: Final = {
    "Content-Security-Policy": POLICY,
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-cache",  # asked again with its ETag: an upgrade shows at once
}

DOCS: Final = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<title>Muster API</title>
<link rel="icon" href="data:,">
<link rel="stylesheet" href="assets/vendor/swagger/swagger-ui.css">
</head>
<body>
<div id="swagger"></div>
<script src="assets/vendor/swagger/swagger-ui-bundle.js"></script>
<script src="docs/start.js"></script>
</body>
</html>
"""
START: Final = """"use strict";
SwaggerUIBundle({ url: "openapi.json", dom_id: "#swagger", deepLinking: true, validatorUrl: null });
"""


def add_site(app: web.Application, routes: Iterable[Route]) -> None:
    """Add the routes of the site: `/`, `/assets/`, `/openapi.json`, `/docs`. None of them is part of the API."""
    description = json.dumps(build(routes)).encode()

    async def index(_: web.Request) -> web.StreamResponse:
        page = PAGES / "index.html"
        if not page.exists():
            raise NotFound("this installation has no pages; the API is described at /docs")
        return web.FileResponse(page, headers=HEADERS)

    async def openapi(_: web.Request) -> web.StreamResponse:
        return web.Response(body=description, content_type="application/json", headers={"Cache-Control": "no-cache"})

    async def docs(_: web.Request) -> web.StreamResponse:
        return web.Response(text=DOCS, content_type="text/html", headers=HEADERS)

    async def start(_: web.Request) -> web.StreamResponse:
        return web.Response(text=START, content_type="text/javascript", headers=HEADERS)

    app.router.add_get("/", index)
    app.router.add_get("/openapi.json", openapi)
    app.router.add_get("/docs", docs)
    app.router.add_get("/docs/start.js", start)
    app.router.add_get("/assets/{path:.+}", _asset)


async def _asset(request: web.Request) -> web.StreamResponse:
    """A file of the pages. aiohttp's own static route answers a missing one without a problem document."""
    path = request.match_info["path"]
    found = (PAGES / path).resolve() if path.isprintable() else PAGES
    if not found.is_relative_to(PAGES) or not found.is_file():
        raise NotFound("there is no such file")
    return web.FileResponse(found, headers=HEADERS)
