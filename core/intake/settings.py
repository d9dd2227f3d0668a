"""Settings of what reads RabbitMQ's queues."""

from __future__ import annotations

from dataclasses import dataclass

from core.errors import Misconfigured
from core.settings import setting


@dataclass(frozen=True, slots=True)
class IntakeSettings:
    """The broker is that of the sinks: RABBITMQ_HOST, RABBITMQ_USER, RABBITMQ_PASSWORD."""

    metrics_host: str = setting("MUSTER_INTAKE_METRICS_HOST", "127.0.0.1")  # where metrics listen
    metrics_port: int = setting("MUSTER_INTAKE_METRICS_PORT", 8005)  # 0 takes a free one
    # Messages that the broker may hand out before they are acknowledged. A match has 64 of them at most while its
    # server does not answer, so a few silent ones do not hold up the others.
    prefetch: int = setting("MUSTER_INTAKE_PREFETCH", 512)
    # A server that answered nothing for so long: its commands are dead-lettered. It looks each 2 s while none come.
    answer_s: float = setting("MUSTER_INTAKE_ANSWER_S", 10.0)
    # A match that was ordered waits so long for the game to have room for another; then it is dead-lettered.
    room_s: float = setting("MUSTER_INTAKE_ROOM_S", 10.0)
    # Servers at once that all games of a developer may have together; 0: no bound. As the matchmaker's.
    developer_servers: int = setting("MUSTER_DEVELOPER_SERVERS", 0)

    def __post_init__(self) -> None:
        # The upper bound is what a match remembers (INBOX_KNOWN of core/redis/lua/_inbox.lua), less what else may come.
        if not 64 <= self.prefetch <= 2048:
            raise Misconfigured(f"{self.prefetch} is not 64-2048 messages", setting="MUSTER_INTAKE_PREFETCH")
        if not 5 <= self.answer_s <= 60:
            raise Misconfigured(f"{self.answer_s} is not 5-60 seconds", setting="MUSTER_INTAKE_ANSWER_S")
        if not 0 <= self.room_s <= 600:
            raise Misconfigured(f"{self.room_s} is not 0-600 seconds", setting="MUSTER_INTAKE_ROOM_S")
