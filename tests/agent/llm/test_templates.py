"""Any chat model that users have: what the templates of seven families make of a spoken conversation."""

from __future__ import annotations

from typing import Any

import pytest
from chat_templates import TEMPLATES, Template
from tiny_chat_model import save_model

from agent.llm.llamacpp import LlamaCpp
from agent.llm.transformers import Transformers
from agent.messages import Message, ToolCall, ToolSchema
from agent.text.marks import left_open, structures
from agent.weights import catalogue as models

pytest.importorskip("torch")

SYSTEM = Message("system", "You tend a lighthouse.")
FIRST = [SYSTEM, Message("user", "Who lit the lamp?")]
SECOND = [*FIRST, Message("assistant", "The keeper did."), Message("user", "And then?")]
ODD = {
    "said twice": [SYSTEM, Message("user", "Hello."), Message("user", "Are you there?")],
    "told behind": [*SECOND, Message("system", "Answer in Spanish.")],
    "begun by the agent": [SYSTEM, Message("assistant", "Your timer is due."), Message("user", "Thanks.")],
    "in two parts": [*FIRST, Message("assistant", "I look."), Message("assistant", "It was he.")],
}
"""What talks by voice have: an answer nobody heard, another language, a timer, a reply that goes on."""
WEATHER = ToolSchema(
    "weather", "The weather.", {"type": "object", "properties": {"city": {"type": "string"}}}
)
CALLED = [
    SYSTEM,
    Message("user", "Rain in Ely?"),
    Message("assistant", "", calls=(ToolCall("000001001", "weather", '{"city": "Ely"}'),)),
    Message("tool", "Dry.", call="000001001"),
]


@pytest.fixture(scope="module", params=list(TEMPLATES))
def template(request: pytest.FixtureRequest) -> Template:
    return TEMPLATES[request.param]


@pytest.fixture(scope="module")
def torch_model(template: Template, tmp_path_factory: pytest.TempPathFactory) -> Transformers:
    folder = tmp_path_factory.mktemp("tiny")
    marks = [mark for mark in template.marks if mark != "<|im_end|>"]
    save_model(folder, "Llama", template.text, special_end=template.ends == "<|im_end|>", marks=marks)
    return Transformers(folder, temperature=0.0, device="cpu")


@pytest.fixture(scope="module")
def llama(template: Template) -> LlamaCpp:
    """llama.cpp with this template in place of its file's."""
    import xllamacpp

    library: Any = xllamacpp
    server = library.Server

    def served(params: Any) -> Any:
        params.chat_template = template.text
        return server(params)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(library, "Server", served)
        return LlamaCpp(models.resolve("smollm2"), temperature=0.0)


def rendered(model: Any, said: list[Message]) -> str:
    if isinstance(model, LlamaCpp):
        return "".join(map(str, model._prompt(said)))
    return model._tokenizer.decode(model._prompt(said))


def check_prompts(model: Any, template: Template) -> None:
    first, second = rendered(model, FIRST), rendered(model, SECOND)
    for said in (FIRST, SECOND):
        text = rendered(model, said)
        at = [text.index(message.content) for message in said]
        assert at == sorted(at)
        assert not left_open(text), "nothing asks it to think"
    # What was read of the first turn is the beginning of the second: it is read once.
    assert second.startswith(first[: first.index("Who lit the lamp?") + len("Who lit the lamp?")])


def check_odd(model: Any) -> None:
    for name, said in ODD.items():
        text = rendered(model, said)
        at = [text.index(message.content) for message in said]
        assert at == sorted(at), name


def check_tools(model: Any, template: Template) -> None:
    told = model.with_tools([WEATHER])
    assert told._own_form == template.tools
    text = rendered(told, CALLED)
    for part in ("You tend a lighthouse.", "Rain in Ely?", "Ely", "Dry."):
        assert part in text
    assert text.index("Rain in Ely?") < text.rindex("Dry.")
    assert '"weather"' in rendered(told, FIRST), "it is told of the tool"


def test_a_conversation_is_rendered_whole_and_without_a_thought(
    torch_model: Transformers, template: Template
) -> None:
    check_prompts(torch_model, template)


def test_what_a_template_refuses_is_told_in_turns(torch_model: Transformers) -> None:
    check_odd(torch_model)


def test_tools_are_told_by_the_template_or_in_words(torch_model: Transformers, template: Template) -> None:
    check_tools(torch_model, template)


def test_its_own_mark_ends_an_answer_and_its_others_as_far_as_they_end_one(
    torch_model: Transformers, template: Template
) -> None:
    ends = {torch_model._tokenizer.convert_ids_to_tokens(number) for number in torch_model._ends}
    assert template.ends in ends
    assert {mark for mark in template.marks if not structures(mark)} <= ends


@pytest.mark.model
def test_llama_cpp_renders_the_same_conversations(llama: LlamaCpp, template: Template) -> None:
    check_prompts(llama, template)
    check_odd(llama)
    check_tools(llama, template)
