"""The same session served to others: over HTTP, WebSocket and gRPC, and the page to talk to.

For whoever adds a wire, the public shape is this:

- `pool.Pool`: the engines, loaded once. `async with pool.slot(hang_up) as slot` admits one session or refuses
  with `Busy`; `pool.check` and `pool.check_voice` refuse names that stand for nothing loaded.
- `agent.transports.remote.RemoteSession(slot, config)`: one Session behind a connection. In a task group of
  the connection, start its `run` and a sender over its `items()`, which gives events (`agent.events`) and
  `Sound` (24 kHz, paced to the clock) in order. `await push_audio(samples, rate)` takes the client's sound,
  `send_text(text)` a typed question, `cancel()` ends a reply, `truncate(turn, samples)` says how much of it
  was really played, `hang_up()` ends the session after its last reply.
- `completion.write`: text without sound, for requests that are no conversation; `http.speech.say`: the
  reverse.
- Errors that a client may read are `RequestError` and `Busy` of `agent.errors`.

`app` has the routes, `admission` decides who may come, `http`, `realtime` and `grpc` hold a protocol each,
`page` the page, `telemetry` is what whoever runs the server sees, and `run` runs them.
"""
