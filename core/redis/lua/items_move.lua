-- items_move: move items between two players, or between the game and a player: both ways or not at all.
-- KEYS[1] base of the game's items
-- ARGV    id of the move, ms in it, most ids remembered, entries kept of the audit, document (JSON of core/items.py:
--         kind, a, b, give, get, by, match). `give` goes from a to b, `get` from b to a; each is a list of [item,
--         quantity], a unique item being `<kind>#<id>`. '' is the game itself, which has everything
-- Returns {'ok' | 'repeat', id in the audit, ''} | {'refused', code, player or item}
-- Keeps   what all players have of an item changes by grants and takes alone; a unique item has one owner; a move is
--         made once, however often it is sent: its first answer is repeated while it is remembered, and after that it is
--         refused as stale. Inventories are `kept` plus what the audit has.
local PLAYER_KEPT = 200     -- of the audit, that a player can look up
local REMEMBERED_MS = 600000 -- a move is asked again within ten minutes, or never
local AHEAD_MS = 60000      -- clocks of those who make ids may be so far ahead
local HOLDINGS = 500        -- kinds and unique items of one player
local MOST = 9007199254740991 -- of one kind: the largest whole number that every reader counts exactly

local function whole(n) return string.format('%.0f', n) end

-- What each player of a document gains (or loses, below 0) by item, and what each must have.
local function sums(doc)
  local gain, need = { [doc.a] = {}, [doc.b] = {} }, { [doc.a] = {}, [doc.b] = {} }
  for _, side in ipairs({ { doc.a, doc.b, doc.give }, { doc.b, doc.a, doc.get } }) do
    local from, to = side[1], side[2]
    for _, item in ipairs(side[3]) do
      gain[from][item[1]] = (gain[from][item[1]] or 0) - item[2]
      gain[to][item[1]] = (gain[to][item[1]] or 0) + item[2]
      need[from][item[1]] = (need[from][item[1]] or 0) + item[2]
    end
  end
  return gain, need
end

-- What is wrong with a document, whatever anybody has.
local function wrong(doc)
  if doc.a == doc.b then return 'self', doc.a end
  if #doc.give + #doc.get == 0 then return 'nothing', '' end
  for _, side in ipairs({ doc.give, doc.get }) do
    local named = {} -- not by their order: how Lua compares texts depends on the locale of Redis
    for _, item in ipairs(side) do
      local n = item[2]
      local number = type(n) == 'number' and n >= 1 and n <= MOST and math.floor(n) == n
      if not number or (n > 1 and string.find(item[1], '#', 1, true)) then return 'bad-quantity', item[1] end
      local name = string.match(item[1], '#.*') or item[1] -- an id is that of one item, whatever its kind
      if named[name] then return 'twice', item[1] end
      named[name] = true
    end
  end
end

