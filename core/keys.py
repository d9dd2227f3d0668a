"""Every Redis key in one table. PURE.

The part in braces is the hash tag: keys with the same tag live in one slot, so a function may touch them in one
atomic step on Redis Cluster too. A function gets its *base* (the tag's prefix) as its only declared key and derives
the rest from it; all of them hash to that slot.

| key | type | holds |
|---|---|---|
| `muster:games` | set | ids of registered games |
| `muster:doorbells` | hash | ZeroMQ endpoint -> what it listens for and until when |
| `muster:crowded` | hash | game -> matches that have no room, and where (JSON of matchmaker.crowd.Word), for seconds |
| `muster:servers` | hash | launcher -> the servers it sees, for the operator page |
| `muster:node:{name/address}` | string | what players reach this node of a cluster by, '' for its own address |
| `muster:{game}:game` | string | the registration (JSON of core.model.Game) |
| `muster:{game}:versions` | hash | version -> its registration; `newest` number, `over`: how a canary ended |
| `muster:{game}:canary` | hash | candidate that is tried: version, doc, percent, since_ms, `before`: outcomes |
| `muster:{game}:outcomes` | hash | `<version>:created`, `:ready`, `:finish:<reason>`, `:fail:<reason>` -> matches |
| `muster:{game}:lease` | hash | owner, token (fencing), until_ms: who matches this game |
| `muster:{game}:queue` | zset | waiting tickets by the ms their wait began |
| `muster:{game}:changes` | stream | ids of tickets, and of matches that ask for players, that changed: for a mirror |
| `muster:{game}:asking` | set | running matches that ask for players |
| `muster:{game}:alive` | zset | waiting tickets by the last sign of life of who waits, ms |
| `muster:{game}:open` | hash | player -> the open ticket |
| `muster:{game}:inbox:<match>` | stream | commands from outside for its server; `:told` id -> answer, `:ids` in order |
| `muster:{game}:order:<id>` | string | match that an outside matchmaker ordered by that id, and a digest of the order |
| `muster:{game}:playing` | hash | player -> the running match in which he got a seat last |
| `muster:{game}:cancels:<player>` | zset | matches that a player turned down lately, by ms |
| `muster:{game}:ticket:<id>` | hash | state, doc, since_ms, match, tries, seq and events `e<seq>` |
| `muster:{game}:live` | zset | live matches by the ms at which somebody must look at them |
| `muster:{game}:match:<id>` | hash | state, doc, server, connection, reason, result, times, roster, kept, `y:<id>`... |
| `muster:{game}:standbys` | zset | servers without a match: the ready ones by the ms since when, then the starting |
| `muster:{game}:standby:<id>` | hash | state, kind, version, doc, server, times of such a server, and its match |
| `muster:{game}:bell:<id>` | list | its match, pushed with the allocation: the server waits for it |
| `muster:{game}:supply` | hash | what supply came to since the beginning: allocations by kind, idle ms, wrong guesses |
| `muster:{game}:plan` | string | what should stand ready and why (JSON of core.supply.Plan), for seconds |
| `muster:{game}:unrated` | zset | finished matches that have not yet moved ratings, by the ms of their end |
| `muster:{game}:recent` | list | ids of the last matches that were over |
| `muster:{game}:stats` | hash | counters since the beginning |
| `muster:{game}:asked` | zset | waiting tickets somebody asks about (why not yet), by the ms they did; for seconds |
| `muster:{game}:why:<ticket>` | string | the matchmaker's answer (JSON of core.insight.WhyNot), for seconds |
| `muster:{game}:figures` | string | how the queue goes (JSON of core.insight.Figures), for seconds |
| `muster:{game}:log` | stream | facts of the game's matches, for sinks; `readers` of it as below |
| `muster:{game}:facts:log` | stream | ... and of its tickets and presence, while there are `facts:readers` |
| `muster:{game.N}:facts:log` | stream | ... and of N's packs of delayed commands, likewise |
| `muster:{audit/all}:log` | stream | who tried to come in (webapi.audit), for sinks; `readers` of it |
| `muster:{audit/all}:batch:<writer>` | string | number of a webapi's last call there, so that a repeat is recognised |
| `muster:{game.N}:log` | stream | packed batches of interactions, the truth of N's matches |
| `muster:{game.N}:batch:<match>` | string | number of the last batch appended, so that a repeat is recognised |
| `muster:{game.N}:readers` | hash | registered reader of the log -> cursor, when it was heard, what it lost (JSON) |
| `muster:{game.N}:attack:<attacker>:<target>` | hash | latest attack (row A1) |
| `muster:{game.N}:move:<player>` | hash | latest position, with a time to live (row A2) |
| `muster:{game.N}:player:<player>` | hash | state of a player in play (row A4) |
| `muster:{game.N}:near` | geo | who is near, in a game that asks for it: players by place, to look up their `move` |
| `muster:{game.N}:near:polar` | set | ... players so near to a pole that the index has no place for them |
| `muster:{game.N}:near:until` | zset | ... and when each of them leaves it, ms |
| `muster:{game.boards}:activity` | zset | interactions of the last 24 h by player (row A5) |
| `muster:{game.boards}:counts:<bucket>` | hash | ... of one time bucket of theirs |
| `muster:{game.boards}:buckets` | zset | buckets that are not yet expired |
| `muster:{game.boards}:expiring` | hash | bucket that is being expired -> where the last step stopped |
| `muster:{game.boards}:score` | zset | best score by time and player (`core.leaderboard`) |
| `muster:{game.boards}:rating` | zset | least skill by time and player; `rating:<mode>` in a game with modes |
| `muster:{game.boards}:since:<board>` | hash | player -> the time in his member of that board |
| `muster:{game.boards}:ratings` | hash | player -> skill (`core.rating`); `ratings:<mode>` in a game with modes |
| `muster:{game.boards}:modes` | set | modes in which ratings have moved in the running season, '' in a game without |
| `muster:{game.boards}:seasons` | hash | `now`, `since`, `carry`, `first`; `e:<season>` of each kept (`core.season`) |
| `muster:{game.boards}:season:<season>:...` | | `score`, `rating` and `since` as they were when that season ended |
| `muster:{game.boards}:rated:<match>` | string | the match has moved ratings, so that a repeat is recognised |
| `muster:{game.boards}:batch:<match>` | string | as above, for the boards |
| `muster:{game.items}:inv:<player>` | hash | item -> quantity (row A3); `<kind>#<id>` -> 1 for a unique item |
| `muster:{game.items}:owners` | hash | id of a unique item -> its owner |
| `muster:{game.items}:players` | set | players whom items can be given |
| `muster:{game.items}:audit` | stream | every move of items, the truth of the inventories together with `kept` |
| `muster:{game.items}:kept:<player>` | hash | what the entries that left the audit came to, as `inv` |
| `muster:{game.items}:trail:<player>` | list | ids of the player's latest entries of the audit |
| `muster:{game.items}:done` | hash | id of a move -> digest and answer; '' -> ms up to which some are forgotten |
| `muster:{game.items}:recent` | zset | ids in `done` by the ms in them |
| `muster:{game.N}:commands:<player>` | hash | a player's delayed commands: `core.packstore` has the fields |
| `muster:{game.N}:packs:<player>` | list | packs of his that wait, in order |
| `muster:{game.N}:packs-due` | zset | players with waiting packs by the ms at which a worker may take them |
| `muster:{game.N}:packs-since` | zset | ... by the ms since which the oldest waits |
| `muster:{game.N}:packs-stats` | hash | packs and commands accepted, executed, failed, skipped |
| `muster:{game}:balance` | hash | `now`: version, `since`; `v:<version>` each kept, `until:<version>` when replaced |
| `muster:{game}:feed` | stream | what happened to the game's players (JSON of core.events), for its developer |
| `muster:{game}:feed:at` | hash | shard of presence -> its last event that is in the feed |
| `muster:{game}:hook` | hash | the developer's webhook: url, salt, `at` (feed), tries, due_ms, error, counters |
| `muster:{game}:hook:dead` | hash | delivery that was given up -> what it was (JSON of core.webhook.Dead) |
| `muster:{game}:hook:order` | zset | ... by the ms at which it was |
| `muster:{game}:hook:again` | list | deliveries to be made once more |
| `muster:{game}:analytics` | hash | `epoch`, and log -> how far its events are counted; of `audit/all` too, as below |
| `muster:{game}:counted:<minute>` | hash | `<0-9>:<event>` -> how many, in the ten minutes from that one of UNIX time |
| `muster:{game}:flags` | hash | what cannot be right, by id (JSON of the event); `flags:order` ids by minute |
| `muster:{audit/all}:epoch` | hash | `source` events are counted from, `number`, `since_ms`; `offsets:<number>` |
| `muster:{sink/NAME/game}:lease` | hash | who carries the game's events to that broker, as a game's lease |
| `muster:{schema/}:state` | hash | form of the data: `newest`, `oldest` there may be, `by`, `place` of a migration |
| `muster:{schema/}:services` | hash | service that runs -> its release and the forms that it reads (JSON) |
| `muster:{schema/}:libraries` | hash | function library -> the ms at which a service said that it uses it |
| `muster:{schema/}:lease` | hash | who migrates, as a game's lease |
| `muster:{presence/N}:heard` | zset | `<game>/<player>` by the ms (of Redis' clock) at which he was heard last |
| `muster:{presence/N}:since` | hash | `<game>/<player>` -> the ms at which his session began |
| `muster:{presence/N}:online` | hash | game -> players online |
| `muster:{presence/N}:watch` | hash | `heard`: when a listener listened, `hold`: nobody is offline before, `dropped` |
| `muster:{presence/N}:lease` | hash | who reports this shard, as a game's lease |
| `muster:{presence/N}:events` | stream | who came and who went offline, the truth of sessions (`core.events`) |
| `muster:{presence/N}:settled` | string | the last of these that is in days, sessions and feeds |
| `muster:{presence/N}:days:<player>` | hash | `<game>/<day>` -> ms played in sessions that are over |
| `muster:{presence/N}:sessions:<player>` | list | the latest of them (JSON) |
| `muster:{presence/N}:limited` | set | `<game>/<player>` to whom the game's play-time limits apply |
| `muster:login:{name}` | hash | a folded user name -> player, password hash, and what its account is written from |
| `muster:account:{player}` | hash | name, role, role_rev (changes of the role), times; or a tombstone: `erased_ms` |
| `muster:sessions:{player}` | hash | session id -> refresh token digest and expiry (JSON) |
| `muster:revoked:{session}` | string | access tokens of this session are void; lives as long as they could |
| `muster:tries:{who}` | zset | failed logins by name or address, and sign-ups by address, by their ms |
| `muster:places:{name}` | zset | digests of addresses that a user name was entered from, by their ms |
| `muster:drains` | hash | game, or `*` for all -> what makes no new match, and how (JSON of core.drain.Drain) |
| `muster:games_ever` | set | ids of games that were ever registered |
| `muster:erasing` | zset | players who are to be erased, by the ms at which somebody is to look after them |
| `muster:apikeys:{player}` | hash | a developer's key for programs -> digest, scopes, times (JSON) |
| `muster:apikeys_used:{player}` | hash | ... and when it was used last, ms |
| `muster:developer_invitations` | zset | invitations of developers by the ms they end |
| `muster:invitation:{invitation}` | hash | digest of its code, who made it, who took it |
| `muster:{game}:issuer` | string | who else says who a player of the game is (JSON) |
| `muster:outside:{digest}` | string | whom a subject of such an issuer is: a player |
| `muster:developer:{player}` | hash | a developer's game -> its live matches, and when they were counted (ms) |
| `muster:party:{party}` | string | a party (JSON) |
| `muster:partycode:{code}` | string | invitation code -> party |
| `muster:partyof:{player}` | string | the party a player is in (JSON) |
| `muster:invitations:{player}` | hash | invitation code of a party -> who invited the player, and when (JSON) |

Of a match's hash: `roster` counts how often its seats changed, `backfill` is its newest request for players,
`backfill_ms` since when it asks (while it does), `backfilled` the last request that was filled, `kept` what its
sidecar is to know in its next life, `said_ms` when the line that means ready was seen, `standby` the
server that was started before the match, whose id its process runs under and its join key is made of.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Final
from zlib import crc32

GAMES: Final = "muster:games"
DOORBELLS: Final = "muster:doorbells"
CROWDED: Final = "muster:crowded"
SERVERS: Final = "muster:servers"
GAMES_EVER: Final = "muster:games_ever"
ERASING: Final = "muster:erasing"
AUDIT: Final = "muster:{audit/all}"  # base of the log of who tried to come in. No game's id has a slash
DRAINS: Final = "muster:drains"
SCHEMA: Final = "muster:{schema/}"  # base; no game's id has a slash
INVITATIONS: Final = "muster:developer_invitations"

# Slots over which one game's interactions spread. Written once for ever: a change would orphan what is stored.
SHARDS: Final = 16
PRESENCE_SHARDS: Final = 16  # of all players' presence; likewise


def node(name: str, address: str) -> str:
    """A node is known by its name and its address inside: names are given again."""
    return f"muster:node:{{{name}/{address}}}"


def game(game_id: str) -> str:
    """Base of everything a match is made from and lives by."""
    return f"muster:{{{game_id}}}"


def registration(game_id: str) -> str:
    return f"{game(game_id)}:game"


def versions(game_id: str) -> str:
    return f"{game(game_id)}:versions"


def game_owner(game_id: str) -> str:
    """Who registered the id first; kept when the game is removed, as are its boards and items."""
    return f"{game(game_id)}:owner"


def ticket(game_id: str, ticket_id: str) -> str:
    return f"{game(game_id)}:ticket:{ticket_id}"


def match(game_id: str, match_id: str) -> str:
    return f"{game(game_id)}:match:{match_id}"


def standby(game_id: str, standby_id: str) -> str:
    return f"{game(game_id)}:standby:{standby_id}"


@lru_cache(maxsize=4096)  # the views of a match's players are written again and again
def shard(game_id: str, of: str) -> str:
    """Base of the interactions of `of`: a match for its log, a player for the views of that player."""
    return f"muster:{{{game_id}.{shard_number(of)}}}"


def shard_number(of: str) -> int:
    """Which of the game's shards holds `of`. CRC-32: the same in every process and every language."""
    return crc32(of.encode()) % SHARDS


