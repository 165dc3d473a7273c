"""The server's application in a replica: it begins and ends with that, and tells the figures of all."""

from __future__ import annotations

from contextlib import asynccontextmanager

import anyio
import httpx
import pytest
import serving
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from agent.cluster import front
from agent.cluster.front import Front
from agent.server.telemetry.metrics import Metrics
from agent.server.telemetry.traces import Traces
from agent.transports.resumption import LocalStore


class Store(LocalStore):
    """As the cluster's, in this process."""

    others: dict[str, str]

    async def pages(self, name: str, text: str) -> dict[str, str]:
        return {**self.others, name: text}


class Closing(Traces):
    closed = False

    def close(self) -> None:
        self.closed = True
        super().close()


@asynccontextmanager
async def replica(app: Front):
    """It, as Ray Serve runs it."""
    told, tell = anyio.create_memory_object_stream[dict](2)
    answers, heard = anyio.create_memory_object_stream[dict](2)
    async with anyio.create_task_group() as tasks, told, answers:
        tasks.start_soon(app, {"type": "lifespan"}, tell.receive, answers.send)
        await told.send({"type": "lifespan.startup"})
        assert (await heard.receive())["type"] == "lifespan.startup.complete"
        yield httpx.ASGITransport(app)
        await told.send({"type": "lifespan.shutdown"})
        assert (await heard.receive())["type"] == "lifespan.shutdown.complete"


def test_a_replica_tells_the_figures_of_all_and_its_spans(monkeypatch: pytest.MonkeyPatch) -> None:
    pool, traces, seen = serving.pool([], ["Yes."]), Closing(InMemorySpanExporter()), list[Traces]()
    store, other, metrics = Store(60, 3), Metrics(pool), Metrics
    other.begun.inc(5)
    store.others = {"b": other.text().decode()}
    monkeypatch.setattr(front, "load_copies", lambda config: [])
    monkeypatch.setattr(front, "Pool", lambda config, copies: pool)
    monkeypatch.setattr(front, "RayStore", lambda config: store)
    monkeypatch.setattr(front, "replica", lambda: "a")
    monkeypatch.setattr(front, "drained", anyio.sleep_forever)
    monkeypatch.setattr(front, "traces_for", lambda config: traces)
    monkeypatch.setattr(front, "Metrics", lambda pool, to: seen.append(to) or metrics(pool, to))

    async def main() -> None:
        app = Front(pool.config, pool.config)
        async with replica(app) as transport, httpx.AsyncClient(transport=transport) as client:
            page = (await client.get("http://127.0.0.1/metrics")).text
        assert 'backchat_sessions_begun_total{replica="a"} 0.0' in page
        assert 'backchat_sessions_begun_total{replica="b"} 5.0' in page
        assert (seen, traces.closed) == ([traces], True)

    anyio.run(main, backend="asyncio")
