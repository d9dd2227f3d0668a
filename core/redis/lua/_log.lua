-- Logs that are read from outside, and what is told in them; not a function itself. Before _common.lua, for every function.

local FACTS_KEPT = 10000    -- of a game, where no reader waits for them; 300 bytes each
local TOLD_KEPT = 1000      -- of what is told to readers only, and has been read
local TOLD_MOST = 40000     -- ... and where it waits for one; 200 bytes each
local TRIMMED_EACH = 64     -- entries: to look at the readers for each of them would cost more than all else here
local COUNTED_MOST = 2000   -- logs whose entries are counted; of further ones the length is asked for
local UNREAD_KEPT = 4       -- times the batches kept anyway: so long a log waits for its slowest reader
local SILENT_S = 3600       -- a reader that said nothing for an hour is dropped when the log would wait for it
local READERS_MOST = 64     -- readers of one log: each append to a log that is full looks at all of them

-- Registered readers of a shard's log: name -> {at = id of the last entry read, seen = s, lost = batches it never saw}.
local function reader_of(base, name)
  local found = redis.call('HGET', base .. ':readers', name)
  return found and cjson.decode(found)
end

local function reader_put(base, name, reader)
  reader.seen = tonumber(redis.call('TIME')[1])
  redis.call('HSET', base .. ':readers', name, cjson.encode(reader))
end

local function reader_silent(reader) return reader.seen + SILENT_S < tonumber(redis.call('TIME')[1]) end

-- Whether one more may register. At the bound those that are silent go.
local function reader_room(base)
  local readers = base .. ':readers'
  if redis.call('HLEN', readers) < READERS_MOST then return true end
  local found = redis.call('HGETALL', readers)
  for i = 1, #found, 2 do
    if reader_silent(cjson.decode(found[i + 1])) then redis.call('HDEL', readers, found[i]) end
  end
  return redis.call('HLEN', readers) < READERS_MOST
end

-- Whether entry id `a` comes before `b`.
local function entry_before(a, b)
  local a_ms, a_n = string.match(a, '(%d+)-(%d+)')
  local b_ms, b_n = string.match(b, '(%d+)-(%d+)')
  if a_ms ~= b_ms then return tonumber(a_ms) < tonumber(b_ms) end
  return tonumber(a_n) < tonumber(b_n)
end

-- Keep `keep` batches of a shard's log, and what its readers have not read, at most `most` (UNREAD_KEPT times as many).
-- Returns how many were trimmed unread, and who was dropped.
local function log_trim(base, keep, most)
  local log, dropped = base .. ':log', {}
  local over = redis.call('XLEN', log) - keep
  if over <= 0 then return 0, dropped end
  local slowest, readers = nil, {}
  local found = redis.call('HGETALL', base .. ':readers')
  for i = 1, #found, 2 do
    local reader = cjson.decode(found[i + 1])
    if reader_silent(reader) then
      redis.call('HDEL', base .. ':readers', found[i])
      dropped[#dropped + 1] = found[i]
    else
      readers[found[i]] = reader
      if not slowest or entry_before(reader.at, slowest) then slowest = reader.at end
    end
  end
  if not slowest then
    redis.call('XTRIM', log, 'MAXLEN', '~', keep)
    return 0, dropped
  end
  redis.call('XTRIM', log, 'MINID', '~', slowest, 'LIMIT', over)
  local lost = redis.call('XTRIM', log, 'MAXLEN', '~', most or UNREAD_KEPT * keep)
  if lost > 0 then
    local first = redis.call('XRANGE', log, '-', '+', 'COUNT', 1)[1][1]
    for name, reader in pairs(readers) do
      if entry_before(reader.at, first) then
        reader.lost = reader.lost + lost
        redis.call('HSET', base .. ':readers', name, cjson.encode(reader))
      end
    end
  end
  return lost, dropped
end

-- Whether the log of `base` is to be trimmed now, of which an entry was just added. Counted here, and anew where Redis
-- restarts: to ask for its length each time would cost as much as the entry.
local added, counting = {}, 0

local function trim_due(base)
  local count = added[base]
  if not count then
    if counting >= COUNTED_MOST then return redis.call('XLEN', base .. ':log') % TRIMMED_EACH == 0 end
    count, counting = 0, counting + 1
  end
  count = (count + 1) % TRIMMED_EACH
  added[base] = count
  return count == 0
end

-- What happened to a match, or to a server without one, goes into the log of its game in the step that makes it true, for
-- sinks (core/sinks) to carry away.
local function fact_put(base, key, event, now, more)
  more.event, more.id, more.at_ms = event, event .. '-' .. key, tonumber(now)
  -- `count` tells readers what comes after all else of the same moment.
  if event == 'session_removed' then
    redis.call('XADD', base .. ':log', '*', 'match', key, 'count', '1', 'data', cjson.encode(more))
  else
    redis.call('XADD', base .. ':log', '*', 'match', key, 'data', cjson.encode(more))
  end
  if trim_due(base) then log_trim(base, FACTS_KEPT) end
end

local function fact(base, match, event, now, more)
  more.match = match
  fact_put(base, match, event, now, more)
end

-- What is too much to be written for nobody (of tickets, presence, packs) is told in the step that makes it true where a
-- reader is registered, and to nobody else.
local function is_told(base) return redis.call('EXISTS', base .. ':facts:readers') == 1 end

local function tell(base, key, data)
  local facts = base .. ':facts'
  redis.call('XADD', facts .. ':log', '*', 'match', key, 'data', data)
  if trim_due(facts) then log_trim(facts, TOLD_KEPT, TOLD_MOST) end
end

-- What a call tells of tickets goes into one entry at its end: a line of data for each, and their ids with a space between.
-- nil until there is something to tell, then false where nobody is told.
local gathered

local function tell_ticket(base, id, line)
  if gathered == nil then gathered = is_told(base) and { base = base, ids = {}, lines = {} } end
  if gathered then
    local n = #gathered.ids + 1
    gathered.ids[n], gathered.lines[n] = id, line
  end
end

local function tickets_told()
  if gathered then tell(gathered.base, table.concat(gathered.ids, ' '), table.concat(gathered.lines, '\n')) end
end
