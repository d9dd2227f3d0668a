"""Servers as pods of a cluster.

A pod is named after its match, so a create that is repeated, by whichever replica after whichever crash, is answered
with 409 and recognised. What runs is known from one watch (`kube_watch`); its events only mark names dirty, and
`_look` derives what a server is (`pod_state`) from the copy. That a server is Ready comes through Redis, from the
sidecar. Per match the API server gets one create and one delete from here.

A pod whose game ended stays until its match is over in Redis, so that a matchmaker which starts in between still
reads how it ended. A pod on a node that is lost is deleted for good after `lost_s`: its players have long had another
match. One event loop; calls at once are bounded by `writes`. While the API server is away or asks for peace, one call
at a time finds out whether that is over (`brake`), and no match is made: its players are better off in the queue.
"""

from __future__ import annotations

import asyncio
import math
import os
import random
import secrets
import time
from collections.abc import AsyncIterator, Coroutine, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any, Final

from core import log
from core.admission import check_server
from core.errors import Refused
from core.model import Match, ports_of
from core.redis.client import Database
from core.settings import Common, from_env
from core.signing import Keyring
from matchmaker.kube_settings import KubernetesSettings
from matchmaker.launch import host_ports, pod_state
from matchmaker.launch.base import OUTPUT_BYTES, Changed, LaunchRefused, LaunchRetryable, Seen
from matchmaker.launch.brake import Brake
from matchmaker.launch.environment import installation_name, join_keys, tuning
from matchmaker.launch.kube_api import PodApi, open_pods
from matchmaker.launch.kube_errors import KubeAway, KubeRefused, as_launch_error
from matchmaker.launch.kube_judged import is_done, judged
from matchmaker.launch.kube_watch import KubeWatch
from matchmaker.launch.node_addresses import NodeAddresses
from matchmaker.launch.pod import GAME, GAMEPOD, INSTANCE, Document, Given, node_ports, pod_document, selector
from matchmaker.launch.pod_state import Pod

ENDED_KEPT: Final = 1024
TAIL_LINES: Final = 20
SWEEP_S: Final = 5.0
CATCH_UP_S: Final = 20.0  # after the API server was away, until every kubelet has told it again; they try each 10 s
ASKS_S: Final = 3.0  # a match whose start was put off asks again each second
CLOSE_S: Final = 30.0


