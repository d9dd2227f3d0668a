"""Settings of what carries events away."""

from __future__ import annotations

from dataclasses import dataclass

from core.errors import Misconfigured
from core.settings import setting


@dataclass(frozen=True, slots=True)
class Settings:
    """Brokers that are not set are off."""

    kafka: str = setting("KAFKA_BOOTSTRAP_SERVERS", "")  # host:port,host:port
    rabbitmq: str = setting("RABBITMQ_HOST", "")  # host, host:port, or an amqp:// or amqps:// URL
    rabbitmq_user: str = setting("RABBITMQ_USER", "guest")  # unless the URL has one
    rabbitmq_password: str = setting("RABBITMQ_PASSWORD", "guest", secret=True)  # likewise
    commands: bool = setting(
        "MUSTER_SINKS_COMMANDS", False
    )  # packs of delayed commands too: each costs Redis more then
    metrics_host: str = setting("MUSTER_SINKS_METRICS_HOST", "127.0.0.1")  # where metrics listen
    metrics_port: int = setting("MUSTER_SINKS_METRICS_PORT", 8004)  # 0 takes a free one
    lease_s: float = setting("MUSTER_SINKS_LEASE_S", 5.0)  # one who carries a game's events dies: another after so long

    def __post_init__(self) -> None:
        if not 1 <= self.lease_s <= 60:
            raise Misconfigured(f"{self.lease_s} is not 1-60 seconds", setting="MUSTER_SINKS_LEASE_S")

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
