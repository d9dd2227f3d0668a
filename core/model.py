"""The documents that travel between services, and what makes one acceptable.

Values only: frozen msgspec structs whose JSON is the same in the API, in Redis and in a server's environment.
`forbid_unknown_fields` turns a typing mistake into a clear refusal. Whatever a type cannot say is said by
`core.registration`, with a JSON pointer to the place.
"""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal

from msgspec import Meta, Struct

from core.commandspec import CommandsSpec
from core.playtime import PlaySpec

MAX_PLAYERS_PER_MATCH: Final = 200  # FlexMatch's bound for a large match
MAX_PLAYERS_PER_TICKET: Final = 10  # FlexMatch's bound for one ticket
MAX_TEAMS: Final = 32
MAX_PORTS: Final = 8
MAX_ENV: Final = 64
MAX_ATTRIBUTES: Final = 50
MAX_MODES: Final = 16  # of a game that keeps a rating for each
MAX_COUNTERS: Final = 32  # and as many lists
MAX_LIST_VALUES: Final = 100  # that a list begins with; they travel in every match document
MAX_IDLE: Final = 1000  # servers of a game that have no match
MAX_LINE: Final = 200  # characters that a line of a game's output is looked for by
MAX_SETTINGS_BYTES: Final = 16_384  # a server's own settings travel in every match document

Role = Literal["player", "developer", "admin", "server"]
Protocol = Literal["udp", "tcp", "ws"]
Seconds = Annotated[float, Meta(ge=0.1, le=86_400)]
Name = Annotated[str, Meta(min_length=1, max_length=64)]
LabelName = Annotated[str, Meta(pattern="^[A-Za-z0-9._/-]{1,317}$")]
LabelValue = Annotated[str, Meta(pattern="^[A-Za-z0-9._-]{0,63}$")]
Mode = Annotated[str, Meta(pattern="^[A-Za-z0-9_-]{1,32}$")]  # it names a board


class Team(Struct, frozen=True, forbid_unknown_fields=True):
    """A team's bounds, in players. A match is full when every team has `max_players`."""

    name: Name
    min_players: Annotated[int, Meta(ge=1, le=MAX_PLAYERS_PER_MATCH)]
    max_players: Annotated[int, Meta(ge=1, le=MAX_PLAYERS_PER_MATCH)]


class Port(Struct, frozen=True, forbid_unknown_fields=True):
    """A port that players connect to. `port` is where the game listens; 0 lets Muster choose (`{port}`, `$PORT`)."""

    name: Name = "game"
    protocol: Protocol = "tcp"
    port: Annotated[int, Meta(ge=0, le=65_535)] = 0


class Ready(Struct, frozen=True, forbid_unknown_fields=True):
    """When a server counts as playable. docs/plain-games.md.

    `sdk`: it calls POST /ready. `port`: a TCP port accepts. `log`: it wrote a line with `line` in it, where `*` is any
    text. `http`: GET `path` on a port answers 2xx. `delay`: `delay_s` after its start. `port` names the one that is
    tried, by default the first that is not UDP.
    """

    when: Literal["sdk", "port", "log", "http", "delay"] = "sdk"
    delay_s: Annotated[float, Meta(ge=0, le=600)] = 0.0
    line: Annotated[str, Meta(max_length=MAX_LINE)] = ""
    path: Annotated[str, Meta(max_length=256)] = "/"
    port: Annotated[str, Meta(max_length=64)] = ""


