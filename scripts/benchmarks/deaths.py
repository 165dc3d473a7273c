"""Two machines of a cluster, one of which dies at a random moment, again and again, while users talk.

The machines are nodes of Ray on this one; a third, the head, has the way in and no session. Of who dies
all processes are killed at once.
"""

from __future__ import annotations

import os
import random
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

import click
import cluster_engines
import psutil

from agent.cluster.library import serve
from agent.cluster.line import APP
from agent.cluster.run import ALONE
from benchmarks.crowd import Crowd, cluster, leaked
from benchmarks.results import Results

OPTIONS = [
    click.Option(["--kills"], type=int, default=50, help="Deaths."),
    click.Option(["--people"], type=int, default=12, help="Users who talk."),
]
REPLICAS = ("cluster.sessions=2", "cluster.stt=2", "cluster.llm=2", "cluster.tts=2")
CORES = 1
"""Of each machine, as Ray counts: so many that it has room for one replica of each deployment."""
AFTERMATH = 4.0
"""Seconds after a death in which those who were not there are looked at."""
GAP = 0.2
"""Seconds for which nobody else may fall silent."""
QUICK = {"RAY_health_check_period_ms": "400", "RAY_health_check_failure_threshold": "4"}
"""How soon Ray finds a machine dead: its own way takes 20 s (docs/cluster.md)."""


class Machines:
    """The nodes."""

    def __init__(self) -> None:
        from ray.cluster_utils import Cluster  # pyright: ignore

        head: dict[str, Any] = {"num_cpus": 0, "include_dashboard": False}
        self._cluster: Any = Cluster(initialize_head=True, head_node_args=head)
        self.address = str(self._cluster.address)
        self._nodes = [self._begun(), self._begun()]

    def _begun(self) -> Any:
        return self._cluster.add_node(num_cpus=CORES)

    def kill(self) -> None:
        """One of them dies."""
        node = self._nodes.pop(random.randrange(2))
        own = [psutil.Process(process.pid) for _, process in node.live_processes()]
        for each in [*(child for one in own for child in one.children(recursive=True)), *own]:
            with suppress(psutil.NoSuchProcess):
                each.kill()
        self._cluster.remove_node(node, allow_graceful=False)

    def again(self) -> None:
        """Another one comes in its place."""
        self._nodes.append(self._begun())

    def close(self) -> None:
        """All end."""
        self._cluster.shutdown()


@contextmanager
def machines() -> Iterator[Machines]:
    """They, for as long."""
    os.environ |= ALONE | QUICK
    found = Machines()
    try:
        yield found
    finally:
        found.close()


def whole() -> bool:
    """Whether each deployment has its two replicas, ready."""
    app = serve().status().applications[APP]
    return all(each.replica_states.get("RUNNING", 0) == 2 for each in app.deployments.values())


def deaths(machines: Machines, kills: int, moments: list[float]) -> None:
    """One machine after the other."""
    for _ in range(kills):
        while not whole():
            time.sleep(0.5)
        time.sleep(random.uniform(2, 5))
        moments.append(time.monotonic())
        machines.kill()
        time.sleep(AFTERMATH)
        machines.again()


def run(kills: int, people: int) -> Results:
    results, moments = Results("deaths"), list[float]()
    with ExitStack() as stack:
        cluster_engines.offer(Path(stack.enter_context(tempfile.TemporaryDirectory())))
        nodes = stack.enter_context(machines())
        settings = (*REPLICAS, f"server.sessions={people}", f'cluster.address="{nodes.address}"')
        crowd = Crowd(stack.enter_context(cluster(*settings)), people)
        crowd.during(lambda: deaths(nodes, kills, moments))
        crowd.report(results, f"{kills} machines died, {people} users")
        results.target("silence of the others, s, the longest", disturbed(crowd, moments), "<=", GAP)
        results.target("seats of the dead that are still taken", leaked(*settings), "<=", 0)
    return results


def disturbed(crowd: Crowd, moments: list[float]) -> float:
    """The longest silence in a reply of who was connected elsewhere, soon after a death (s)."""
    silences = [0.0]
    for user in crowd.users:
        for moment in moments:
            if not any(moment <= lost <= moment + AFTERMATH for lost in user.losses):
                silences += [dry for dry, at in user.dry if moment <= at <= moment + AFTERMATH]
    return max(silences)
