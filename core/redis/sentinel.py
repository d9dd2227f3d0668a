"""Redis Sentinel: its URL, and who is the primary. Loaded only where the URL asks for it.

    redis+sentinel://[user:password@]host[:26379][,host[:port]...]/<name of the primary>[/<db>][?option=value&...]

`rediss+sentinel://` speaks TLS to the Sentinels and to Redis. User and password are those of Redis; the Sentinels' own
are the options `sentinel_username` and `sentinel_password`. With TLS the options that begin with `ssl_` are redis-py's.

All Sentinels are asked at once, so a dead one costs nothing, and what most of those listed say is believed: one that is
cut off from the others may still name the old primary. Whoever lists a single name (a Kubernetes Service) believes one.
"""

from __future__ import annotations

import asyncio
import re
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import parse_qsl, unquote

from core.errors import Misconfigured, MusterError, Unavailable

Node = tuple[str, int]

SCHEMES: Final = {"redis+sentinel": False, "rediss+sentinel": True}  # whether TLS is spoken
# RFC 3986, appendix B; urllib's urlsplit refuses a list of hosts with an IPv6 address in it, as a faulty single one.
PARTS: Final = re.compile(r"(?:([^:/?#]+):)?(?://([^/?#]*))?([^?#]*)(?:\?([^#]*))?(?:#(.*))?", re.DOTALL)
PORT: Final = 26379
ASK_S: Final = 0.5  # for all Sentinels together; one that is there answers in milliseconds
MOST: Final = 32  # Sentinels in one URL


@dataclass(frozen=True, slots=True)
class SentinelUrl:
    """A URL, taken apart. `auth` and `sentinel_auth` follow AUTH: nothing, a password, or user and password."""

    sentinels: tuple[Node, ...]
    name: str
    db: int = 0
    auth: tuple[str, ...] = field(default=(), repr=False)
    sentinel_auth: tuple[str, ...] = field(default=(), repr=False)
    tls: bool = False
    tls_options: Mapping[str, str] = field(default_factory=dict)


def parse(url: str) -> SentinelUrl:
    """Take a URL apart. Raises Misconfigured, which says what is wrong with it and keeps its passwords to itself."""
    found = PARTS.fullmatch(url)
    assert found is not None, "the form fits any text"
    scheme, netloc, path, query, fragment = found.groups("")
    if scheme not in SCHEMES:
        raise _wrong(f"its scheme is {scheme!r}")
    if fragment:
        raise _wrong("it has a '#', which is written %23 in a password")
    userinfo, _, hosts = netloc.rpartition("@")
    user, _, password = userinfo.partition(":")
    try:
        options = dict(parse_qsl(query, keep_blank_values=True, strict_parsing=bool(query)))
    except ValueError as error:
        raise _wrong(f"its options are no options ({error})") from None
    nodes = tuple(_node(host) for host in hosts.split(","))
    if len(nodes) > MOST:
        raise _wrong(f"it lists {len(nodes)} Sentinels, {MOST} at most")
    name, _, db = path.strip("/").partition("/")
    if not name:
        raise _wrong("the name of the primary is missing behind the hosts")
    if db and not (db.isascii() and db.isdigit()):
        raise _wrong(f"the database {db!r} is not a number")
    sentinel_auth = _auth(
        options.pop("sentinel_username", ""), options.pop("sentinel_password", ""), "sentinel_username"
    )
    tls = SCHEMES[scheme]
    unknown = sorted(option for option in options if not (tls and option.startswith("ssl_")))
    if unknown:
        raise _wrong(f"it has no option {', '.join(unknown)}")
    auth = _auth(unquote(user), unquote(password), "the user")
    return SentinelUrl(nodes, unquote(name), int(db or 0), auth, sentinel_auth, tls, options)


def _node(text: str) -> Node:
    host, colon, port = text.rpartition(":")
    if not colon or (text.startswith("[") and text.endswith("]")):
        host, port = text, str(PORT)
    bracketed = host.startswith("[") and host.endswith("]")
    host = host[1:-1] if bracketed else host
    wrong = not host or (":" in host and not bracketed)
    if wrong or not (port.isascii() and port.isdigit()) or not 0 < int(port) < 65536:
        raise _wrong(f"{text!r} is no host with a port")
    return host, int(port)


def _auth(user: str, password: str, what: str) -> tuple[str, ...]:
    if user and not password:
        raise _wrong(f"{what} comes without a password")
    return tuple(part for part in (user, password) if part)


def _wrong(what: str) -> Misconfigured:
    form = "redis+sentinel://[user:password@]host:26379[,host:26379...]/name-of-the-primary[/db]"
    return Misconfigured(f"the URL of Redis does not have the form {form}: {what}", setting="REDIS_URL")


class Sentinels:
    """Knows who is the primary. `ask` gives one Sentinel's answer, None where it knows no primary of that name."""

    def __init__(self, url: SentinelUrl, ask: Callable[[Node], Awaitable[Node | None]]) -> None:
        self._url = url
        self._ask = ask
        self._found = False  # by this process, once
        self._lock = asyncio.Lock()  # all connections are lost at once, and one question is enough at a time

    async def primary(self) -> Node:
        """Where the primary is. Raises Unavailable, or Misconfigured where the name has never been known."""
        async with self._lock:
            answers, troubles = await self._answers()
        named, votes = ranked[0] if (ranked := Counter(answers).most_common(2)) else (None, 0)
        if named is None and not votes:
            raise _away(f"no Sentinel answers: {'; '.join(troubles)}")
        if len(ranked) > 1 and ranked[1][1] == votes:
            raise _away(f"the Sentinels do not agree on who is {self._url.name!r}")
        if named is not None:
            self._found = True
            return named
        unknown = f"the Sentinels know no primary by the name {self._url.name!r}"
        # Whoever has found it before sees a Sentinel that is being set up anew, and comes back.
        raise _away(unknown) if self._found else Misconfigured(unknown, setting="REDIS_URL")

    async def _answers(self) -> tuple[list[Node | None], list[str]]:
        """What the Sentinels say, until most of them say the same; and what is wrong with the others."""
        nodes = self._url.sentinels
        asking = {asyncio.create_task(self._asked(node)): node for node in nodes}
        answers: list[Node | None] = []
        troubles: list[str] = []
        try:
            async with asyncio.timeout(ASK_S):
                for next_one in asyncio.as_completed(asking):
                    try:
                        answers.append(await next_one)
                    except MusterError as error:
                        troubles.append(error.detail)
                    if answers and Counter(answers).most_common(1)[0][1] > len(nodes) // 2:
                        break
        except TimeoutError:
            troubles += [f"{host}:{port} is silent" for task, (host, port) in asking.items() if not task.done()]
        finally:
            for task in asking:
                task.cancel()
            await asyncio.gather(*asking, return_exceptions=True)
        return answers, troubles

    async def _asked(self, node: Node) -> Node | None:
        try:
            return await self._ask(node)
        except MusterError as error:
            raise _away(f"{node[0]}:{node[1]}: {error.detail}") from error


def _away(detail: str) -> Unavailable:
    return Unavailable(detail, code="storage-unavailable")
