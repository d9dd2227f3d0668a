"""Posts to addresses that strangers chose: one client for all webhooks, bounded in time, size and where it goes.

A name is resolved here, and what it resolves to is what is connected to; so no name can point inside by the time of
the attempt. Redirects are not followed, proxies of the environment not used, and of an answer little is read.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from core.addresses import ANYWHERE
from core.errors import Invalid
from core.webhook import check_url

if TYPE_CHECKING:
    from aiohttp import ClientSession

ATTEMPT_S: Final = 10.0  # for all of an attempt: name, connection, request, answer
CONNECTIONS: Final = 100
CONNECTIONS_HOST: Final = 4  # of these to one host
ANSWER_BYTES: Final = 512  # read of what a receiver says


class Outgoing:
    """See the module. Connections are made when the first is needed; `close` ends them."""

    def __init__(self, *, private: bool = False) -> None:
        self._private = private
        self._session: ClientSession | None = None

    async def post(self, url: str, body: bytes, headers: dict[str, str]) -> str:
        """Post JSON; '' where it was taken (2xx), else what is wrong. Never raises but for cancellation."""
        import aiohttp  # most matchmakers have no webhook to call, and need not hold 10 MB for it

        from core.outbound import open_session

        if self._session is None:
            allowed = ANYWHERE if self._private else ()
            self._session = open_session(allowed, most=CONNECTIONS, most_host=CONNECTIONS_HOST, agent="muster-webhook")
        try:
            check_url(url, private=self._private)
            async with asyncio.timeout(ATTEMPT_S):
                async with self._session.post(
                    url, data=body, headers={"Content-Type": "application/json", **headers}, allow_redirects=False
                ) as answer:
                    if 200 <= answer.status < 300:
                        return ""
                    said = (await answer.content.read(ANSWER_BYTES)).decode(errors="replace")
                    return f"HTTP {answer.status}: {said}" if said else f"HTTP {answer.status}"
        except TimeoutError:
            return f"no answer within {ATTEMPT_S:g} s"
        except Invalid as error:
            return error.detail
        except (aiohttp.ClientError, OSError, ValueError) as error:
            return str(error) or type(error).__name__

    async def close(self) -> None:
        """End the connections."""
        if self._session is not None:
            session, self._session = self._session, None
            await session.close()
