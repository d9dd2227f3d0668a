-- boards_expire: take buckets that left the window out of the totals, a bounded step at a time.
-- KEYS[1] base of the boards
-- ARGV    first second of the oldest bucket still in the window, most members to take out now
-- Returns {members taken out, members still due (of at most 128 buckets)}
-- Keeps   the total of a player is the sum of his live buckets, after every step.
local BUCKETS_A_STEP = 128

register('boards_expire', function(keys, args)
  local base, most, taken = keys[1], tonumber(args[2]), 0
  local index, totals, place = base .. ':buckets', base .. ':activity', base .. ':expiring'
  for _ = 1, BUCKETS_A_STEP do
    local bucket = redis.call('ZRANGE', index, '-inf', '(' .. args[1], 'BYSCORE', 'LIMIT', 0, 1)[1]
    if taken == most or not bucket then break end
    local counts = base .. ':counts:' .. bucket
    -- Where the last step stopped. Scanning a large hash from its beginning would find the holes of all steps before.
    local where = redis.call('HGET', place, bucket) or '0'
    local after, found = unpack(redis.call('HSCAN', counts, where, 'COUNT', most - taken))
    for i = 1, #found, 2 do
      if taken == most then
        after = where -- a scan may find more than it was asked for: those are still there
        break
      end
      if redis.call('HDEL', counts, found[i]) == 1 then -- a scan may find one twice
        taken = taken + 1
        if tonumber(redis.call('ZINCRBY', totals, -found[i + 1], found[i])) <= 0 then
          redis.call('ZREM', totals, found[i])
        end
      end
    end
    if redis.call('EXISTS', counts) == 0 then
      redis.call('ZREM', index, bucket)
      redis.call('HDEL', place, bucket)
    else
      redis.call('HSET', place, bucket, after)
    end
  end
  local left = 0
  for _, bucket in ipairs(redis.call('ZRANGE', index, '-inf', '(' .. args[1], 'BYSCORE', 'LIMIT', 0, BUCKETS_A_STEP)) do
    left = left + redis.call('HLEN', base .. ':counts:' .. bucket)
  end
  return { taken, left }
end)