class KubernetesLauncher:
    """See the module. `open` before, `close` after."""

    def __init__(
        self,
        settings: KubernetesSettings,
        api: PodApi,
        *,
        installation: str,
        keyring: Keyring,
        changed: Changed,
        nodes: NodeAddresses | None = None,
    ) -> None:
        self._settings, self._api, self._installation = settings, api, installation
        self._keyring, self._changed, self._nodes = keyring, changed, nodes
        self._log = log.get("matchmaker.kubernetes")
        self._watch = KubeWatch(api, self._look)
        self._seen: dict[str, Seen] = {}
        self._ended: dict[str, Seen] = {}  # gone, kept for a while
        self._over: set[str] = set()  # ended, and not yet gone
        self._pending: set[str] = set()
        self._ports = host_ports.Held()
        self._starting: set[str] = set()
        self._deleting: dict[str, float] = {}  # asked to go, by when it must have gone
        self._calls = asyncio.Semaphore(settings.writes)
        # Apart: a quota that is full refuses creates, and only deletes make room in it.
        self._creates, self._deletes = Brake(random.random), Brake(random.random)
        self._put_off_at = float("-inf")  # when a start was last put off by the brake
        self._tasks: set[asyncio.Task[None]] = set()

    async def open(self) -> None:
        """Begin to watch. The API server may be away."""
        self._spawn(self._watch.run())
        self._spawn(self._sweep())

    async def listed(self) -> None:
        """Return once it is known what runs."""
        await self._watch.listed.wait()

    @property
    def pending(self) -> int:
        """Pods that no node has taken yet."""
        return len(self._pending)

    @property
    def host(self) -> str:
        return f"kubernetes/{self._settings.namespace or 'own'}/{self._installation}"

    @property
    def blind(self) -> bool:
        return self._watch.away or time.monotonic() - self._watch.back_at < CATCH_UP_S

    def room(self) -> int:
        """None until it is known what runs, nor while nothing can be started; one where that must be found out."""
        now = time.monotonic()
        if not self._watch.listed.is_set() or self._watch.away or self._creates.holds(now):
            return 0
        if self._creates.on:
            return 0 if now - self._put_off_at < ASKS_S else 1  # a match that waits finds it out
        settings, starting = self._settings, len(self._starting)
        running = len(self._seen) - len(self._over)
        return min(settings.max_servers - running, settings.pending_most - self.pending) - starting

    async def start(self, match: Match) -> None:
        if match.id in self._watch.objects or match.id in self._starting:
            return
        self._check(match)
        self._starting.add(match.id)
        try:
            async with self._calls:
                await self._create(match)
        except (KubeRefused, KubeAway) as error:
            raise as_launch_error(error) from None
        except asyncio.CancelledError:
            self._starting.discard(match.id)
            self.settled(match.id)
            raise
        finally:
            self._starting.discard(match.id)

    def settled(self, match: str) -> None:
        """The scheduler bounds what starts at once; only the ports of a pod that never was are free again."""
        if match not in self._watch.objects and match not in self._starting:
            self._ports.release(match)

    async def stop(self, match: str, grace_s: float) -> None:
        pod = self._watch.objects.get(match)
        if pod is None or match in self._deleting or pod.metadata.deletion_timestamp is not None:
            return
        if self._deletes.holds(time.monotonic()):
            return  # whoever wants it gone asks again
        # Nothing of an ended pod needs time; it goes at once, without a further word of its kubelet.
        grace = 0 if pod.status.phase in pod_state.TERMINAL else max(1, math.ceil(grace_s))
        self._deleting[match] = time.monotonic() + grace + self._settings.lost_s
        self._spawn(self._delete(match, grace, pod.metadata.uid))

    async def seen(self) -> Mapping[str, Seen]:
        return self._ended | self._seen

    async def tail(self, match: str) -> list[str]:
        known = self._seen.get(match) or self._ended.get(match)
        if known is None:
            return []
        # Of an evicted pod they do not come with its end. Nobody waits for an API server that is known to be away.
        if known.output or (known.ended and not known.remains) or self._watch.trouble:
            return list(known.output)
        container = GAMEPOD if known.tells else GAME
        try:
            text = await self._api.logs(match, container, last_lines=TAIL_LINES)
        except (KubeRefused, KubeAway):
            return []
        return text.splitlines()[-TAIL_LINES:]

    async def output(self, match: str) -> str:
        if match not in self._seen or self._watch.trouble:
            return ""
        try:
            return await self._api.logs(match, GAME, first_bytes=OUTPUT_BYTES)
        except (KubeRefused, KubeAway):  # it has not started yet, or is gone
            return ""

    async def close(self, *, stop_servers: bool) -> None:
        deadline = time.monotonic() + CLOSE_S
        while stop_servers and self._watch.objects and time.monotonic() < deadline:
            for match in list(self._watch.objects):
                await self.stop(match, 1.0)
            await asyncio.sleep(0.05)
        if self._nodes is not None:
            await self._nodes.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _check(self, match: Match) -> None:
        if match.server.command is not None:
            raise LaunchRefused("this installation starts images and the arena, not commands")
        try:
            check_server(match.server, self._settings.admission)
        except Refused as error:
            raise LaunchRefused(error.detail) from None

    async def _create(self, match: Match) -> None:
        """Make the pod. That it is there already is as good, if it is ours. Raises KubeRefused, KubeAway."""
        document = self._document(match)
        if not self._creates.enter(time.monotonic()):
            self._put_off_at = time.monotonic()
            raise LaunchRetryable(self._creates.why)
        self._ports.hold(match.id, node_ports(document))
        with judged(self._creates):
            try:
                pod = await self._api.create(document)
            except KubeRefused as error:
                # After no answer at all the pod may be there: its ports stay taken until the watch or a repeat tells.
                self._ports.release(match.id)
                if error.reason != "AlreadyExists":
                    raise
                pod = await self._recognise(match.id)
        self._watch.put(pod)
        self._look(match.id)

    async def _recognise(self, match: str) -> Pod:
        """A pod of that name, which is there, if it is ours."""
        pod = await self._api.read(match)
        if pod.metadata.labels.get(INSTANCE) != self._installation:
            raise LaunchRefused(f"a pod {match!r} that is not of this installation is in the way")
        return pod

    def _document(self, match: Match) -> Document:
        try:
            return pod_document(match, self._settings, self._given(match))
        except Refused as error:
            raise LaunchRefused(error.detail) from None

    def _given(self, match: Match) -> Given:
        settings, wanted = self._settings, ports_of(match.server)
        tuned, key = tuning(os.environ) | join_keys(self._keyring, match), self._keyring.match_keys(match.id)
        if settings.network == "none":
            return Given(self._installation, key, host_ports.inside(wanted, settings.port_first), tuning=tuned)
        shared = settings.network == "host_network"
        # On the node's own network the sidecar's ports must be such that no other server there has.
        asked = [*wanted, *host_ports.SDK] if shared else wanted
        chosen = host_ports.choose(
            asked, settings.port_first, settings.port_last, self._ports.use, secrets.randbelow, same=shared
        )
        if chosen is None:
            raise LaunchRetryable(
                f"a server needs {len(asked)} ports and the range has fewer (setting: MUSTER_KUBE_PORT_LAST)"
            )
        own = {"sdk_ports": (chosen[-2].port, chosen[-1].port)} if shared else {}
        ports = chosen[: len(wanted)]
        return Given(self._installation, key, ports, tuning=tuned, **own)

    async def _delete(self, match: str, grace_s: int, uid: str) -> None:
        """Ask for it once; where that fails, whoever wanted it gone asks again."""
        try:
            async with self._calls:
                if not self._deletes.enter(time.monotonic()):
                    self._deleting.pop(match, None)
                    return
                with judged(self._deletes):
                    await self._api.delete(match, grace_s, uid)
        except (KubeRefused, KubeAway) as error:
            if not is_done(error):
                self._log.warning("a pod cannot be deleted", match=match, error=str(error))
            self._deleting.pop(match, None)

    def _look(self, name: str) -> None:
        """Bring what is known of a server in line with its pod."""
        pod, before = self._watch.objects.get(name), self._seen.get(name)
        if pod is None:
            self._gone(name, before)
            return
        if self._nodes is not None and pod.spec.node_name and (before is None or name in self._pending):
            self._nodes.landed(pod.spec.node_name)
        self._ports.hold(name, pod_state.host_ports(pod))
        now = pod_state.seen(pod)
        if before and before.ended:  # how it ended stays, whatever its removal looks like
            now = replace(before, stopping=now.stopping)
        self._seen[name] = now
        (self._pending.add if pod_state.is_pending(pod) else self._pending.discard)(name)
        (self._over.add if now.ended else self._over.discard)(name)
        if (now.ended and not (before and before.ended)) or (now.stuck and not (before and before.stuck)):
            self._changed(now.game, now.match)

    def _gone(self, name: str, before: Seen | None) -> None:
        last = self._watch.take_gone(name)
        self._ports.release(name)
        self._pending.discard(name)
        self._over.discard(name)
        self._deleting.pop(name, None)
        self._seen.pop(name, None)
        if last is None:
            return
        # How it ended was seen before it was deleted, or is to be read from how it was at last.
        told = before is not None and before.ended
        known = replace(before, remains=False) if before and before.ended else pod_state.seen(last, gone=True)
        self._ended[name] = known
        while len(self._ended) > ENDED_KEPT:
            del self._ended[next(iter(self._ended))]
        if not told:
            self._changed(known.game, known.match)

    async def _sweep(self) -> None:
        """Delete for good what was asked to go and does not: its node is lost, or its kubelet."""
        while True:
            await asyncio.sleep(SWEEP_S)
            now = time.monotonic()
            for name, pod in list(self._watch.objects.items()):
                if pod.metadata.deletion_timestamp is None:
                    continue
                if now >= self._deleting.setdefault(name, now + self._settings.lost_s):
                    self._log.warning("a pod does not end: it is deleted for good", match=name)
                    self._deleting[name] = now + self._settings.lost_s
                    await self._delete(name, 0, pod.metadata.uid)

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


@asynccontextmanager
async def open_launcher(
    common: Common, db: Database, changed: Changed, *, stop_servers: bool
) -> AsyncIterator[KubernetesLauncher]:
    """The launcher that the environment describes. Raises Misconfigured."""
    settings, secret = from_env(KubernetesSettings, os.environ), common.require_secret()
    installation = installation_name(settings.installation, secret, common.redis_url)
    async with open_pods(settings.kubeconfig, settings.namespace, selector(installation), settings.call_s) as api:
        nodes = NodeAddresses(api.node, db) if settings.node_addresses and settings.network != "none" else None
        launcher = KubernetesLauncher(
            settings, api, installation=installation, keyring=common.signing(), changed=changed, nodes=nodes
        )
        await launcher.open()
        try:
            yield launcher
        finally:
            await launcher.close(stop_servers=stop_servers)
