-- Versions of the data, and who runs; not a function itself. After _common.lua, for every function.

local SCHEMA_FIRST = 1      -- form of data from before there was a version

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
