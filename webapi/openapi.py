"""`/openapi.json`: OpenAPI 3.1 drawn from the route tables and the documents' types. PURE."""

from __future__ import annotations

import inspect
from collections.abc import Iterable
from http import HTTPStatus
from typing import Any, Final

import msgspec

from core.errors import Forbidden, Invalid, MusterError, NotFound, Unauthorized, Unavailable
from webapi.endpoint import JSON, PATH_PARTS, Route
from webapi.problems import MEDIA, Malformed, Problem, TooLarge, UnsupportedMedia

VERSION: Final = "0.1.0"
HEADER_TEXT: Final = {"type": "string", "minLength": 1, "maxLength": 255}
REF: Final = "#/components/schemas/{name}"
ABOUT: Final = (
    "Players wait for matches, developers register games, pages watch. Errors are RFC 9457 problem documents; "
    "`type` ends with a stable code. A 503 or 429 carries Retry-After."
)


def build(routes: Iterable[Route]) -> dict[str, Any]:
    """The whole description."""
    routes = list(routes)
    types = _types(routes)
    schemas, components = msgspec.json.schema_components(types, ref_template=REF)
    schema = {_key(kind): found for kind, found in zip(types, schemas, strict=True)}
    paths: dict[str, dict[str, Any]] = {}
    for route in routes:
        paths.setdefault(route.path, {})[route.method.lower()] = _operation(route, schema)
    return {
        "openapi": "3.1.0",
        "info": {"title": "Muster", "version": VERSION, "description": ABOUT, "license": {"name": "Apache-2.0"}},
        "paths": paths,
        "components": {
            "schemas": components,
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"}},
        },
    }


def _key(kind: Any) -> str:
    return repr(kind)


def _types(routes: list[Route]) -> list[Any]:
    found: dict[str, Any] = {_key(Problem): Problem}
    for route in routes:
        for kind in (route.body, route.answer, *route.also.values()):
            if kind is not None:
                found[_key(kind)] = kind
    return list(found.values())


def _operation(route: Route, schema: dict[str, Any]) -> dict[str, Any]:
    title, _, _ = (inspect.getdoc(route.handler) or "").partition(". ")
    made: dict[str, Any] = {
        "tags": [route.tag],
        "operationId": f"{route.tag}_{route.handler.__name__}",
        "summary": title.strip().rstrip("."),
        "description": inspect.getdoc(route.handler) or "",
        "parameters": _parameters(route),
        "responses": _responses(route, schema),
    }
    if route.body is not None:
        made["requestBody"] = {
            "required": not route.body_optional,
            "content": {JSON: {"schema": schema[_key(route.body)]}},
        }
    if route.roles is not None:
        made["security"] = [{"token": []}]
        made["x-roles"] = sorted(route.roles)
        if route.scope:
            made["x-scope"] = route.scope
    elif route.known:
        made["security"] = [{}, {"token": []}]
    return made


def _parameters(route: Route) -> list[dict[str, Any]]:
    made: list[dict[str, Any]] = [
        {
            "name": name,
            "in": "path",
            "required": True,
            "description": PATH_PARTS[name].about,
            "schema": {"type": "string", "pattern": PATH_PARTS[name].pattern},
        }
        for name in route.parts
    ]
    if route.query is not None:
        fields = msgspec.json.schema(route.query)["$defs"][route.query.__name__]["properties"]
        made += [{"name": name, "in": "query", "schema": kind} for name, kind in fields.items()]
    if route.header is not None:
        name, about = route.header
        made.append({"name": name, "in": "header", "description": about, "schema": HEADER_TEXT})
    return made


def _responses(route: Route, schema: dict[str, Any]) -> dict[str, Any]:
    answer: dict[str, Any] = {"description": HTTPStatus(route.status).phrase}
    if route.answer is not None:
        answer["content"] = {route.media: {"schema": schema[_key(route.answer)]}}
    responses = {str(route.status): answer}
    for status, kind in route.also.items():
        content = {route.media: {"schema": schema[_key(kind)]}}
        responses[str(status)] = {"description": HTTPStatus(status).phrase, "content": content}
    if route.media == "text/event-stream":
        responses["204"] = {"description": "Nothing is left to tell"}
    for status, codes in _refusals(route).items():
        responses[str(status)] = {
            "description": f"{HTTPStatus(status).phrase}: {', '.join(codes)}",
            "content": {MEDIA: {"schema": schema[_key(Problem)]}},
        }
    return responses


def _refusals(route: Route) -> dict[int, list[str]]:
    """Statuses that a route may answer beside its own, with the usual codes."""
    errors: list[type[MusterError]] = [*route.errors, Invalid, Unavailable, MusterError]
    if route.known:
        errors.append(Unauthorized)
    if route.roles is not None:
        errors.append(Forbidden)
    if route.body is not None:
        errors += [Malformed, TooLarge, UnsupportedMedia]
    if route.parts:
        errors.append(NotFound)
    found: dict[int, list[str]] = {}
    for error in errors:
        codes = found.setdefault(error.status, [])
        if error.code not in codes:
            codes.append(error.code)
    return dict(sorted(found.items()))
