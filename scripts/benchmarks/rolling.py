"""A cluster is updated, and made smaller, while users talk: no reply is cut.

What differs in the update is a setting that all processes know, so that each of them is replaced.
"""

from __future__ import annotations

import tempfile
import time
from pathlib import Path

import click
import cluster_engines

from agent.cluster.deployments import application
from agent.cluster.library import serve
from agent.cluster.line import APP
from agent.config import load
from benchmarks.crowd import Crowd, cluster
from benchmarks.results import Results

OPTIONS = [click.Option(["--people"], type=int, default=12, help="Users who talk.")]
TALK = 8.0
"""Seconds of talk before, and after each change."""
LIMIT = 90.0
"""Seconds that a change may take."""


def settled() -> bool:
    """Whether there are no replicas but those that serve."""
    app = serve().status().applications[APP]
    return all(set(each.replica_states) == {"RUNNING"} for each in app.deployments.values())


def changed(*settings: str) -> float:
    """The application with these settings instead; seconds until nothing of the former is left."""
    began = time.monotonic()
    config = load(None, [*cluster_engines.SETTINGS, *settings])
    serve().run(application(config), name=APP, route_prefix="/")
    while not settled() and time.monotonic() < began + LIMIT:
        time.sleep(0.2)
    return time.monotonic() - began


def run(people: int) -> Results:
    results = Results("rolling")
    with tempfile.TemporaryDirectory() as folder:
        cluster_engines.offer(Path(folder))
        places = (f"server.sessions={people}", f'cluster.journal="{folder}/sessions.jsonl"')
        with cluster("cluster.sessions=2", *places) as address:
            crowd = Crowd(address, people)

            def changes() -> None:
                time.sleep(TALK)
                took = changed("cluster.sessions=2", "server.idle=301", *places)
                results.add({"what": "all replaced", "s": took})
                time.sleep(TALK)
                took = changed("cluster.sessions=1", "server.idle=301", *places)
                results.add({"what": "half of the sessions' replicas taken away", "s": took})
                time.sleep(TALK)

            crowd.during(changes)
            crowd.report(results, f"updated and made smaller, {people} users")
            cuts = sum(len(user.cuts) for user in crowd.users)
            results.target("replies that were cut", cuts, "<=", 0)
            results.target("errors", sum(len(user.errors) for user in crowd.users), "<=", 0)
    return results