def shards(game_id: str) -> list[str]:
    """Bases of all of a game's interactions."""
    return [f"muster:{{{game_id}.{number}}}" for number in range(SHARDS)]


def facts(base: str) -> str:
    """Base of what happened under `base` that is written only while somebody reads it."""
    return f"{base}:facts"


def boards(game_id: str) -> str:
    """Base of a game's leaderboards: rank is a question over all players, so they share a slot."""
    return f"muster:{{{game_id}.boards}}"


def items(game_id: str) -> str:
    """Base of a game's items: an exchange takes from one player what it gives another, so they share a slot."""
    return f"muster:{{{game_id}.items}}"


def sink(name: str, game_id: str) -> str:
    """Base of the lease of who carries a game's events to a broker. No game's id has a slash."""
    return f"muster:{{sink/{name}/{game_id}}}"


def counted_base(game_id: str) -> str:
    """Base of what is counted of a game, or, '', of the installation: where the log is that its flags are told in."""
    return game(game_id) if game_id else AUDIT


def balance(game_id: str) -> str:
    """Versions of a game's balance document."""
    return f"{game(game_id)}:balance"


def presence(number: int | str) -> str:
    """Base of one shard of presence. No game's id has a slash, so no game's slot is called so."""
    return f"muster:{{presence/{number}}}"


