"""Other ears and mouths for the same Session: transports carry frames and events, and decide nothing.

For whoever adds a wire, the public shape is this:

- `pool.Pool`: the engines, loaded once. `async with pool.seat(hang_up) as seat` admits one session or refuses
  with `Busy`; `pool.check` and `pool.check_voice` refuse names that are not loaded.
- `line.Line(seat, config)`: one Session behind a connection. In a task group of the connection, start
  `line.run` and a sender over `line.items()`, which gives events (`agent.events`) and `line.Sound`
  (24 kHz, paced to the clock) in order. `await line.hear(samples, rate)` takes the client's sound,
  `line.ask(text)` a typed question, `line.cancel()` ends a reply, `line.truncate(turn, seconds)` says
  how much of it was really played, `line.hang_up()` ends the session after its last reply.
- `writing.write`: text without sound, for requests that are no conversation; `speech.say` the reverse.
- Errors that a client may read are `RequestError` and `Busy` of `agent.errors`.

HTTP and WebSockets are `app.py` (routes), `guard.py` (who may), `stream.py` (bytes out), `text.py`,
`speech.py`, `converse.py`, and `realtime.py` with `items.py`; gRPC is `rpc.py` (port, token, status) and
`calls.py` (what its methods do); `page.py` gives the page. `service.py` runs them.
"""
