"""How probable its tokens were, as each engine that knows it tells."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from tiny_chat_model import save_model

from agent.llm.llamacpp import LlamaCpp
from agent.llm.openai_api import OpenAI
from agent.messages import Message, ToolSchema
from agent.protocols import Delta, TellsProbabilities, TokenProbability
from agent.weights import catalogue as models
from helpers_server import DONE, chunked, event, head, scripted

CAPITAL = [Message("user", "What is the capital of France?")]
PERSON = {
    "type": "object",
    "properties": {"name": {"type": "string", "maxLength": 12}, "age": {"type": "integer", "maximum": 99}},
    "required": ["name", "age"],
    "additionalProperties": False,
}


def probable(model: Any, said: Sequence[Message], count: int) -> tuple[str, list[TokenProbability]]:
    """What it answers, and how probable that was."""
    assert isinstance(model, TellsProbabilities)
    items = list(model.with_probabilities(count).stream(said))
    deltas = [item for item in items if isinstance(item, Delta)]
    text = "".join(item.text if isinstance(item, Delta) else item for item in items)
    return text, [each for delta in deltas for each in delta.probabilities]


@pytest.fixture(scope="module", params=["smollm2", "qwen2.5-0.5b"])
def model(request: pytest.FixtureRequest) -> LlamaCpp:
    return LlamaCpp(models.resolve(request.param), context=2048, max_tokens=24)


@pytest.mark.model
@pytest.mark.parametrize("count", [0, 3])
def test_each_token_is_told_with_how_probable_it_was(model: LlamaCpp, count: int) -> None:
    greedy = model._changed(_sampling={**model._sampling, "temperature": 0.0, "repeat_penalty": 1.0})
    said = [Message("user", "Write one emoji of a cat, and then the word 'naïve'.")]
    text, told = probable(greedy, said, count)
    whole = b"".join(each.data for each in told).decode("utf-8", "ignore")  # it may end inside a character
    assert whole.rstrip() == text.rstrip()
    assert text == "".join(str(item) for item in greedy.stream(said)), "asking changes nothing"
    assert [len(each.likeliest) for each in told] == [count] * len(told)
    for each in told:
        assert each.logprob <= 0.0
        if count:
            assert each.likeliest[0] == (each.data, pytest.approx(each.logprob)), "greedy: the likeliest"
            assert sum(math.exp(chance) for _, chance in each.likeliest) <= 1.001


@pytest.mark.model
def test_an_answer_that_fits_a_schema_and_one_that_may_call_tell_it_too(model: LlamaCpp) -> None:
    person = model._changed(_max_tokens=200).with_schema(PERSON)
    text, told = probable(person, [Message("user", "Ada is 36 years old. Tell me of her.")], 2)
    assert b"".join(each.data for each in told).decode() == text
    assert json.loads(text)["age"]
    tool = ToolSchema("clock", "The time of day.", {"type": "object", "properties": {}})
    text, told = probable(model.with_tools([tool]), CAPITAL, 2)
    assert text
    assert b"".join(each.data for each in told).decode().startswith(text.strip()[:10])


def test_a_model_of_torch_tells_it_too(tmp_path: Path) -> None:
    pytest.importorskip("torch")
    from agent.llm.transformers import Transformers

    tiny = save_model(tmp_path, "Llama")
    greedy = Transformers(tiny, temperature=0.0, repeat_penalty=1.0, max_tokens=20, device="cpu")
    said = [Message("user", "Who lit the lamp? A man of 40 years?")]
    text, told = probable(greedy, said, 3)
    assert told
    for each in told:
        assert each.likeliest[0] == (each.data, each.logprob), "greedy: the likeliest"
        chances = [chance for _, chance in each.likeliest]
        assert chances == sorted(chances, reverse=True)
        assert sum(map(math.exp, chances)) <= 1.0 + 1e-6
    assert text == "".join(map(str, greedy.stream(said))), "asking changes nothing"


@pytest.mark.net
def test_a_server_is_asked_and_told_as_it_says() -> None:
    """Also of one that tells no bytes, or what JSON cannot say."""
    likeliest = [{"token": "Hi", "logprob": -0.5, "bytes": [72, 105]}, {"token": "é", "logprob": -1.0}]
    places = [
        {"token": "Hi", "logprob": -0.5, "bytes": [72, 105], "top_logprobs": likeliest},
        {"token": "\ufffd", "logprob": None, "bytes": [0xC3]},
    ]
    parts = [event("Hi", logprobs={"content": places}), event(" there.", logprobs=None), DONE]
    with scripted([head(), *map(chunked, parts), b"0\r\n\r\n"]) as server:
        text, told = probable(OpenAI(base_url=server.url, model="m"), CAPITAL, 2)
    assert (server.seen[0][2]["logprobs"], server.seen[0][2]["top_logprobs"]) == (True, 2)
    one = TokenProbability(b"Hi", -0.5, ((b"Hi", -0.5), ("é".encode(), -1.0)))
    assert (text, told) == ("Hi there.", [one, TokenProbability(b"\xc3", -9999.0)])