def presence_number(player: str) -> int:
    """Which shard of presence has `player`, in all games."""
    return crc32(player.encode()) % PRESENCE_SHARDS


def ratings(game_id: str, mode: str) -> str:
    """Skill ratings by player; `mode` is "" in a game without modes."""
    return f"{boards(game_id)}:ratings:{mode}" if mode else f"{boards(game_id)}:ratings"


def seasons(game_id: str) -> str:
    return f"{boards(game_id)}:seasons"


def login(folded_name: str) -> str:
    return f"muster:login:{{{folded_name}}}"


def account(player: str) -> str:
    return f"muster:account:{{{player}}}"


def sessions(player: str) -> str:
    return f"muster:sessions:{{{player}}}"


def revoked(session: str) -> str:
    return f"muster:revoked:{{{session}}}"


def tries(who: str) -> str:
    return f"muster:tries:{{{who}}}"


def known_places(folded_name: str) -> str:
    return f"muster:places:{{{folded_name}}}"


def api_keys(player: str) -> str:
    return f"muster:apikeys:{{{player}}}"


def api_keys_used(player: str) -> str:
    return f"muster:apikeys_used:{{{player}}}"


def invitation(invitation_id: str) -> str:
    return f"muster:invitation:{{{invitation_id}}}"


def issuer(game_id: str) -> str:
    return f"{game(game_id)}:issuer"


def outside(digest: str) -> str:
    return f"muster:outside:{{{digest}}}"


def developer(player: str) -> str:
    return f"muster:developer:{{{player}}}"


def party(party_id: str) -> str:
    return f"muster:party:{{{party_id}}}"


def party_code(code: str) -> str:
    return f"muster:partycode:{{{code}}}"


def party_of(player: str) -> str:
    return f"muster:partyof:{{{player}}}"


def invitations(player: str) -> str:
    return f"muster:invitations:{{{player}}}"
