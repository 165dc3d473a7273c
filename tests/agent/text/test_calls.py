"""What models write to call a tool, as they really do it: where it begins, and what it says."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.text.calls import opening, read

CALL = '{"name": "set_timer", "arguments": {"minutes": 2}}'
SAME = [("set_timer", '{"minutes": 2}')]


@pytest.mark.parametrize(
    "written",
    [
        CALL,
        f"```json\n{CALL}\n```",
        f"<tool_call>\n{CALL}\n</tool_call>",
        f"[{CALL}]",
        '{"name": "set_timer", "parameters": {"minutes": 2}}',
        '{"type": "function", "function": {"name": "set_timer", "arguments": {"minutes": 2}}}',
        '{"tool_calls": [{"function": {"name": "set_timer", "arguments": "{\\"minutes\\": 2}"}}]}',
        '{"arguments": {"minutes": 2}, "name": "set_timer"}',
        '{"name": "set_timer", "arguments": {"minutes": 2}',
        '{"name": "set_timer", "arguments": {"minutes": 2',
        "[set_timer(minutes=2)]",
    ],
)
def test_a_call_is_read_however_it_is_written(written: str) -> None:
    found = read(written)
    assert [(name, json.loads(arguments)) for name, arguments in found] == [("set_timer", {"minutes": 2})]


def test_several_calls_are_read_in_their_order() -> None:
    other = '{"name": "clock", "arguments": {}}'
    assert [name for name, _ in read(f"{CALL}\n{other}")] == ["set_timer", "clock"]
    assert [name for name, _ in read(f"[{CALL}, {other}]")] == ["set_timer", "clock"]
    assert [name for name, _ in read("[a(x=1), b()]")] == ["a", "b"]
    assert read('{"name": "clock"}') == [("clock", "{}")]


@pytest.mark.parametrize(
    "written",
    ["", "smiles", '{"result": 12}', '{"name": "Ann", "age": 7}', "[1, 2]", "{{{", "[f(open('x'))]"],
)
def test_what_is_no_call_gives_none(written: str) -> None:
    assert [name for name, _ in read(written)] in ([], ["f"][:0])


@given(st.text(alphabet='{}[]":,`abc name', max_size=60))
def test_nothing_that_is_written_is_too_much(written: str) -> None:
    read(written)
    opening(written)


@pytest.mark.parametrize("before", ["", "Let me look. ", "Let me look.\n"])
@pytest.mark.parametrize(
    "written",
    [
        CALL,
        f"```json\n{CALL}",
        f"<tool_call>\n{CALL}",
        f"[{CALL}",
        f"```\n{CALL}",
        f"{{{CALL}",
        f"<tools>\n{CALL}",
    ],
)
def test_where_a_call_begins_is_known_before_it_is_whole(written: str, before: str) -> None:
    whole = before + written
    states = [opening(whole[:n]) for n in range(len(before) + 1, len(whole) + 1)]
    assert all(state is not None and state.at == len(before) for state in states)
    first = next(n for n, state in enumerate(states) if state is not None and state.sure)
    assert written[: first + 1].replace(" ", "").replace("\n", "").endswith(("<tool_call>", '"name":'))


@pytest.mark.parametrize(
    "text", ["It is 3 < 4, so.", "Use `x` there.", "A [note] here.", "{curly}", 'He said {"no"}.', "``` code"]
)
def test_what_only_looks_like_one_is_let_go(text: str) -> None:
    assert opening(text + " and so on") is None
