-- Shared by every function of the library; not a function itself. TICKET and MATCH are the transition tables,
-- generated from core/lifecycle.py and put before this file.

local EVENTS_KEPT = 64      -- of one ticket, for replay by Last-Event-ID; a ticket has a handful
local OVER_KEPT_S = 3600    -- a ticket that is over can still be read for an hour
local PLAYED_KEPT_S = 90000 -- a completed one outlives the longest match (24 h), which may fail and requeue it
local RATED_KEPT_S = 2 * PLAYED_KEPT_S -- that a match moved ratings is known for longer than the match itself
local RECENT_KEPT = 100     -- matches that are over, for the operator page
local CANCELS = 5           -- matches a player may turn down in the window, where the registration does not say (core.model.Limits)
local CANCELS_MS = 600000   -- ... and that window
local PACKS_KNOWN = 64      -- numbers of packs whose repeat is recognised, and whose outcome is told
local SCHEMA_FIRST = 1      -- form of data from before there was a version
local CHANGES_KEPT = 100000 -- ids of tickets whose place in the queue changed; an owner further behind reads it whole

-- Redis' own clock, ms.
local function clock()
  local time = redis.call('TIME')
  return time[1] * 1000 + math.floor(time[2] / 1000)
end

local function ticket_key(base, id) return base .. ':ticket:' .. id end
local function match_key(base, id) return base .. ':match:' .. id end

-- The account of a player, from another key of his.
local function account_of(key) return 'muster:account:' .. string.match(key, '{.*}') end

-- Free a player's place for another ticket, unless it is already another's.
local function close_players(base, id, doc)
  for _, player in ipairs(cjson.decode(doc)) do
    if redis.call('HGET', base .. ':open', player.id) == id then
      redis.call('HDEL', base .. ':open', player.id)
    end
  end
end

-- Tell whoever mirrors the queue to look at this ticket again ('t'), or at what this match asks for ('b'). Only its id:
-- what it is then is read then.
local function changed(base, id, kind)
  redis.call('XADD', base .. ':changes', 'MAXLEN', '~', CHANGES_KEPT, '*', kind or 't', id)
end

-- A match asks for no more players.
local function backfill_over(base, id)
  if redis.call('SREM', base .. ':asking', id) == 1 then
    redis.call('HDEL', match_key(base, id), 'backfill_ms')
    changed(base, id, 'b')
  end
end

-- {id, since_ms, state, doc, trace} of a ticket in the queue, {id, '', '', '', ''} of one that is not there (any more).
local function waiting_ticket(base, id, found)
  local n, state, since, doc, trace = #found, nil, nil, nil, nil
  if redis.call('ZSCORE', base .. ':queue', id) then
    state, since, doc, trace = unpack(redis.call('HMGET', ticket_key(base, id), 'state', 'since_ms', 'doc', 'trace'))
    if not state then
      redis.call('ZREM', base .. ':queue', id)
      redis.call('ZREM', base .. ':alive', id)
    end
  end
  found[n + 1], found[n + 2], found[n + 3], found[n + 4], found[n + 5] = id, since or '', state or '', doc or '', trace or ''
end

