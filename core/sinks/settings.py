"""Settings of what carries events away."""

from __future__ import annotations

from dataclasses import dataclass

from core.errors import Misconfigured
from core.settings import setting
from core.sinks.catalogue import GAME, PLACES, TOPICS


@dataclass(frozen=True, slots=True)
class Settings:
    """Brokers that are not set are off."""

    kafka: str = setting("KAFKA_BOOTSTRAP_SERVERS", "")  # host:port,host:port
    rabbitmq: str = setting("RABBITMQ_HOST", "")  # host, host:port, or an amqp:// or amqps:// URL
    rabbitmq_user: str = setting("RABBITMQ_USER", "guest")  # unless the URL has one
    rabbitmq_password: str = setting("RABBITMQ_PASSWORD", "guest", secret=True)  # likewise
    kafka_topics: str = setting("MUSTER_KAFKA_TOPICS", "")  # topic,topic; '' is all of docs/events.md
    # Likewise; '' is all but tank_coordinates_history and game_events, of which there are more than a RabbitMQ takes.
    rabbitmq_topics: str = setting("MUSTER_RABBITMQ_TOPICS", "")
    commands: bool = setting("MUSTER_SINKS_COMMANDS", False)  # packs of delayed commands too: they cost Redis more
    metrics_host: str = setting("MUSTER_SINKS_METRICS_HOST", "127.0.0.1")  # where metrics listen
    metrics_port: int = setting("MUSTER_SINKS_METRICS_PORT", 8004)  # 0 takes a free one
    lease_s: float = setting("MUSTER_SINKS_LEASE_S", 5.0)  # one who carries a game's events dies: another after so long

    def __post_init__(self) -> None:
        if not 1 <= self.lease_s <= 60:
            raise Misconfigured(f"{self.lease_s} is not 1-60 seconds", setting="MUSTER_SINKS_LEASE_S")

        self.topics("kafka")
        self.topics("rabbitmq")

    def topics(self, sink: str) -> frozenset[str]:
        """What a broker is told of. Raises Misconfigured for a topic that there is not."""
        chosen = self.kafka_topics if sink == "kafka" else self.rabbitmq_topics
        named = frozenset(topic for one in chosen.split(",") if (topic := one.strip()))
        if unknown := named - TOPICS:
            detail = f"there is no topic {', '.join(sorted(unknown))}; there are {', '.join(sorted(TOPICS))}"
            raise Misconfigured(detail, setting=f"MUSTER_{sink.upper()}_TOPICS")
        return named or (TOPICS if sink == "kafka" else TOPICS - {PLACES, GAME})

    @property
    def rabbitmq_url(self) -> str:
        """RABBITMQ_HOST as a URL; user and password of their own settings unless it has some."""
        from yarl import URL

        try:
            address = URL(self.rabbitmq if "://" in self.rabbitmq else f"amqp://{self.rabbitmq}/")
        except ValueError as error:
            raise Misconfigured(f"{self.rabbitmq!r} is no host: {error}", setting="RABBITMQ_HOST") from None
        if not address.user:
            address = address.with_user(self.rabbitmq_user).with_password(self.rabbitmq_password)
        return str(address)
