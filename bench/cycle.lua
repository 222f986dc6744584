-- Sends the requests in a file one after the other, for ever: each is its length in bytes, a newline, its bytes.
-- The first is the one behind as many as were sent before, so that a run goes on where the last one ended: puts that
-- were made by it change nothing if they are made again. Several threads start as far apart as can be. At the end prints what was measured as one line of JSON.

local requests = {}
local last = 0
local threads = 0

function setup(thread)
   thread:set("number", threads)
   threads = threads + 1
end

function init(arguments)
   local file = assert(io.open(arguments[1], "rb"))
   for length in file:lines() do
      requests[#requests + 1] = file:read(tonumber(length))
   end
   file:close()
   local threads, sent = tonumber(arguments[2]), tonumber(arguments[3])
   last = math.floor(#requests * number / threads + sent / threads) % #requests
end

function request()
   last = last % #requests + 1
   return requests[last]
end

function done(summary, latency, _)
   io.write(string.format(
      '{"answers": %d, "microseconds": %d, "refused": %d, "broken": %d, "p50": %.1f, "p99": %.1f}\n',
      summary.requests,
      summary.duration,
      summary.errors.status,
      summary.errors.connect + summary.errors.read + summary.errors.write + summary.errors.timeout,
      latency:percentile(50),
      latency:percentile(99)
   ))
end
