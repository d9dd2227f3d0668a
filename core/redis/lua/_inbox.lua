-- Commands from outside for a running match; not a function itself. After _common.lua, for every function.

local INBOX_KNOWN = 4096    -- of a match: whose repeat is recognised
local INBOX_KEPT_S = 3600   -- ... for so long after the last one
local WAITS = 'waits '      -- of one that no server has taken yet: before its place in the stream
local TAKEN = 'taken'       -- of one that a server has, and has not answered

local function inbox_key(base, match) return base .. ':inbox:' .. match end

-- Whether an answer of `told` is the last word.
local function inbox_decided(answer) return answer ~= TAKEN and string.sub(answer, 1, #WAITS) ~= WAITS end
