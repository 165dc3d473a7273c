"""The figures of several processes are one page, and each is told from the others."""

from __future__ import annotations

import json
import math
import re
from pathlib import Path

from prometheus_client.parser import text_string_to_metric_families
from serving import pool

from agent.server.telemetry.metrics import Metrics
from agent.server.telemetry.pages import merged


def samples(page: str) -> dict[tuple[str, frozenset], float]:
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(page)
        for sample in family.samples
    }


def test_a_page_of_several_has_each_sample_of_each_and_each_family_once() -> None:
    pages = dict[str, str]()
    for name, count in (("a", 3), ("b", 4), ('c"\n', 0)):
        metrics = Metrics(pool(["x"], ["y"]))
        metrics.begun.inc(count)
        for seconds in range(count):
            metrics.stt.observe(seconds)
            metrics.refused.labels("busy").inc()
        pages[name] = metrics.text().decode()
    page = merged(pages).decode()
    found = samples(page)
    for name, text in pages.items():
        for (sample, labels), value in samples(text).items():
            mine = found.pop((sample, labels | {("replica", name)}))
            assert mine == value or math.isnan(value)
    assert not found
    types = [line.split()[2] for line in page.splitlines() if line.startswith("# TYPE")]
    assert len(types) == len(set(types))
    assert "backchat_sessions_begun_total" in types


def test_each_query_of_the_dashboard_names_figures_that_there_are() -> None:
    board = json.loads((Path(__file__).parents[2] / "configs/grafana.json").read_text())
    queries = [target["expr"] for panel in board["panels"] for target in panel["targets"]]
    figures = {sample for sample, _ in samples(page_of_all())}
    named = {name for query in queries for name in re.findall(r"backchat_\w+", query)}
    assert named <= figures
    labels = {label for query in queries for label in re.findall(r"by \(([^)]*)\)", query)}
    known = {key for _, pairs in samples(page_of_all()) for key, _ in pairs}
    assert {each.strip() for label in labels for each in label.split(",")} <= known
    assert len({panel["title"] for panel in board["panels"]}) == len(board["panels"]) > 8


def page_of_all() -> str:
    """A page on which each figure has been told once."""
    metrics = Metrics(pool(["x"], ["y"]))
    for counter, labels in (
        (metrics.refused, ["busy"]),
        (metrics.ended, ["finished"]),
        (metrics.cancelled, ["words"]),
        (metrics.errors, ["llm"]),
    ):
        counter.labels(*labels).inc()
    metrics.waited("llm", "needed", 0.1)
    return merged({"a": metrics.text().decode()}).decode()