-- Move one ticket by one event. Returns the new state, or nil where the table forbids it (and nothing changed).
-- `asked` is what its players are told while they are asked, see `asked_of`.
local function ticket_step(base, id, event, now, reason, match, asked)
  local key = ticket_key(base, id)
  local state, doc, since, seq, trace = unpack(redis.call('HMGET', key, 'state', 'doc', 'since_ms', 'seq', 'trace'))
  local row = state and TICKET[state]
  local after = row and row[event]
  if not after then return nil end
  seq = tonumber(seq) + 1
  local entry = cjson.encode({ seq = seq, at_ms = tonumber(now), status = after, event = event,
                               reason = reason or '', match = match or '', asked = asked, trace = trace or nil })
  redis.call('HSET', key, 'state', after, 'seq', seq, 'reason', reason or '', 'match', match or '', 'e' .. seq, entry)
  if seq > EVENTS_KEPT then redis.call('HDEL', key, 'e' .. (seq - EVENTS_KEPT)) end
  if event ~= 'searched' then tell_ticket(base, id, entry) end
  if event == 'requeued' or event == 'released' then
    redis.call('ZADD', base .. ':queue', since, id)
    redis.call('ZADD', base .. ':alive', now, id)
    for _, player in ipairs(cjson.decode(doc)) do redis.call('HSET', base .. ':open', player.id, id) end
    redis.call('PERSIST', key)
    changed(base, id)
  elseif event ~= 'searched' and event ~= 'accepted' then
    if state == 'QUEUED' or state == 'SEARCHING' then
      -- Of a claim its maker knows, who is the only one that mirrors this queue.
      if redis.call('ZREM', base .. ':queue', id) == 1 and event ~= 'claimed' and event ~= 'proposed' then
        changed(base, id)
      end
      redis.call('ZREM', base .. ':alive', id)
    end
    if after == 'COMPLETED' then redis.call('EXPIRE', key, PLAYED_KEPT_S) end
    if after == 'CANCELLED' or after == 'TIMED_OUT' or after == 'FAILED' then redis.call('EXPIRE', key, OVER_KEPT_S) end
    if after ~= 'PLACING' and after ~= 'REQUIRES_ACCEPTANCE' then close_players(base, id, doc) end
  end
  redis.call('HINCRBY', base .. ':stats', 'tickets_' .. event, 1)
  return after
end

