"""Whatever a tool does, its result is bounded, clean and in words."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from typing import Any

import anyio
import pytest

from agent import events as ev
from agent.config import load
from agent.messages import ToolCall
from agent.runner import Runner
from agent.settings import ToolsConfig
from agent.tools.execution import Execution, Running
from agent.tools.nowhere import Nowhere
from agent.tools.tool import Tool, tool


def outcome(made: Tool, arguments: str = "{}", *settings: str, backend: str = "trio") -> Running:
    """What comes of one call, in threads on the real clock."""
    config = load(None, settings).tools

    async def main() -> Running:
        over = anyio.Event()
        over.set()
        execution = Execution([made], config, Runner(), lambda _: None, Nowhere(), lambda _: None)
        async with anyio.create_task_group() as tasks:
            execution.enter(tasks)
            running = execution.begin(ToolCall("1", made.name, arguments), 1, over)
            await running.done.wait()
        return running

    return anyio.run(main, backend=backend)


def gives(work: Callable[[], Any], effect: Any = "reads", **more: Any) -> Tool:
    def odd() -> Any:
        """Something odd."""
        return work()

    return tool(odd, effect=effect, **more)


def raises(error: BaseException) -> Callable[[], Any]:
    def work() -> Any:
        raise error

    return work


class Unshowable:
    def __str__(self) -> str:
        raise ValueError("cannot be shown")


circle: list[Any] = []
circle.append(circle)


@pytest.mark.parametrize("backend", ["trio", "asyncio"])
@pytest.mark.parametrize(
    ("work", "result"),
    [
        (lambda: "as it is", "as it is"),
        (lambda: {"a": [1, "é"]}, '{"a": [1, "é"]}'),
        (lambda: 12, "12"),
        (lambda: None, "It gave nothing."),
        (lambda: b"\xff\xfe bytes", "\ufffd\ufffd bytes"),
        (lambda: "\x1b[31mred\x1b[0m\x07 and \u202eback", "red and back"),
        (lambda: "half \ud83d a sign", "half \ufffd a sign"),
        (lambda: circle, "[[...]]"),
        (lambda: {1, 2}, "{1, 2}"),
        (raises(KeyError("x")), "It failed: KeyError: 'x'"),
        (
            raises(RuntimeError("first line\nTraceback (most recent call last)")),
            "It failed: RuntimeError: first line",
        ),
        (raises(StopIteration()), "It failed: StopIteration: it does not say why"),
        (raises(SystemExit(3)), "It failed: SystemExit: 3"),
        (lambda: Unshowable(), "It failed: ValueError: cannot be shown"),
        (lambda: sys.exit("out"), "It failed: SystemExit: out"),
    ],
)
def test_whatever_it_gives_is_told_in_words(work: Callable[[], Any], result: str, backend: str) -> None:
    running = outcome(gives(work), backend=backend)
    assert running.result is not None
    assert running.result.text == result
    assert running.result.outcome == ("failed" if "failed" in result else "done")


@pytest.mark.parametrize("size", [2001, 1_000_000])
def test_a_long_result_is_cut(size: int) -> None:
    running = outcome(gives(lambda: "x" * size))
    assert running.result is not None
    assert running.result.text == f"{'x' * 2000} ... ({size - 2000} more characters were left out)"


def test_nothing_of_what_changes_something_is_done() -> None:
    running = outcome(gives(lambda: None, "changes"))
    assert running.told == "Done."


def test_who_takes_too_long_is_given_up() -> None:
    began = time.monotonic()
    running = outcome(gives(lambda: time.sleep(5.0), "changes", timeout=0.1))
    assert running.result is not None
    assert running.result.outcome == "timed_out"
    assert running.told.startswith("It took longer than 0.1 s, and was given up. It may have been done")
    assert time.monotonic() - began < 4.0
    assert outcome(gives(lambda: time.sleep(5.0)), "{}", "tools.timeout=0.1").told.startswith(
        "It took longer than 0.1"
    )


@pytest.mark.parametrize("arguments", ["[]", "1", "{", '"a"', "[" * 5000])
def test_arguments_that_are_no_object_are_refused(arguments: str) -> None:
    running = outcome(gives(lambda: "done"), arguments)
    assert running.result is not None
    assert running.result.outcome == "refused"


def test_several_block_at_once_and_engines_have_threads_of_their_own() -> None:
    made = gives(lambda: time.sleep(0.3) or "done")

    async def main() -> float:
        over, runner = anyio.Event(), Runner()
        execution = Execution([made], ToolsConfig(), runner, lambda _: None, Nowhere(), lambda _: None)
        async with anyio.create_task_group() as tasks:
            execution.enter(tasks)
            calls = [execution.begin(ToolCall(str(n), "odd"), 1, over) for n in range(60)]
            await anyio.sleep(0.05)
            began = runner.now()
            assert await runner.call("llm", lambda: 1, 5.0) == 1
            took = runner.now() - began
            for call in calls:
                call.scope.cancel()
        return took

    assert anyio.run(main, backend="trio") < 0.25, "an engine waits for no tool"


def test_events_tell_of_each_call() -> None:
    seen: list[ev.Event] = []

    async def main() -> None:
        over = anyio.Event()
        execution = Execution(
            [gives(lambda: "well", "changes")],
            ToolsConfig(),
            Runner(),
            seen.append,
            Nowhere(),
            lambda _: None,
        )
        async with anyio.create_task_group() as tasks:
            execution.enter(tasks)
            running = execution.begin(ToolCall("7", "odd"), 3, over)
            await anyio.sleep(0.05)
            assert not running.done.is_set(), "the turn is not over"
            over.set()

    anyio.run(main, backend="trio")
    called, returned = seen
    assert isinstance(called, ev.ToolCalled)
    assert (called.turn, called.call, called.name, called.effect) == (3, "7", "odd", "changes")
    assert isinstance(returned, ev.ToolReturned)
    assert (returned.call, returned.outcome, returned.result) == ("7", "done", "well")
