-- The documented example. MODE: new (each hitId once), same (one hitId), broken (no user id).
-- PAUSE_MS: what each connection waits before each of its requests.
local mode = os.getenv("MODE") or "new"
local run = tostring(os.time()) .. "-" .. tostring(math.random(1, 1e9))
local count = 0
local broken = '{"event": {"name": "Registered"}}'
local template = '{"hitId": "%s-%d", "sentAt": "2019-02-21T10:56:10.723Z", "event": {'
  .. '"category": "Auth", "name": "Registered", "label": "some label", "user": {'
  .. '"anonymousId": "80ddb140-35c6-11e9-bd56-eb1c05e6de18", '
  .. '"emailHash": "eff8c37862c7a2f0019448289bdd0869c30ae7f07060e4be9d", '
  .. '"userId": "u2783187492", "firstName": "John", "lastName": "Doe"}, '
  .. '"nonInteraction": false}, "context": {"ip": "123.22.334.55"}}'

wrk.method = "POST"
wrk.headers["Content-Type"] = "application/json"
wrk.headers["Authorization"] = "Basic YWJjMTIzOg=="

function request()
  if mode == "new" then count = count + 1 end
  local body = mode == "broken" and broken or string.format(template, run, count)
  return wrk.format(nil, nil, nil, body)
end

local pause = tonumber(os.getenv("PAUSE_MS") or "0")
if pause > 0 then
  function delay() return pause end
end

function done(summary, latency)
  local errors = summary.errors
  io.write(string.format(
    'RESULT {"requests": %d, "seconds": %.6f, "p50_ms": %.3f, "p99_ms": %.3f, "not_2xx": %d, "failed": %d}\n',
    summary.requests, summary.duration / 1e6, latency:percentile(50) / 1e3,
    latency:percentile(99) / 1e3, errors.status,
    errors.connect + errors.read + errors.write + errors.timeout))
end
