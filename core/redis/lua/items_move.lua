-- items_move: move items between two players, or between the game and a player: both ways or not at all.
-- KEYS[1] base of the game's items
-- ARGV    id of the move, ms in that id, most ids remembered, entries kept of the audit, document (JSON of core/items.py:
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
    for i, item in ipairs(side) do
      local n = item[2]
      local number = type(n) == 'number' and n >= 1 and n <= MOST and math.floor(n) == n
      if not number or (n > 1 and string.find(item[1], '#', 1, true)) then return 'bad-quantity', item[1] end
      if i > 1 and side[i - 1][1] >= item[1] then return 'twice', item[1] end
    end
  end
end

-- Why a player cannot give what he must and take what he gains: code and item; nil where he can.
local function cannot(base, player, gain, need)
  local key, grown = base .. ':inv:' .. player, 0
  for item, change in pairs(gain) do
    local have = tonumber(redis.call('HGET', key, item) or 0)
    if have < (need[item] or 0) then return 'not-owned', item end
    local after = have + change
    if after > MOST then return 'over-bound', item end
    grown = grown + (after > 0 and 1 or 0) - (have > 0 and 1 or 0)
  end
  if grown > 0 and redis.call('HLEN', key) + grown > HOLDINGS then return 'over-bound', player end
end

local function refusal(base, doc, gain, need)
  for _, player in ipairs({ doc.a, doc.b }) do
    if player == '' then
      for item in pairs(need[player]) do -- made anew: there must be none
        local id = string.match(item, '#(.*)')
        if id and redis.call('HEXISTS', base .. ':owners', id) == 1 then return 'exists', item end
      end
    else
      if doc.kind ~= 'grant' and redis.call('SISMEMBER', base .. ':players', player) == 0 then
        return 'unknown-player', player
      end
      local code, what = cannot(base, player, gain[player], need[player])
      if code then return code, what end
    end
  end
end

-- Add what each player gains to the inventories under `prefix`.
local function add(prefix, gain)
  for player, changes in pairs(gain) do
    if player ~= '' then
      for item, change in pairs(changes) do
        if change ~= 0 and redis.call('HINCRBY', prefix .. player, item, whole(change)) == 0 then
          redis.call('HDEL', prefix .. player, item)
        end
      end
    end
  end
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

-- Write the audit. An entry that leaves it is added to what was `kept`, so that both together stay the whole.
local function note(base, id, doc, text, most)
  local at = redis.call('XADD', base .. ':audit', '*', 'id', id, 'doc', text)
  for _, player in ipairs({ doc.a, doc.b }) do
    if player ~= '' then
      local trail = base .. ':trail:' .. player
      if redis.call('LPUSH', trail, at) >= PLAYER_KEPT + 20 then redis.call('LTRIM', trail, 0, PLAYER_KEPT - 1) end
    end
  end
  local over = redis.call('XLEN', base .. ':audit') - most
  if over > 0 then
    -- Up to two for one, so that a bound that was lowered is reached too, in steps.
    for _, entry in ipairs(redis.call('XRANGE', base .. ':audit', '-', '+', 'COUNT', math.min(2, over))) do
      if entry[1] ~= at then
        add(base .. ':kept:', (sums(cjson.decode(entry[2][4]))))
        redis.call('XDEL', base .. ':audit', entry[1])
      end
    end
  end
  return at
end

local function remember(base, id, ms, answer, now, most)
  redis.call('HSET', base .. ':done', id, answer)
  redis.call('ZADD', base .. ':recent', ms, id)
  local over = redis.call('ZCARD', base .. ':recent') - most
  -- Whether the oldest are past their time is looked at now and then only, and then for more of them.
  if over <= 0 and ms % 16 > 0 then return end
  local oldest = redis.call('ZRANGE', base .. ':recent', 0, over > 0 and 1 or 63, 'WITHSCORES')
  for i = 1, #oldest, 2 do
    local past = tonumber(oldest[i + 1]) <= now - REMEMBERED_MS
    if past or over > 0 then
      redis.call('ZREM', base .. ':recent', oldest[i])
      redis.call('HDEL', base .. ':done', oldest[i])
      -- Forgotten before its time: whatever is as old must be refused, or it could be made twice.
      if not past then redis.call('SET', base .. ':forgotten', oldest[i + 1]) end
      over = over - 1
    end
  end
end

register('items_move', function(keys, args)
  local base, id, ms, digest = keys[1], args[1], tonumber(args[2]), redis.sha1hex(args[5])
  local known = redis.call('HGET', base .. ':done', id)
  if known then
    local was, how, first, second = string.match(known, '^(%S+) (%S+) (%S+) (%S*)$')
    if was ~= digest then return { 'refused', 'other-content', '' } end
    return { how == 'ok' and 'repeat' or how, first, second }
  end
  local time = redis.call('TIME')
  local now = time[1] * 1000 + math.floor(time[2] / 1000)
  local horizon = math.max(now - REMEMBERED_MS, tonumber(redis.call('GET', base .. ':forgotten') or 0))
  if ms <= horizon then return { 'refused', 'stale', '' } end
  if ms > now + AHEAD_MS then return { 'refused', 'future', '' } end
  local doc = cjson.decode(args[5])
  local answer, gain, need
  local code, what = wrong(doc)
  if not code then
    gain, need = sums(doc)
    code, what = refusal(base, doc, gain, need)
  end
  if code then
    answer = { 'refused', code, what }
  else
    if doc.kind == 'grant' then redis.call('SADD', base .. ':players', doc.b) end
    add(base .. ':inv:', gain)
    own(base, gain)
    answer = { 'ok', note(base, id, doc, args[5], tonumber(args[4])), '' }
  end
  remember(base, id, ms, digest .. ' ' .. table.concat(answer, ' '), now, tonumber(args[3]))
  return answer
end)