-- What a player will have of the items that change, written as HSET and HDEL take them; or nil, code and item where he
-- cannot give what he must, or cannot have what he gains.
local function weigh(base, player, gain, need)
  local key, items, put, gone, grown = base .. ':inv:' .. player, {}, {}, {}, 0
  for item in pairs(gain) do items[#items + 1] = item end
  for i, have in ipairs(redis.call('HMGET', key, unpack(items))) do
    local item, had = items[i], tonumber(have or 0)
    if had < (need[item] or 0) then return nil, 'not-owned', item end
    local after = had + gain[item]
    if after > MOST then return nil, 'over-bound', item end
    grown = grown + (after > 0 and 1 or 0) - (had > 0 and 1 or 0)
    if after > 0 then
      put[#put + 1], put[#put + 2] = item, whole(after)
    else
      gone[#gone + 1] = item
    end
  end
  if grown > 0 and redis.call('HLEN', key) + grown > HOLDINGS then return nil, 'over-bound', player end
  return { key = key, put = put, gone = gone }
end

-- What both players will have; or nil, code and player or item where the move cannot be made.
local function weigh_both(base, doc, gain, need)
  if doc.kind ~= 'grant' then
    for i, known in ipairs(redis.call('SMISMEMBER', base .. ':players', doc.a, doc.b)) do
      local player = i == 1 and doc.a or doc.b
      if player ~= '' and known == 0 then return nil, 'unknown-player', player end
    end
  end
  local outcomes = {}
  for _, player in ipairs({ doc.a, doc.b }) do
    if player ~= '' then
      local outcome, code, what = weigh(base, player, gain[player], need[player])
      if not outcome then return nil, code, what end
      outcomes[#outcomes + 1] = outcome
    else
      for item in pairs(need[player]) do -- made anew: there must be none
        local id = string.match(item, '#(.*)')
        if id and redis.call('HEXISTS', base .. ':owners', id) == 1 then return nil, 'exists', item end
      end
    end
  end
  return outcomes
end

local function own(base, gain)
  for player, changes in pairs(gain) do
    for item, change in pairs(changes) do
      local id = change > 0 and string.match(item, '#(.*)')
      if id and player == '' then redis.call('HDEL', base .. ':owners', id) end
      if id and player ~= '' then redis.call('HSET', base .. ':owners', id, player) end
    end
  end
end

-- A bounded list is shortened by so many at once, when it is longer by as many: one by one costs twice as much.
local function step(most) return math.min(32, math.max(1, math.floor(most / 8))) end

-- Take the oldest entries out of the audit, and add them to what was `kept`: both together stay the whole.
local function carry_over(base, length, count)
  local sum = {}
  local entries = redis.call('XRANGE', base .. ':audit', '-', '+', 'COUNT', count)
  for _, entry in ipairs(entries) do
    for player, changes in pairs((sums(cjson.decode(entry[2][4])))) do
      sum[player] = sum[player] or {}
      for item, change in pairs(changes) do sum[player][item] = (sum[player][item] or 0) + change end
    end
  end
  for player, changes in pairs(sum) do
    -- Of who was erased nothing is kept (items_forget).
    if redis.call('SISMEMBER', base .. ':players', player) == 0 then changes = {} end
    local key = base .. ':kept:' .. player
    for item, change in pairs(changes) do
      if player ~= '' and change ~= 0 and redis.call('HINCRBY', key, item, whole(change)) == 0 then
        redis.call('HDEL', key, item)
      end
    end
  end
  redis.call('XTRIM', base .. ':audit', 'MAXLEN', length - #entries)
end

local function note(base, id, doc, text, most)
  local at = redis.call('XADD', base .. ':audit', '*', 'id', id, 'doc', text)
  for _, player in ipairs({ doc.a, doc.b }) do
    if player ~= '' then
      local trail = base .. ':trail:' .. player
      if redis.call('LPUSH', trail, at) >= PLAYER_KEPT + 20 then redis.call('LTRIM', trail, 0, PLAYER_KEPT - 1) end
    end
  end
  local length, some = redis.call('XLEN', base .. ':audit'), step(most)
  -- Twice as many where the bound was lowered: it is reached too, in steps.
  if length - most >= some then carry_over(base, length, math.min(length - most, 2 * some)) end
  return at
end

local function remember(base, id, ms, answer, now, most)
  redis.call('HSET', base .. ':done', id, answer)
  redis.call('ZADD', base .. ':recent', ms, id)
  local over, some = redis.call('ZCARD', base .. ':recent') - most, step(most)
  -- Whether the oldest are past their time is looked at now and then only, and then for more of them.
  if over < some and ms % 16 > 0 then return end
  local must = over >= some and over or 0
  local oldest, out, forgotten = redis.call('ZRANGE', base .. ':recent', 0, 63, 'WITHSCORES'), {}, nil
  for i = 1, #oldest, 2 do
    local past = tonumber(oldest[i + 1]) <= now - REMEMBERED_MS
    if not past and #out >= must then break end
    -- Forgotten before its time: whatever is as old must be refused, or it could be made twice.
    if not past then forgotten = oldest[i + 1] end
    out[#out + 1] = oldest[i]
  end
  if #out > 0 then
    redis.call('ZREM', base .. ':recent', unpack(out))
    redis.call('HDEL', base .. ':done', unpack(out))
  end
  if forgotten then redis.call('HSET', base .. ':done', '', forgotten) end
end

register('items_move', function(keys, args)
  local base, id, ms, digest = keys[1], args[1], tonumber(args[2]), redis.sha1hex(args[5])
  local known, forgotten = unpack(redis.call('HMGET', base .. ':done', id, ''))
  if known then
    local was, how, first, second = string.match(known, '^(%S+) (%S+) (%S+) (%S*)$')
    if was ~= digest then return { 'refused', 'other-content', '' } end
    return { how == 'ok' and 'repeat' or how, first, second }
  end
  local time = redis.call('TIME')
  local now = time[1] * 1000 + math.floor(time[2] / 1000)
  if ms <= math.max(now - REMEMBERED_MS, tonumber(forgotten or 0)) then return { 'refused', 'stale', '' } end
  if ms > now + AHEAD_MS then return { 'refused', 'future', '' } end
  local doc = cjson.decode(args[5])
  local outcomes, gain, need
  local code, what = wrong(doc)
  if not code then
    gain, need = sums(doc)
    outcomes, code, what = weigh_both(base, doc, gain, need)
  end
  local answer = { 'refused', code, what }
  if outcomes then
    if doc.kind == 'grant' then redis.call('SADD', base .. ':players', doc.b) end
    for _, outcome in ipairs(outcomes) do
      if #outcome.put > 0 then redis.call('HSET', outcome.key, unpack(outcome.put)) end
      if #outcome.gone > 0 then redis.call('HDEL', outcome.key, unpack(outcome.gone)) end
    end
    own(base, gain)
    answer = { 'ok', note(base, id, doc, args[5], tonumber(args[4])), '' }
  end
  remember(base, id, ms, digest .. ' ' .. table.concat(answer, ' '), now, tonumber(args[3]))
  return answer
end)
