"""A hub of our own that takes its time, for tests of what is shown and kept while a model is fetched."""

from __future__ import annotations

import threading
import time
from collections.abc import Generator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from agent.weights.catalogue import catalogue, resolve

PULLED = "piper-joe"
"""The model that it has."""


@contextmanager
def slow_hub(seconds: float) -> Generator[str]:
    """Address of a hub that has `PULLED` and takes so long to send it; below `/fast` it takes no time."""
    model = catalogue()[PULLED]
    home = resolve(PULLED)
    home = home if home.is_dir() else home.parent
    files = {f"/{f.hub.repo}/resolve/{f.hub.revision}/{f.hub.file}": home / f.name for f in model.files}
    block = 1 << 18
    pause = seconds * block / model.size

    class Handler(BaseHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            pass

        def do_GET(self) -> None:
            _, kind, path = self.path.split("/", 2)
            start = int((self.headers.get("Range") or "bytes=0-")[6:-1])
            body = files[f"/{path}"].read_bytes()
            self.send_response(206 if start else 200)
            if start:
                self.send_header("Content-Range", f"bytes {start}-{len(body) - 1}/{len(body)}")
            self.send_header("Content-Length", str(len(body) - start))
            self.end_headers()
            try:
                for at in range(start, len(body), block):
                    self.wfile.write(body[at : at + block])
                    time.sleep(pause if kind == "slow" else 0.0)
            except ConnectionError:
                pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/slow"
        server.shutdown()
