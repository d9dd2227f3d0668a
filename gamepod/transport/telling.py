"""Sends each client its snapshots: the head that is its own, the body that it shares, and news of its moving area."""

from __future__ import annotations

from gamepod.arena.delta import EVERY, Scene
from gamepod.transport.encoding import Body, TickBytes, heads
from gamepod.transport.links import Client, GatewayStats


def tell_all(client: Client, scene: Scene, shared: TickBytes) -> None:
    """The whole of what a client that has just joined may know. Raises NotFound if it has no tank."""
    personal = client.session.personal(client.record)
    first, more = heads(scene.tick, personal, full=True)
    _offer(client, first, more, shared.everything(client.sight.cell))
    client.pace.told = scene.tick


def tell(client: Client, scene: Scene, shared: TickBytes, stats: GatewayStats, now_ms: int) -> None:
    """This tick's snapshot, if it is this client's turn. Raises NotFound if it has no tank any more."""
    pace, sight, tick = client.pace, client.sight, scene.tick
    cell = scene.cell_of.get(client.record.slot, sight.cell)
    if cell != sight.cell:
        sight.move(scene, cell)
    every = shared.every(cell, pace.every)
    ticks = tick - pace.told
    # All in a cell are told in the same ticks. Who has come from another is told early, never late.
    if ticks < every and (tick - cell) % every:
        return
    pace.told = tick
    first, more = heads(tick, client.session.personal(client.record), every)
    if _offer(client, first, more, shared.of(cell, pace.every, min(ticks, EVERY[-1]))):
        stats.snapshots_sent += 1
        pace.sent += 1
        news = sight.news(scene, sure=not client.link.datagram)
        if news is not None and _offer(client, more, more, shared.changes(*news)) and not client.link.datagram:
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
