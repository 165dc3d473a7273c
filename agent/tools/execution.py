"""Calls of tools, from what a model wrote to a result that it can be told. Knows no reply and no history.

A call runs once. What it gives is cleaned, bounded and in words, whatever the tool does: it never raises
into a conversation, and no traceback reaches a model.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Awaitable, Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

import anyio
from anyio.abc import TaskGroup

from agent import events as ev
from agent.errors import ToolError, in_one_line
from agent.messages import ToolCall
from agent.runner import Runner
from agent.settings import ToolsConfig
from agent.text.cleaning import cleaned, json_text
from agent.tools.tool import Lives, Tool, ToolContext
from agent.tools.toolbox import Toolbox, by_name

Outcome: TypeAlias = ev.Outcome
State: TypeAlias = Literal["waiting", "running", "over"]

NOT_YET = "Not done yet: the user has been asked aloud, and must say yes first."
"""What a model is told of a call that must be agreed to."""
NO_OBJECT = "The arguments are no JSON object. Call it again with one."
"""What it is told of a call that cannot be read."""
NO_TOOL = "There is no tool {!r}. There are: {}."
"""What it is told of one that nobody has declared."""
AGAIN = "Wrong arguments: {}. Call it again with right ones."
"""What it is told of one that does not fit its schema."""
NOT_THEIRS = "Not done: only {} may ask for this, and it was not their voice. Tell the user that."
"""What it is told of one that is not for whoever has asked."""
NOT_SURE = "Not done: only {} may ask for this, and it is not certain whose voice it was. Tell the user that."
"""The same, where that cannot be told."""
RUNNING = "This is still being done. Its result is not known yet."
"""What a model is told of a call that has no result yet."""
UNTOLD = "(The user spoke before they were told of this: they do not know it yet.)"
UNKNOWN = "It may have been done, and may be done yet: look before you do it again."
"""What it is told of a call that changes something and was given up."""


@dataclass(frozen=True, slots=True)
class Result:
    """What came of a call. text: for the model."""

    outcome: Outcome
    text: str


@dataclass(eq=False)
class Running:
    """One call on its way. tool: None where there is none of that name.

    result: None until `done`. waits: it changes something, and its turn is not over yet.
    """

    call: ToolCall
    tool: Tool | None
    turn: int
    state: State = "waiting"
    result: Result | None = None
    done: anyio.Event = field(default_factory=anyio.Event)
    scope: anyio.CancelScope = field(default_factory=anyio.CancelScope)
    began: float = 0.0
    kept: bool = False
    """Whether it belongs to a turn that the history has: then its result is told when it comes."""
    background: bool = False
    """Whether its reply does not wait for it any more."""
    untold: bool = False
    """Whether the user spoke before a word was said of its result."""
    meant: Tool | None = None
    """Which tool it would be, where it is not done."""

    def again(self, call: ToolCall) -> Running:
        """The same, over, under another name."""
        same = Running(call, self.tool, self.turn, "over", self.result)
        same.done.set()
        return same

    def ran(self, now: float) -> float:
        """Seconds that it has run at `now` (s)."""
        return now - self.began if self.state == "running" else 0.0

    @property
    def awaited(self) -> bool:
        """Whether its reply waits for it: for its end, or only for its beginning."""
        return not (self.done.is_set() or (self.background and self.state != "waiting"))

    @property
    def by_client(self) -> bool:
        """Whether a client runs it: then its reply ends, and what comes of it is for the next one."""
        return self.tool is not None and self.tool.by_client is not None

    @property
    def private(self) -> bool:
        """Whether no event has its arguments and its result."""
        tool = self.tool or self.meant
        return tool is not None and tool.private

    @property
    def told(self) -> str:
        """What a model is told of it now."""
        told = self.result.text if self.result is not None else RUNNING
        return f"{told}\n{UNTOLD}" if self.untold else told


class Execution:
    """Runs the calls of one conversation. `emit` is told of each; `returned` of each result.

    context: what tools may do to the conversation. changed: is told when there are other tools.
    """

    def __init__(
        self,
        tools: Iterable[Tool],
        config: ToolsConfig,
        runner: Runner,
        emit: ev.Watcher,
        context: ToolContext,
        returned: Callable[[Running], None],
        toolboxes: Iterable[Toolbox] = (),
        changed: Callable[[], None] = lambda: None,
    ) -> None:
        self._given = tuple(tools)
        self._boxes = [(box.name, box.open(context)) for box in toolboxes]
        self.tools = by_name(self._given, self._boxes)
        self._config = config
        self._runner = runner
        self._emit = emit
        self._context = context
        self._returned, self._changed = returned, changed
        self._beside, self._opened = anyio.CancelScope(), anyio.CancelScope()
        self._open, self._left = 0, False
        self._by_client = set[Running]()

    def enter(self, tasks: TaskGroup) -> None:
        """Work in this task group from now on: a call may outlive the reply that it was made in."""
        self._tasks = tasks
        tasks.start_soon(self._live)
        if self._boxes:
            tasks.start_soon(self._keep_open)

    def leave(self) -> None:
        """The conversation is over: nothing goes on beside it any more, and calls come to their end."""
        self._beside.cancel()
        self._left = True
        for running in self._by_client:
            running.scope.cancel()
        self._close()

    def _close(self) -> None:
        if self._left and not self._open:
            self._opened.cancel()

    async def _live(self) -> None:
        """What tools do beside the conversation, each until it fails; that is told."""

        async def one(tool: Tool, lives: Lives) -> None:
            try:
                await _told(lives(self._context))
            except ToolError as error:
                self._emit(ev.failure(self._runner.now(), f"tool {tool.name}", error))

        with self._beside:
            async with anyio.create_task_group() as tasks:
                for tool in self._given:
                    if tool.lives is not None:
                        tasks.start_soon(one, tool, tool.lives)

    async def _keep_open(self) -> None:
        """Have the toolboxes open, until the last call has come to its end."""

        def changed() -> None:
            self.tools = by_name(self._given, self._boxes)
            self._changed()

        def failed(error: ToolError) -> None:
            self._emit(ev.failure(self._runner.now(), "tools", error))

        with self._opened:
            async with anyio.create_task_group() as tasks:
                for _, box in self._boxes:
                    tasks.start_soon(box.run, changed, failed)

    def among(self, more: Iterable[Tool], *, own: bool) -> Mapping[str, Tool]:
        """The tools of one answer, by name: a client's, and `own` ones, which give way to those."""
        return {**(self.tools if own else {}), **{tool.name: tool for tool in more}}

    def begin(
        self, call: ToolCall, turn: int, over: anyio.Event, tools: Mapping[str, Tool] | None = None
    ) -> Running:
        """Have this done, at once or, where it changes something, when the user's turn is `over`.

        tools: those that may be called; None: all of its own.
        """
        tools = self.tools if tools is None else tools
        running = Running(call, tools.get(call.name), turn)
        if running.tool is not None and running.by_client and (wrong := self._wrong(running.tool, call)):
            return self.not_done(call, turn, wrong)
        if running.by_client:
            running.background = True
            self._by_client.add(running)
        else:
            self._called(running)
        self._open += 1
        self._tasks.start_soon(self._run, running, over, tools)
        return running

    def _called(self, running: Running) -> None:
        call, effect = running.call, running.tool.effect if running.tool is not None else None
        now = self._runner.now()
        arguments = "" if running.private else call.arguments
        self._emit(ev.ToolCalled(now, running.turn, call.id, call.name, arguments, effect))

    def not_done(self, call: ToolCall, turn: int, why: str, tool: Tool | None = None) -> Running:
        """What is not done, and why: its result is there at once. tool: which it would be."""
        running = Running(call, None, turn, "over", Result("refused", why), meant=tool)
        self._called(running)
        self._tell(running, 0.0)
        return running

    def forbidden(self, call: ToolCall, speaker: str, tools: Mapping[str, Tool]) -> str:
        """What a model is told of a call that is not for whoever asks; "" where it is.

        speaker: the enrolled speaker whose voice asked for it; "" where that is not known.
        """
        tool = tools.get(call.name)
        if tool is None or not tool.speakers or speaker in tool.speakers:
            return ""
        return (NOT_THEIRS if speaker else NOT_SURE).format(" or ".join(tool.speakers))

    def told(self, tools: Mapping[str, Tool]) -> str:
        """What these tell a model unasked. What cannot be read is told to who calls them."""
        told = list[str]()
        for tool in tools.values():
            if tool.tells is not None:
                with suppress(ToolError):
                    told.append(tool.tells(self._context))
        return "\n".join(filter(None, told))

    def question(self, call: ToolCall, go_ahead: str, tools: Mapping[str, Tool]) -> str:
        """What the user is to be asked before this is done; "" where it needs no asking, or cannot be done.

        go_ahead: asks it of a tool that has no question of its own, with `{what}` for what is to be done.
        """
        tool, arguments = tools.get(call.name), call.data
        if tool is None or arguments is None or not tool.confirm or self._wrong(tool, call):
            return ""
        if isinstance(tool.confirm, str):
            return re.sub(r"\{(\w+)\}", lambda name: str(arguments.get(name[1], "")), tool.confirm)
        what = ", ".join([tool.name.replace("_", " "), *(str(value) for value in arguments.values())])
        return go_ahead.replace("{what}", cleaned(what))

    def _wrong(self, tool: Tool, call: ToolCall) -> str:
        """What a model is told of arguments that do not fit; "" where they do."""
        if call.data is None:
            return NO_OBJECT
        try:
            work = tool.begin(call.data, self._context)
        except ToolError as error:
            return AGAIN.format(error)
        if inspect.iscoroutine(work):
            work.close()
        return ""

    def turn_over(self, calls: Iterable[Running], *, kept: bool, cut: bool) -> None:
        """The turn of these calls is over: the history has it (`kept`) or it was withdrawn; `cut` short.

        What was called for nothing is given up; what runs, as its tool has it.
        """
        for running in calls:
            running.kept = kept
            tool = running.tool
            if not kept or (cut and tool is not None and tool.interrupted == "cancel"):
                running.scope.cancel()

    async def _run(self, running: Running, over: anyio.Event, tools: Mapping[str, Tool]) -> None:
        running.began = self._runner.now()
        result = Result("cancelled", self._given_up(running))
        with running.scope:
            if running.tool is not None and running.tool.effect == "changes":
                await over.wait()
            running.began, running.state = self._runner.now(), "running"
            if running.by_client:  # it is told of that which is really to be run, and of nothing else
                self._called(running)
            result = await self._result(running, tools)
        if running.scope.cancelled_caught and running.state == "running":
            result = Result("cancelled", self._given_up(running))
        asked = running.state == "running" or not running.by_client
        running.state, running.result = "over", self._bounded(running, result)
        self._by_client.discard(running)
        if asked:
            self._tell(running, self._runner.now() - running.began)
        running.done.set()
        self._open -= 1
        self._close()

    def _tell(self, running: Running, took: float) -> None:
        call, result = running.call, running.result
        assert result is not None
        now = self._runner.now()
        told = "" if running.private else result.text
        self._emit(ev.ToolReturned(now, running.turn, call.id, call.name, result.outcome, told, took))
        running.done.set()
        self._returned(running)

    def _given_up(self, running: Running) -> str:
        changes = running.tool is not None and running.tool.effect == "changes" and running.state == "running"
        return f"It was given up, since the user spoke.{f' {UNKNOWN}' if changes else ''}"

    async def _result(self, running: Running, tools: Mapping[str, Tool]) -> Result:
        """What the tool gives, or what is wrong, in words."""
        tool, arguments = running.tool, running.call.data
        if tool is None:
            return Result("refused", NO_TOOL.format(running.call.name, ", ".join(tools)))
        if arguments is None:
            return Result("refused", NO_OBJECT)
        if tool.by_client is not None:
            return Result("done", await tool.by_client(running.call))
        limit = min(tool.timeout, self._config.timeout)
        with anyio.move_on_after(limit):
            try:
                return Result("done", await self._worked(tool, arguments))
            except ToolError as error:
                refused = isinstance(error, _WrongArguments)
                return Result("refused" if refused else "failed", str(error))
        unknown = f" {UNKNOWN}" if tool.effect == "changes" else ""
        return Result("timed_out", f"It took longer than {limit:g} s, and was given up.{unknown}")

    async def _worked(self, tool: Tool, arguments: dict[str, Any]) -> str:
        """What the tool's own code gives. Raises ToolError for whatever that raises."""
        try:
            work = tool.begin(arguments, self._context)
        except ToolError as error:
            raise _WrongArguments(AGAIN.format(error)) from error
        if inspect.isawaitable(work):
            return await _told(work)
        return await self._runner.tool(lambda: _worded(work))

    def _bounded(self, running: Running, result: Result) -> Result:
        most, whole = self._config.longest_result, len(result.text)
        text = cleaned(result.text[: 4 * most]).strip()
        if len(text) > most or whole > 4 * most:
            text = f"{text[:most]} ... ({whole - min(most, len(text))} more characters were left out)"
        changes = running.tool is not None and running.tool.effect == "changes"
        return Result(result.outcome, text or ("Done." if changes else "It gave nothing."))


class _WrongArguments(ToolError):
    """The arguments of a call do not fit its schema."""


def _worded(work: Callable[[], Any]) -> str:
    """What blocking work gives, as text. Raises ToolError for whatever it raises."""
    try:
        return _words(work())
    except ToolError:
        raise
    except (Exception, SystemExit) as error:  # tools are other people's code: it is told, and ends nothing
        raise ToolError(f"It failed: {in_one_line(error)}") from error


async def _told(work: Awaitable[Any]) -> str:
    """What async work gives, as text. Raises ToolError for whatever it raises."""
    try:
        return _words(await work)
    except ToolError:
        raise
    except (Exception, SystemExit) as error:  # the same
        raise ToolError(f"It failed: {in_one_line(error)}") from error


def _words(value: Any) -> str:
    """What a tool gives as text: text as it is, all else as JSON, what is no JSON as Python shows it."""
    if isinstance(value, str):
        return value
    if isinstance(value, bytes | bytearray):
        return bytes(value).decode("utf-8", "replace")
    if value is None:
        return ""
    try:
        return json_text(value)
    except (TypeError, ValueError, RecursionError):
        return str(value)