class Resources(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """What one server needs where servers are containers; None takes the installation's default.

    Memory is a hard bound: a game that takes more is ended. More than `cpu` may be used while others leave it.
    """

    cpu: Annotated[float, Meta(ge=0.01, le=64)] | None = None  # cores
    memory_mib: Annotated[int, Meta(ge=16, le=262_144)] | None = None


class HealthSpec(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """How long a game may be silent that has given a sign of health (`POST /health`) once. Agones' defaults."""

    period_s: Seconds = 5  # a sign is expected in each
    failure_threshold: Annotated[int, Meta(ge=1, le=1000)] = 3  # periods without one; then the game counts as crashed
    initial_delay_s: Annotated[float, Meta(ge=0, le=86_400)] = 5  # after the start nobody looks yet
    disabled: bool = False


class CounterSpec(Struct, frozen=True, forbid_unknown_fields=True):
    """A counter of the SDK as a server begins with it."""

    count: Annotated[int, Meta(ge=0, le=2**63 - 1)] = 0
    capacity: Annotated[int, Meta(ge=0, le=2**63 - 1)] = 1000


class ListSpec(Struct, frozen=True, forbid_unknown_fields=True):
    """A list of the SDK as a server begins with it."""

    capacity: Annotated[int, Meta(ge=0, le=1000)] = 1000
    values: Annotated[list[Annotated[str, Meta(max_length=256)]], Meta(max_length=MAX_LIST_VALUES)] = []


class AgonesFleet(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """A fleet of Agones that servers are allocated from. docs/agones.md."""

    fleet: Annotated[str, Meta(pattern="^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$")]
    namespace: Annotated[str, Meta(pattern="^([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)?$")] = ""  # '' is the installation's
    selector: Annotated[dict[LabelName, LabelValue], Meta(max_length=16)] = {}  # further labels of its servers


class Server(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """What to start for a match: exactly one of the built-in arena, an image, a command, or a fleet to take from."""

    arena: dict[str, Any] | None = None  # settings of the built-in arena; {} takes its defaults
    image: Annotated[str, Meta(min_length=1, max_length=512)] | None = None
    command: Annotated[list[Annotated[str, Meta(max_length=4096)]], Meta(min_length=1, max_length=64)] | None = None
    agones: AgonesFleet | None = None
    args: Annotated[list[Annotated[str, Meta(max_length=4096)]], Meta(max_length=64)] = []
    ports: Annotated[list[Port], Meta(max_length=MAX_PORTS)] = []
    ready: Ready = Ready()
    env: Annotated[dict[str, Annotated[str, Meta(max_length=4096)]], Meta(max_length=MAX_ENV)] = {}
    resources: Resources = Resources()
    health: HealthSpec = HealthSpec()
    counters: Annotated[dict[Name, CounterSpec], Meta(max_length=MAX_COUNTERS)] = {}
    lists: Annotated[dict[Name, ListSpec], Meta(max_length=MAX_COUNTERS)] = {}
    # How it is known who is connected, for `no_show` and `empty`: by `calls` of the game (the SDK's players,
    # /muster/v1/players), or by the `connections` of its TCP ports. `auto`: as `calls`, from the first one on.
    counted_by: Literal["auto", "calls", "connections"] = "auto"
    writable_root: bool = False  # an image that writes beside /tmp; otherwise its root is read-only


class Timers(Struct, frozen=True, forbid_unknown_fields=True):
    """Every phase of a match ends by itself. Seconds."""

    start_s: Seconds = 60  # created -> Ready; an image pull on a fresh node takes most of it
    join_s: Seconds = 30  # Ready -> somebody joined
    empty_s: Seconds = 30  # the last player left -> over
    reconnect_s: Seconds = 30  # a player lost the connection -> he counts as left, and his seat is free
    length_s: Seconds = 3600  # Ready -> over, whatever happens
    drain_s: Seconds = 5  # asked to stop -> killed


class Limits(Struct, frozen=True, forbid_unknown_fields=True):
    """What a game may use."""

    servers: Annotated[int, Meta(ge=1, le=10_000)] = 100  # at once; further matches wait in the queue
    queued_tickets: Annotated[int, Meta(ge=1, le=1_000_000)] = 100_000  # a further ticket is refused with 429
    tries: Annotated[int, Meta(ge=1, le=10)] = 3  # matches that may fail under one ticket before it FAILED
    # Matches that a player may reject, or cancel while their servers start, in ten minutes; then no new ticket (429).
    cancels: Annotated[int, Meta(ge=1, le=1000)] = 5


class RatingSpec(Struct, frozen=True, forbid_unknown_fields=True):
    """Players have a skill rating, which the results that servers report move. docs/ratings.md.

    Each ticket is given its players' ratings under `attribute`, whatever its client sent there. With `modes` a player
    has one rating per mode: a ticket names its mode in the attribute `mode_attribute`, by default the first.
    """

    attribute: Name = "skill"
    modes: Annotated[list[Mode], Meta(max_length=MAX_MODES)] = []
    mode_attribute: Name = "mode"


class EarlySpec(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """A server is started while its group still fills. docs/supply.md."""

    # The least chance, by the model, that the server is used before `hold_s` is over.
    probability: Annotated[float, Meta(ge=0.05, le=1)] = 0.5
    idle_s: Annotated[float, Meta(ge=0.1, le=600)] = 5.0  # of a server, idle, that a match may cost on average
    hold_s: Annotated[float, Meta(ge=1, le=600)] = 10.0  # so long an idle one waits for another group


class WarmTimes(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True, rename={"since": "from"}):
    """Servers that stand ready at times of the week, UTC. `to` may be on the next day."""

    since: Annotated[str, Meta(pattern="^([01][0-9]|2[0-3]):[0-5][0-9]$")]
    to: Annotated[str, Meta(pattern="^([01][0-9]|2[0-3]):[0-5][0-9]$")]
    servers: Annotated[int, Meta(ge=0, le=MAX_IDLE)]
    days: Annotated[list[Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]], Meta(max_length=7)] = []  # []: all


class WarmSpec(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """Servers that stand ready whoever waits: the most that any of these asks for."""

    servers: Annotated[int, Meta(ge=0, le=MAX_IDLE)] = 0  # always, but for the times of the schedule
    share: Annotated[float, Meta(ge=0, le=10)] = 0.0  # of the matches that run
    # Following demand: with this probability no match waits for a start, by the matches of late; none where none come.
    cover: Annotated[float, Meta(ge=0.5, le=0.9999)] | None = None
    schedule: Annotated[list[WarmTimes], Meta(max_length=32)] = []


class SupplySpec(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """When servers start. With neither, a server starts for the match that was made: nothing ever stands idle."""

    early: EarlySpec | None = None
    warm: WarmSpec | None = None
    idle_most: Annotated[int, Meta(ge=1, le=MAX_IDLE)] = 10  # servers without a match at once, starting ones included


class GameSpec(Struct, frozen=True, forbid_unknown_fields=True):
    """A game as its developer registers it."""

    server: Server
    name: Annotated[str, Meta(max_length=128)] = ""
    players_per_match: Annotated[int, Meta(ge=1, le=MAX_PLAYERS_PER_MATCH)] | None = None
    teams: Annotated[list[Team], Meta(max_length=MAX_TEAMS)] = []
    fill_wait_s: Annotated[float, Meta(ge=0, le=3600)] = 5.0  # oldest waits so long, then minima suffice
    # A FlexMatch rule set instead of teams: its tree, or its text in JSON or YAML, which is stored as the tree.
    rules: dict[str, Any] | str | None = None
    # Each player of a match is asked, and has so long to accept; None: nobody is asked. FlexMatch's bounds.
    acceptance_timeout_s: Annotated[float, Meta(ge=1, le=600)] | None = None
    rating: RatingSpec | None = None  # None: results move no ratings
    play: PlaySpec | None = None  # limits to play-time; None: there are none
    ticket_timeout_s: Annotated[float, Meta(ge=1, le=43_200)] = 600.0  # FlexMatch's bounds
    move_ttl_s: Annotated[int, Meta(ge=10, le=60)] = 30  # latest position is forgotten after (row A2)
    near: bool = False  # positions are indexed, so that one can ask who is near
    commands: CommandsSpec | None = None  # None: the game has no delayed commands
    accepting: bool = True  # false drains the game: no new tickets
    timers: Timers = Timers()
    limits: Limits = Limits()
    supply: SupplySpec = SupplySpec()


class Game(Struct, frozen=True):
    """A registration as stored: the spec, whose it is, and how often it changed."""

    id: str
    owner: str  # player id of the developer
    version: int  # 1 for the first; a change applies to new matches only
    created_ms: int
    updated_ms: int
    spec: GameSpec


class TicketPlayer(Struct, frozen=True, forbid_unknown_fields=True, gc=False):
    """One player of a ticket with what the rules may look at.

    Read from JSON, so never part of a cycle; without `gc=False` the garbage collector would look through all players of
    a long queue again and again, in the midst of passes over it.
    """

    id: str
    name: str = ""
    attributes: Annotated[dict[str, str | float | list[str] | dict[str, float]], Meta(max_length=MAX_ATTRIBUTES)] = {}
    latencies: Annotated[dict[str, Annotated[float, Meta(ge=0, le=60_000)]], Meta(max_length=64)] = {}  # region -> ms


class Waiting(Struct, frozen=True, gc=False):
    """A ticket in its queue, as grouping sees it. `since_ms` is when its wait began and survives a requeue.

    `trace` is what its client brought, '' for none (core.trace).
    """

    id: str
    since_ms: int
    players: list[TicketPlayer]
    trace: str = ""


class MatchPlayer(Struct, frozen=True, gc=False):
    """A seat in a match."""

    id: str
    name: str
    team: str
    ticket: str


class Match(Struct, frozen=True):
    """What a server must know of its match; fixed when it is claimed."""

    id: str
    game: str
    game_version: int
    created_ms: int
    players: list[MatchPlayer]
    server: Server
    timers: Timers
    tries: int
    move_ttl_s: int
    owner: str = ""  # player id of the game's developer
    acceptance_timeout_s: float | None = None  # its players are asked, and have so long; None: they are not
    region: str = ""  # where its players' latencies are best, if they told any
    rating_mode: str | None = None  # whose ratings its result moves ("" in a game without modes); None: nobody's
    near: bool = False  # positions are indexed
    trace: str = ""  # of its first ticket (core.trace)

    @property
    def tickets(self) -> list[str]:
        """Ticket ids, each once, in the order of the seats."""
        return list(dict.fromkeys(player.ticket for player in self.players))


class OpenPort(Struct, frozen=True):
    """A port of a running server as players reach it."""

    name: str
    protocol: Protocol
    port: int


class GivenPort(Struct, frozen=True):
    """A port that a launcher chose: the server listens on `listen`, players reach it by `port`."""

    name: str
    protocol: Protocol
    port: int
    listen: int


class Connection(Struct, frozen=True):
    """Where a match is played."""

    address: str
    ports: list[OpenPort]


ARENA_PORTS: Final = (Port("udp", "udp"), Port("tcp", "tcp"), Port("ws", "ws"))


def ports_of(server: Server) -> list[Port]:
    """The ports of a registration. One that names none has those of the arena, or a TCP port of Muster's choice."""
    return list(server.ports or (ARENA_PORTS if server.arena is not None else (Port(),)))


def teams_of(spec: GameSpec) -> list[Team]:
    """The teams to fill; a game without teams has one of `players_per_match`."""
    if spec.teams:
        return list(spec.teams)
    players = spec.players_per_match or 1
    return [Team("players", players, players)]
