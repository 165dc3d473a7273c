"""The same session served to others: over HTTP, WebSocket and gRPC, and the page to talk to.

For whoever adds a wire, all there is to know is this:

- What HTTP carries comes by a route in `app.py`, and a WebSocket by `http.websocket.websocket`: by then its
  connection is counted and its client may come (`admission.guard`). `http/converse.py` is the shortest wire.
- What HTTP does not carry does that itself, in this order: `with reception.connections.holding(address) as
  connection`, and `connection.request(body=...)` while what was asked is in work (one on which nothing is
  asked is ended after `server.client_timeout`); `reception.admission`'s `client`, `check_way`, `check` and
  `count`; `reception.refused` for each that is sent away. `grpc.front` and `grpc.server` are the example.
- `reception.Reception`: `async with reception.visit("NAME", address) as visit` gives a session its slot, or
  refuses with `Busy`, tells the log and the figures of it, and signs it off, whatever ends the block. Where
  the wire finds out more of the end, `visit.entry.why` says so.
- `session = visit.session(config, manner)`: a `RemoteSession` (`agent.transports.remote`), which is told when
  the server closes. In a task group, start its `run` and a sender over its `items()`, which gives events
  (`agent.events`) and `Sound` (24 kHz, paced to the clock) in order. `await push_audio(samples, rate)` takes
  the client's sound, `send_text(text)` a typed question, `cancel()` ends a reply, `truncate(turn, samples)`
  says how much of it was really played, `hang_up()` ends the session after its last reply.
- `visit.pool.check` and `voice_of` refuse names that stand for nothing loaded; the server's settings are
  `visit.pool.config.server`.
- `completion.write`: text without sound, for requests that are no conversation; `http.speech.say`: the
  reverse.
- Errors that a client may read are `RequestError` and `Busy` of `agent.errors`.

`app` has the routes, `admission` decides who may come, `http`, `realtime`, `calls` and `grpc` hold the
protocols, `page` the page, `telemetry` is what whoever runs the server sees, and `run` runs them.
"""