-- The seats of a match document by ticket, in their order: { { ticket, player id... }, ... }; and how many there are.
local function seats_of(doc)
  local tickets, of, players = {}, {}, cjson.decode(doc).players
  for _, player in ipairs(players) do
    if not of[player.ticket] then
      of[player.ticket] = { ticket = player.ticket }
      tickets[#tickets + 1] = of[player.ticket]
    end
    table.insert(of[player.ticket], player.id)
  end
  return tickets, #players
end

-- What the players of one ticket are told while their match asks: how many accepted, of how many, until when, and who of
-- their own ticket did.
local function asked_of(key, seats, accepted, players, till)
  local fields, who = {}, {}
  for i, player in ipairs(seats) do fields[i] = 'y:' .. player end
  for i, yes in ipairs(redis.call('HMGET', key, unpack(fields))) do if yes then who[#who + 1] = seats[i] end end
  return { accepted = tonumber(accepted), players = players, until_ms = tonumber(till), who = #who > 0 and who or nil }
end

-- A player finds the match in which he has a seat by his account alone. `players` of the match document have theirs from
-- now on, or (`over`) none any more.
local function seats_known(base, id, players, over)
  if #players == 0 then return end
  local playing, given, names = base .. ':playing', {}, {}
  for i, player in ipairs(players) do
    names[i] = player.id
    given[2 * i - 1], given[2 * i] = player.id, id
  end
  if not over then
    redis.call('HSET', playing, unpack(given))
    return
  end
  local gone = {}
  for i, now in ipairs(redis.call('HMGET', playing, unpack(names))) do if now == id then gone[#gone + 1] = names[i] end end
  if #gone > 0 then redis.call('HDEL', playing, unpack(gone)) end
end

-- What came of the matches of a version of the game, so that versions can be compared.
local function outcome(base, version, what)
  if type(version) ~= 'number' then return end
  redis.call('HINCRBY', base .. ':outcomes', string.format('%d:%s', version, what), 1)
end

local function version_name(number) return string.format('%d', number) end

-- The highest number that a version of the game ever had.
local function newest_version(base, current)
  return math.max(tonumber(redis.call('HGET', base .. ':versions', 'newest') or 0), current)
end

-- Keep a version, the last `most` of all, and the current one.
local function version_keep(base, number, doc, current, most)
  local versions, outcomes, kept = base .. ':versions', base .. ':outcomes', {}
  redis.call('HSET', versions, version_name(number), doc, 'newest', version_name(number))
  for _, name in ipairs(redis.call('HKEYS', versions)) do kept[#kept + 1] = tonumber(name) end
  table.sort(kept)
  local first = kept[math.max(1, #kept - most + 1)]
  for _, n in ipairs(kept) do
    if n < first and n ~= current then redis.call('HDEL', versions, version_name(n)) end
  end
  for _, name in ipairs(redis.call('HKEYS', outcomes)) do
    local n = tonumber(string.match(name, '^%d+'))
    if n < first and n ~= current then redis.call('HDEL', outcomes, name) end
  end
end

-- A candidate is tried no more.
local function canary_over(base, version, how, why, now)
  redis.call('DEL', base .. ':canary')
  local told = { version = tonumber(version), how = how, why = why, at_ms = tonumber(now) }
  redis.call('HSET', base .. ':versions', 'over', cjson.encode(told))
end

-- A match is over: not live, among the recent ones, and as long to be read as a ticket of it.
local function match_close(base, id)
  redis.call('ZREM', base .. ':live', id)
  backfill_over(base, id)
  redis.call('LPUSH', base .. ':recent', id)
  redis.call('LTRIM', base .. ':recent', 0, RECENT_KEPT - 1)
  redis.call('HDEL', match_key(base, id), 'kept')
  redis.call('EXPIRE', match_key(base, id), PLAYED_KEPT_S)
end

-- A match fails because of a player: `ticket` leaves by `event`, or, where none is named, each whose players did not all
-- accept. The others are released. Returns the tickets that moved; nil where the table forbids it (and nothing changed).
local function match_refused(base, id, now, reason, ticket, event)
  local key = match_key(base, id)
  local state, doc = unpack(redis.call('HMGET', key, 'state', 'doc'))
  local after = state and MATCH[state] and MATCH[state].fail
  if not after then return nil end
  redis.call('HSET', key, 'state', after, 'reason', reason, 'fail_ms', now)
  match_close(base, id)
  local document = cjson.decode(doc)
  outcome(base, document.game_version, 'fail:' .. reason)
  local moved = {}
  for _, seats in ipairs((seats_of(doc))) do
    local how = 'released'
    if ticket then
      if seats.ticket == ticket then how = event end
    else
      local who = asked_of(key, seats).who
      if not who or #who < #seats then how = 'unanswered' end
    end
    if ticket_step(base, seats.ticket, how, now, reason, id) then moved[#moved + 1] = seats.ticket end
  end
  redis.call('HINCRBY', base .. ':stats', 'matches_fail', 1)
  fact(base, id, 'match_failed', now, { reason = reason, trace = document.trace })
  return moved
end

-- Whether the caller still holds the game's lease. A stalled owner that wakes up finds a higher token here.
local function fenced(base, token)
  return redis.call('HGET', base .. ':lease', 'token') ~= token
end

-- Put a player on a board on which, of equal scores, the one reached first ranks first. A member is the time, counted
-- backwards, and the player; `since` has each player's time. With `best` a lower score than his own changes nothing.
local LAST_MS = 2 ^ 44 - 1
local function board_put(base, name, player, score, at, best)
  local board, since, new = base .. ':' .. name, base .. ':since:' .. name, tonumber(score)
  if not new or new ~= new then return end
  local tie = string.format('%011x', LAST_MS - math.max(0, math.min(tonumber(at), LAST_MS)))
  local before = redis.call('HGET', since, player)
  if before then
    local had = tonumber(redis.call('ZSCORE', board, before .. player))
    if had and best and new < had then return end
    if had == new and tonumber(before, 16) >= tonumber(tie, 16) then return end
    redis.call('ZREM', board, before .. player)
  end
  redis.call('ZADD', board, score, tie .. player)
  redis.call('HSET', since, player, tie)
end

-- Services that said that they run, each {id, who, oldest, newest, till, gone}.
local function schema_services(key, now)
  local found, services = redis.call('HGETALL', key), {}
  for i = 1, #found, 2 do
    local one = cjson.decode(found[i + 1])
    one.id, one.gone = found[i], one.till < now
    services[#services + 1] = one
  end
  return services
end

-- Let a player with waiting packs be the next that is taken, unless a worker has him, or he is to be tried later.
local function pack_hurry(base, player)
  local due = tonumber(redis.call('ZSCORE', base .. ':packs-due', player))
  if due and due <= clock() then redis.call('ZADD', base .. ':packs-due', 1, player) end
end
