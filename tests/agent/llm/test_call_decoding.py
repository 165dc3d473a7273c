"""Calls under a grammar: what opens one, how sure a model is of one, and which will never end. No model."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.errors import NoAnswer
from agent.llm.decoding.calls import (
    Scored,
    arguments_of,
    evidence,
    named,
    opened,
    opens,
    runs_away,
    usual,
    whole,
)
from agent.llm.deltas import deltas
from agent.llm.llamacpp import NAME, TRIES, LlamaCpp, _object_with
from agent.messages import ToolSchema

TIMER = ToolSchema("set_timer", "Set a timer.", {"properties": {"minutes": {"type": "number"}}})
ALARM = ToolSchema("set_alarm", "Set an alarm.", {})
TEXT = st.text('ab"\\ {}[],0.1é', max_size=5)
JSON = st.recursive(
    st.booleans() | st.integers(-999, 999) | TEXT,
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=6,
)


@pytest.mark.parametrize("token", ['{"', "```", "<", "<tool_call>", "{{", "{\n", "[", " {"])
def test_what_a_call_begins_with_opens_one(token: str) -> None:
    assert opens(token)


@pytest.mark.parametrize("token", ["The", '"', "(", "", " ", "I", "<|im_end|>", "<b>"])
def test_words_open_none(token: str) -> None:
    assert not opens(token)


def test_how_probable_a_call_is() -> None:
    first = [Scored(1, "The", 0.5), Scored(2, "{{", 0.2), Scored(3, "<", 0.1), Scored(4, "Hm", 0.1)]
    assert opened(first) == pytest.approx(0.3)
    names = [Scored(1, "set", 0.6), Scored(2, "get", 0.3), Scored(3, "set_a", 0.05), Scored(4, "", 0.05)]
    assert named(names, ["set_timer", "set_alarm"]) == {"set": 0.6, "set_a": 0.05}
    assert named(names, ["talk"]) == {}


def test_what_a_model_names_for_whatever_is_said_is_no_evidence() -> None:
    habits = usual([{"clock": 0.7, "sum": 0.1}, {"clock": 0.5}, {"clock": 0.6, "note": 0.3}])
    assert habits == pytest.approx({"clock": 0.6, "sum": 1 / 30, "note": 0.1})
    assert evidence({"clock": 0.6, "sum": 0.3}, habits) == pytest.approx(0.0)
    assert evidence({"clock": 0.97, "sum": 0.02}, habits) == pytest.approx(math.log(0.97 / 0.03 / 1.5))
    assert evidence({"note": 0.6, "clock": 0.3}, habits) == pytest.approx(math.log(1.5)), "no favourite"
    assert evidence({"new": 1.0}, habits) == pytest.approx(math.log(999)), "never quite certain"
    assert evidence({}, habits) == -math.inf


@given(st.dictionaries(st.sampled_from("abc"), st.floats(0, 1), min_size=1), st.floats(0, 1))
def test_the_surer_a_model_is_the_more_speaks_for_a_call(habits: dict[str, float], chance: float) -> None:
    surer = min(1.0, chance + 0.1)
    assert evidence({"a": chance}, habits) <= evidence({"a": surer}, habits)
    more = habits | {"a": min(1.0, habits.get("a", 0.0) + 0.1)}
    assert evidence({"a": chance}, more) <= evidence({"a": chance}, habits)


@given(st.dictionaries(TEXT, JSON, max_size=3))
def test_what_is_whole_does_not_run_away(arguments: dict[str, Any]) -> None:
    written = json.dumps({"name": "x", "arguments": arguments})
    assert all(not runs_away(written[:end]) for end in range(len(written) + 1))
    call = whole(written)
    assert call is not None
    assert call.data == arguments
    assert all(whole(written[:end]) is None for end in range(len(written)))


@pytest.mark.parametrize(
    ("begun", "again"),
    [
        ('"a": "3', " / 100000"),
        ('"a": "', "bins "),
        ('"a": "x', "\\n"),
        ('"a": 3.', "0"),
        ('"b": "c", "a": "', "ha"),
    ],
)
def test_what_repeats_itself_inside_a_value_runs_away(begun: str, again: str) -> None:
    assert runs_away('{"name": "x", "arguments": {' + begun + again * 40)


def test_items_that_are_alike_do_not() -> None:
    assert not runs_away('{"name": "x", "arguments": {"board": [' + "0, " * 200)
    assert not runs_away('{"name": "x", "arguments": {"board": [' + '{"a": "x", "b": 0}, ' * 50)


def test_a_call_has_no_free_blanks_and_only_known_arguments() -> None:
    made = arguments_of(TIMER)
    assert made["x-guidance"]["whitespace_flexible"] is False
    assert (made["additionalProperties"], list(made["properties"])) == (False, ["minutes"])


class Held(LlamaCpp):
    """llama.cpp that writes names from a table of what follows; text is its own tokens.

    after: of what is written already of a name, how probable each token is.
    """

    def __init__(self, tools: tuple[ToolSchema, ...], after: dict[str, dict[str, float]]) -> None:
        self._tools, self._after = tools, after
        self._loose, self.read = {}, ""

    def _tokens(self, text: str, *, special: bool, begins: bool = False) -> list[Any]:
        return list(text)

    def _completed(self, body: Any) -> Any:
        written = "".join(each if isinstance(each, str) else chr(each) for each in body["prompt"])
        return {"completion_probabilities": [place(self._after[written.partition(NAME)[2]])]}

    def _holds(self, body: dict[str, Any]) -> bool:
        return True

    def _held_to(self, schema: Any, prompt: list[Any], most: int) -> Iterator[str]:
        self.read = "".join(prompt)
        yield from ('{"minutes": ', "10}")


@pytest.mark.parametrize(
    ("tools", "after", "name"),
    [
        (("a",), {}, "a"),  # there is no other
        (("sa", "sb"), {"": {"s": 0.9, "x": 0.1}, "s": {"c": 0.6, "b": 0.3, "a": 0.1}}, "sb"),
        (("s", "sa"), {"": {"s": 1.0}, "s": {"a": 0.3, '"': 0.7}}, "s"),  # one begins as the other
        (("s", "sa"), {"": {"s": 1.0}, "s": {"a": 0.8, '"': 0.2}}, "sa"),
        (("a", "b"), {"": {"x": 1.0}}, "a"),  # none is likely: there must be one
    ],
)
def test_the_likeliest_name_is_called_as_the_model_would_write_it(
    tools: tuple[str, ...], after: dict[str, dict[str, float]], name: str
) -> None:
    """Held to a grammar from before its first quote, the 1.5B wrote other names than it was sure of."""
    model = Held(tuple(ToolSchema(each, "Do.", TIMER.parameters) for each in tools), after)
    written = "".join(model._constrained(list("? "), 100))
    assert written == f'{{"name": "{name}", "arguments": {{"minutes": 10}}}}'
    assert model.read == f'? {{"name": "{name}", "arguments": '


def test_a_tool_in_one_line_has_all_that_is_told_of_it() -> None:
    """As JSON thirteen tools were 1,400 tokens before each answer, and each token behind them took longer."""
    assert TIMER.brief == "set_timer(minutes): Set a timer."
    assert ToolSchema("now", "The\ntime.", {}).brief == "now(): The time."
    place = {"type": "object", "properties": {"x": {"type": "number"}}}
    properties = {
        "unit": {"type": "string", "enum": ["c", "f"], "description": "Of it."},
        "at": place,
        "any": True,
    }
    assert ToolSchema("heat", "Warm.", {"properties": properties}).brief == (
        f"heat(unit, at, any): Warm. unit: c|f Of it. at: {json.dumps(place)}"
    )


@pytest.mark.parametrize(
    ("rendered", "found"),
    [
        (
            '# Tools\n{"function": {"name": "abc", "x": {}}}\n{"name": <name>}',
            '{"function": {"name": "abc", "x": {}}}',
        ),
        ('[{"type": "f", "of": {"name": "abc"}}] {"a": 1}', '{"type": "f", "of": {"name": "abc"}}'),
        ('{"a": {}} type abc = () => any;', ""),
        ('{"name": "abc"} and again abc', ""),
        ("nothing", ""),
    ],
)
def test_where_a_template_has_a_tool_as_json_it_is_found_whole(rendered: str, found: str) -> None:
    assert _object_with("abc", rendered) == found


class Drawn(LlamaCpp):
    """llama.cpp with the draws of a script in the place of a model.

    script: what is drawn, one after the other; what must not be is passed over, and at its end comes the end.
    scores: of the first token. name: how probable the tool's name is. constrained: the parts of a call.
    """

    def __init__(
        self, script: list[str], constrained: list[str], scores: dict[str, float], name: float
    ) -> None:
        self.draws, self.call, self.first, self.name = iter(script), constrained, scores, name
        self._tools, self._must_call, self._call_threshold = (TIMER,), False, 2.0
        self._usual, self._told = {self._tools: {"set": 0.6}}, None
        self._max_tokens, self._stop, self._seed, self.prompt_tokens = 200, (), 0, 0

    def _complete(self, prompt: Any, seed: int, index: int, never: Any = (), *, scores: bool = False) -> Any:
        text = next((text for text in self.draws if sum(map(ord, text)) not in never), END)
        over = text.startswith(END)
        made = {"content": "" if over else text, "tokens": [sum(map(ord, text))], "tokens_evaluated": index}
        made["stop_type"] = "eos" if over else "limit"
        return made | ({"completion_probabilities": [place(self.first)]} if scores else {})

    def _completed(self, body: Any) -> Any:
        return {"completion_probabilities": [place({"set": self.name})]}

    def _tokens(self, text: str, *, special: bool, begins: bool = False) -> list[int]:
        return [1]

    def _constrained(self, prompt: list[int], most: int) -> Iterator[str]:
        yield from self.call

    def answer(self, *, answered: bool = False) -> tuple[str, list[str]]:
        found = list(deltas(self._calling([1], 0, "<tool_call>\n", answered=answered), calls=True))
        return "".join(each.text for each in found), [each.call.name for each in found if each.call]


END = "<end>"


def place(scores: dict[str, float]) -> dict[str, Any]:
    """Scores as llama.cpp gives them."""
    each = [
        {"id": sum(map(ord, text)), "token": text, "logprob": math.log(chance)}
        for text, chance in scores.items()
    ]
    return {"top_logprobs": each}


CALL = ['{"name": "set_timer", "arguments": {"minutes": ', "10}}"]
LOST = ['{"name": "set_timer", "arguments": {"minutes": 3.', *["0"] * 40]


@pytest.mark.parametrize(
    ("script", "scores", "name", "answer"),
    [
        (["Done."], {"Done": 0.99, "{": 0.01}, 0.97, ("", ["set_timer"])),  # drawn as words, sure of the tool
        (["Well."], {"Well": 0.3, "{": 0.7}, 0.9, ("Well.", [])),  # it often names it
        (["{", "Well."], {"Well": 0.1, "{": 0.9}, 0.5, ("Well.", [])),  # drawn as a call, and of what?
    ],
)
def test_how_sure_it_is_of_the_tool_decides_and_no_draw(
    script: list[str], scores: dict[str, float], name: float, answer: tuple[str, list[str]]
) -> None:
    assert Drawn(script, CALL, scores, name).answer() == answer


@pytest.mark.parametrize(("opens", "answer"), [(0.4, ("Ten minutes.", [])), (0.6, ("", ["set_timer"]))])
def test_told_what_came_of_a_call_it_calls_again_only_by_itself(
    opens: float, answer: tuple[str, list[str]]
) -> None:
    model = Drawn(["Ten minutes."], CALL, {"Ten": 1 - opens, "{": opens}, 0.999)
    assert model.answer(answered=True) == answer


def test_a_call_that_never_ends_becomes_words() -> None:
    model = Drawn(["{", "{", "Six."], LOST, {"{": 0.9, "Six.": 0.1}, 1.0)
    assert model.answer() == ("Six.", [])


@pytest.mark.parametrize("empty", range(TRIES + 1))
def test_an_answer_that_ends_before_its_first_word_is_begun_anew(empty: int) -> None:
    ends = [f"{END}{number}" for number in range(empty)]
    assert Drawn([*ends, "Yes."], CALL, {"Yes": 1.0}, 0.1).answer() == ("Yes.", [])


def test_one_that_is_nothing_but_ends_is_told() -> None:
    with pytest.raises(NoAnswer):
        Drawn([], CALL, {"Yes": 1.0}, 0.1).answer()
