-- Sends the requests of a file in turn; each line is: method, path, body and headers ("Name: value"), between tabs.
-- Environment: REQUESTS names the file, OUT is where the result goes as JSON.
local requests, count, position = {}, 0, 0

function init()
  for line in io.lines(os.getenv("REQUESTS")) do
    local parts = {}
    for part in (line .. "\t"):gmatch("([^\t]*)\t") do parts[#parts + 1] = part end
    local headers = {}
    for i = 4, #parts do
      local name, value = parts[i]:match("^([^:]+): (.*)$")
      headers[name] = value
    end
    count = count + 1
    requests[count] = wrk.format(parts[1], parts[2], headers, parts[3] ~= "" and parts[3] or nil)
  end
end

function request()
  position = position % count + 1
  return requests[position]
end

function done(summary, latency)
  local out = io.open(os.getenv("OUT"), "w")
  local e = summary.errors
  out:write(string.format(
    '{"requests": %d, "seconds": %.6f, "failed": %d, "broken": %d, "p50_ms": %.3f, "p99_ms": %.3f}',
    summary.requests, summary.duration / 1e6, e.status, e.connect + e.read + e.write + e.timeout,
    latency:percentile(50) / 1e3, latency:percentile(99) / 1e3))
  out:close()
end
