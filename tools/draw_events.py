"""Write docs/events.md from the catalogue of events. `make docs` runs it; a test fails where the page is stale."""

from __future__ import annotations

from pathlib import Path

from core.sinks.catalogue import KINDS, VERSION
from core.sinks.rabbitmq import EXCHANGE

PAGE = Path(__file__).parent.parent / "docs" / "events.md"

HEAD = f"""# Events

What happens in matches can be carried to Kafka and RabbitMQ. Drawn from `core/sinks/catalogue.py` by `make docs`;
version {VERSION}.

```
KAFKA_BOOTSTRAP_SERVERS=host:9092 RABBITMQ_HOST=host python -m core.sinks
```
Settings are [here](settings.md#events-to-brokers-python--m-coresinks); a broker that is not set is off. Run as many
as you like: one at a time carries a game's events to a broker, and another takes over within seconds. It needs
`muster[kafka]`, `muster[rabbitmq]`.

- **Where they come from.** Steps that decide about a match put what they decided into the game's log in Redis, in
  the same step; interactions are in the logs of the matches anyway. So events cost a match next to nothing, and a
  broker that is away delays them and nothing else.
- **At least once.** An entry is done with when the broker has acknowledged it (Kafka: all in-sync replicas;
  RabbitMQ: publisher confirms, on disk). Killed in between, it is sent again: tell repeats by `id`, which says what
  happened.
- **In order.** Events of a match have the match as their key, and arrive in the order in which Redis took them in:
  a session is created before anything happens in it, and removed after. The same holds after a broker or a carrier
  was killed.
- **Bounds.** Logs wait for a carrier that is away, to four times of what is kept anyway (`MUSTER_LOG_BATCHES`,
  10,000 facts a game); then the oldest go, counted in `muster_sink_lost_batches_total`. One that says nothing for
  an hour is not waited for.
- **Kafka**: a topic as below, the key is the match, headers `id` and `event`. **RabbitMQ**: topic exchange
  `{EXCHANGE}`, routing key `<topic>.<event>`, `message_id`, and `app_id` `muster`; the queue `matchmaking_events`
  is bound to what Muster's own matchmaker made.

Every body is a JSON object with `event`, `id`, `at_ms` (UTC), `game`, `match`, and:
"""


def page() -> str:
    """The page."""
    rows = ["| topic | event | when | fields |", "|---|---|---|---|"]
    for name, kind in KINDS.items():
        fields = ", ".join(f"`{field}` ({about})" for field, about in kind.fields.items())
        rows.append(f"| `{kind.topic}` | `{name}` | {kind.about} | {fields} |")
    return HEAD + "\n" + "\n".join(rows) + "\n"


if __name__ == "__main__":
    PAGE.write_text(page())
