"""Sends each client its snapshots: the head that is its own, the body that it shares, and news of its moving area."""

from __future__ import annotations

from gamepod.arena.delta import Scene
from gamepod.transport.encoding import Body, TickBytes, head
from gamepod.transport.links import Client, GatewayStats


def tell_all(client: Client, scene: Scene, shared: TickBytes) -> None:
    """The whole of what a client that has just joined may know. Raises NotFound if it has no tank."""
    personal = client.session.personal(client.record)
    first = head(scene.tick, personal, you=True, full=True)
    _offer(client, first, head(scene.tick, personal, you=False, full=True), shared.everything(client.sight.cell))


def tell(client: Client, scene: Scene, shared: TickBytes, stats: GatewayStats, now_ms: int) -> None:
    """This tick's snapshot, if it is this client's turn. Raises NotFound if it has no tank any more."""
    pace, sight = client.pace, client.sight
    every, tick, slot = pace.every, scene.tick, client.record.slot
    if every > 1 and (tick - slot) % every:
        return
    personal = client.session.personal(client.record)
    cell = scene.cell_of[slot]
    if cell != sight.cell:
        sight.move(scene, cell, every)
    body = shared.of(cell, every)
    first = head(tick, personal, every, you=True)
    more = b"" if len(body.datagrams) == 1 or not client.link.datagram else head(tick, personal, every, you=False)
    if _offer(client, first, more, body):
        stats.snapshots_sent += 1
        pace.sent += 1
        news = sight.news(scene, every, sure=not client.link.datagram)
        if news is not None:
            more = head(tick, personal, every, you=False)
            if _offer(client, more, more, shared.changes(*news)) and not client.link.datagram:
                sight.told()
    else:
        stats.snapshots_dropped += 1
        pace.trouble(now_ms)


def _offer(client: Client, first: bytes, more: bytes, body: Body) -> bool:
    """Send a body with its heads; whether all of it went."""
    if not client.link.datagram:
        return client.link.offer(first + body.stream)
    datagrams = body.datagrams
    sent = client.link.offer(first + datagrams[0])
    for datagram in datagrams[1:]:
        sent = client.link.offer(more + datagram) and sent
    return sent
