"""Write docs/events.md from the catalogue of events. `make docs` runs it; a test fails where the page is stale."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from core.sinks.catalogue import AUTH, COMMON, GAME, KINDS, PLACES, VERSION, Field, Kind, example
from core.sinks.rabbitmq import EXCHANGE
from webapi.trail import KEPT, KEPT_S, WAITING_MOST

COMMON_TEXT = ", ".join(f"`{name}` ({it.about})" for name, it in COMMON.items())
PAGE = Path(__file__).parent.parent / "docs" / "events.md"

HEAD = f"""# Events

What happens can be carried to Kafka and RabbitMQ. Drawn from `core/sinks/catalogue.py` by `make docs`;
version {VERSION}.

```
KAFKA_BOOTSTRAP_SERVERS=host:9092 RABBITMQ_HOST=host python -m core.sinks
```
`REDIS_URL` says which Redis; that of `make run` is in `.data/stack.json`, at another port each time unless
`MUSTER_REDIS_PORT` is set.
Settings are [here](settings.md#events-to-brokers-python--m-coresinks); a broker that is not set is off. Run as many
as you like: one at a time carries a game's events to a broker, and another takes over within seconds. It needs
`muster[kafka]`, `muster[rabbitmq]`.

- **Where they come from.** Steps that decide put what they decided into a log in Redis, in the same step; interactions
  are in the logs of the matches anyway, and shots, kills and who came and left go there with them, in the same flush.
  So events cost a match next to nothing, and a broker that is away delays them and nothing else. Tickets, presence and
  packs of commands are too many to be written for nobody: they are told from when a carrier first ran, packs only where
  it was started with `MUSTER_SINKS_COMMANDS`. Audit events are
  written behind a login, which never waits for it; while Redis is away {WAITING_MOST:,} of a process wait, and more are
  in its log only (`muster_auth_events_waiting`, `muster_auth_events_dropped_total`).
- **Who came and left** the built-in arena tells by itself, and another game tells its [sidecar](sidecar.md); of a game
  that does not, nothing is told. Shots and kills are the built-in arena's; a mod of it tells damage and moves.
- **Traces.** What is told of a ticket, a match, or a match's server has the `trace` that
  [logs](monitoring.md#logs-and-traces) have; what happens in the match does not, and is found by its `match`.
- **At least once.** An entry is done with when the broker has acknowledged it (Kafka: all in-sync replicas;
  RabbitMQ: publisher confirms, on disk). Killed in between, it is sent again: tell repeats by `id`, which says what
  happened.
- **In order.** Events of one key arrive in the order in which Redis took them in: a session is created before anything
  happens in it, and removed after; a shot comes before the damage it does. The same holds after a broker or a carrier
  was killed. The key is the match; of tickets, servers and players it is these.
- **Bounds.** Logs wait for a carrier that is away, to four times of what is kept anyway (`MUSTER_LOG_BATCHES` batches;
  10,000 facts of a game's matches, {KEPT:,} audit events) or 40,000 (tickets, presence; packs of each of 16 shards);
  then the oldest go, counted in `muster_sink_lost_batches_total`. One that says nothing for an hour is not waited for.
- **Back-pressure and lag**: `muster_sink_lag_seconds` is how old the oldest event of the last round was,
  `muster_sink_waiting_entries` how many entries were read and could not be sent with it, `muster_sink_send_seconds`
  how long the broker takes. Where lag grows, the broker is slower than what happens: nobody who plays waits for it.
- **Kafka**: a topic as below, with its key, headers `id` and `event`. **RabbitMQ**: topic exchange
  `{EXCHANGE}`, routing key `<topic>.<event>`, `message_id`, and `app_id` `muster`; the queue `matchmaking_events`
  is bound to what Muster's own matchmaker made.
- **What each is told.** Kafka all topics, RabbitMQ all but `{PLACES}` and `{GAME}`: a process carries tens of
  thousands of messages a second to Kafka, and some thousands to RabbitMQ ([figures](benchmarks.md)).
  `MUSTER_KAFKA_TOPICS` and `MUSTER_RABBITMQ_TOPICS` choose others.
- **Personal data.** Audit events hold the name that was entered and the address of the client. In Redis they are kept
  for {KEPT_S // 86_400} days, and go with their player ([accounts](accounts.md)); what brokers keep is yours to bound.

Every body is a JSON object with {COMMON_TEXT}. `version` is {VERSION}: it rises when a field changes its meaning, not
when one is added.
"""


def _of(name: str, kind: Kind, shared: set[str]) -> str:
    own = {field: it for field, it in kind.fields.items() if field not in shared}
    return f"| `{name}` | {kind.about} | {_fields(own)} |"


def _fields(fields: Mapping[str, Field]) -> str:
    return ", ".join(f"`{name}` ({it.about})" for name, it in fields.items())


def page() -> str:
    """The page."""
    parts = [HEAD]
    for topic in dict.fromkeys(kind.topic for kind in KINDS.values()):
        kinds = {name: kind for name, kind in KINDS.items() if kind.topic == topic}
        first = next(iter(kinds.values()))
        shared = {name for name, it in first.fields.items() if all(
            name in kind.fields and kind.fields[name].about == it.about for kind in kinds.values()
        )}  # fmt: skip
        common = _fields({name: it for name, it in first.fields.items() if name in shared})
        rows = ["| event | when | fields |", "|---|---|---|"]
        rows += [_of(name, kind, shared) for name, kind in kinds.items()]
        samples = [json.dumps(example(name)) for name in kinds]
        key = f"`{first.key}`" + (", or `name` where that is ''" if topic == AUTH else "")
        parts.append(f"## {topic}\nThe key is {key}. All have {common}.\n")
        parts.append("\n".join(rows) + "\n")
        parts.append("```json\n" + "\n".join(samples) + "\n```\n")
    return "\n".join(parts)


if __name__ == "__main__":
    PAGE.write_text(page())
