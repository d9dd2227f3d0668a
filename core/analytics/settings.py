"""Settings of analytics."""

from __future__ import annotations

from dataclasses import dataclass

from core.errors import Misconfigured
from core.settings import setting


@dataclass(frozen=True, slots=True)
class Settings:
    """With Kafka set its topics are read, which `core.sinks` fills; else the logs in Redis."""

    kafka: str = setting("KAFKA_BOOTSTRAP_SERVERS", "")  # host:port,host:port
    kept_h: int = setting("MUSTER_ANALYTICS_KEPT_H", 24)  # hours that counts by the minute are kept; 25 kB a game each
    # Failed logins a minute that are no storm yet, from one address (many may share one) ...
    logins_address: int = setting("MUSTER_ANALYTICS_LOGINS_ADDRESS", 30)
    logins_name: int = setting("MUSTER_ANALYTICS_LOGINS_NAME", 10)  # ... and for one user name
    metrics_host: str = setting("MUSTER_ANALYTICS_METRICS_HOST", "127.0.0.1")  # where metrics listen
    metrics_port: int = setting("MUSTER_ANALYTICS_METRICS_PORT", 8006)  # 0 takes a free one
    lease_s: float = setting("MUSTER_ANALYTICS_LEASE_S", 5.0)  # one who counts a game dies: another after so long

    def __post_init__(self) -> None:
        if not 1 <= self.lease_s <= 60:
            raise Misconfigured(f"{self.lease_s} is not 1-60 seconds", setting="MUSTER_ANALYTICS_LEASE_S")
        if not 1 <= self.kept_h <= 24 * 14:
            raise Misconfigured(f"{self.kept_h} is not 1-336 hours", setting="MUSTER_ANALYTICS_KEPT_H")
        for name in ("logins_address", "logins_name"):
            if getattr(self, name) < 1:
                raise Misconfigured("give at least 1", setting=f"MUSTER_ANALYTICS_{name.upper()}")
