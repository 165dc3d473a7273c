"""What is for the person, and what a model writes for itself or for a program."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.text.machine_text import MachineText
from agent.text.marks import structures

CALL = '{"name": "get_weather", "arguments": {"city": "Paris (France)"}}'
NL = "\n"

MARKED: list[tuple[str, str, str]] = [
    # what was written, what is for the person, what was thought
    ("<think>The user greets me.</think>Hello my friend.", "Hello my friend.", "The user greets me."),
    ("<think>\nHm.\n</think>\n\nHello.", "Hello.", "\nHm.\n"),
    ("<thinking>a < b</thinking>Hello.", "Hello.", "a < b"),
    ("<Thinking>a</THINKING>Hello.", "Hello.", "a"),
    ("<thought>a</thought>Hello.", "Hello.", "a"),
    ("<reasoning>a</reasoning>Hello.", "Hello.", "a"),
    ("<seed:think>a</seed:think>Hello.", "Hello.", "a"),
    ("<think>a</thinking>Hello.", "Hello.", "a"),
    ("<think></think>Hello.", "Hello.", ""),
    ("Hello.<think>a</think>There.", "Hello. There.", "a"),
    ("Hello <think>a</think> there.", "Hello there.", "a"),
    ("a</think>Hello.", "aHello.", ""),
    ("<think>never closed", "", "never closed"),
    ("[THINK]a[/THINK]Hello.", "Hello.", "a"),
    ("◁think▷a◁/think▷Hello.", "Hello.", "a"),
    ("<|START_THINKING|>a<|END_THINKING|><|START_RESPONSE|>Hello.<|END_RESPONSE|>", "Hello.", "a"),
    ("<|inner_prefix|>a<|inner_suffix|>Hello.", "Hello.", "a"),
    ("<|begin_of_thought|>a<|end_of_thought|>Hello.", "Hello.", "a"),
    (
        "<|channel|>analysis<|message|>a<|end|><|start|>assistant<|channel|>final<|message|>Hello.<|return|>",
        "Hello.",
        "a",
    ),
    ("<|channel|>commentary<|message|>I look.<|end|>", "I look.", ""),
    ("<|channel|>commentary to=functions.f <|constrain|>json<|message|>{}<|call|>", "", ""),
    ("<|channel|>final<|message|>Hello.", "Hello.", ""),
    ("<|channel>thought\na<channel|>Hello.<turn|>", "Hello.", "a"),
    ("<think>a</think><answer>Hello.</answer>", "Hello.", "a"),
    ("Hello.<|im_end|>", "Hello.", ""),
    ("Hello.</s>", "Hello.", ""),
    ("Hello.<|eot_id|>", "Hello.", ""),
    ("Hello.<end_of_turn>", "Hello.", ""),
    ("Hello.<｜end▁of▁sentence｜>", "Hello.", ""),
    ("<|im_start|>assistant\nHello.", "Hello.", ""),
    ("<|start_header_id|>assistant<|end_header_id|>\n\nHello.", "Hello.", ""),
    ("Hello.<|im_end|>\n<|im_start|>user\nHi.<|im_end|>\n<|im_start|>assistant\nMore.", "Hello.\n", ""),
    ("Hello.<|start_header_id|>user<|end_header_id|>\n\nHi.", "Hello.", ""),
    (f"<tool_call>\n{CALL}\n</tool_call>", "", ""),
    (f"Wait.\n<tool_call>{CALL}</tool_call>\nDone.", "Wait.\nDone.", ""),
    (f"<think>a</think><tool_call>{CALL}</tool_call>", "", "a"),
    (f"[TOOL_CALLS][{CALL}]", "", ""),
    (f"[TOOL_CALLS]get_weather[ARGS]{CALL}</s>", "", ""),
    ("<function=get_weather>{}</function>Done.", "Done.", ""),
    ("<function=f>\n<parameter=city>\nParis\n</parameter>\n</function>", "", ""),
    ('<function_calls><invoke name="f"><parameter name="a">b</parameter></invoke></function_calls>', "", ""),
    (f"<|tool_call|>{CALL}<|/tool_call|>Done.", "Done.", ""),
    ("<|tool_call>call:f{}<tool_call|>Done.", "Done.", ""),
    ("<|tool_call_start|>[f(a=1)]<|tool_call_end|>Done.", "Done.", ""),
    ("<｜tool▁calls▁begin｜>x<｜tool▁calls▁end｜>Done.", "Done.", ""),
    ("<|tool_calls_section_begin|>x<|tool_calls_section_end|>", "", ""),
    ("<|python_tag|>print(1)", "", ""),
    ("<start_function_call>call:f{}<end_function_call>Done.", "Done.", ""),
    (CALL, "", ""),
    (f"[{CALL}]", "", ""),
    (f"```json\n{CALL}\n```", "", ""),
    (f"```\n{CALL}\n```\nDone.", "Done.", ""),
    (f"I look.\n{CALL}", "I look.\n", ""),
    ("```tool_code\nprint(f())\n```", "", ""),
    ('{"name": "f", "parameters": {}}', "", ""),
    ('{"type": "function", "function": {"name": "f", "arguments": "{}"}}', "", ""),
    ('{"tool_calls": [{"name": "f", "arguments": {}}]}', "", ""),
    ('{"name": "get_weather", "arguments": {"ci', "", ""),
    ('[get_weather(city="Paris"), f()]', "", ""),
]

ORDINARY = [
    "Hello my friend.",
    "The `<think>` tag marks a thought.",
    'He wrote "<think>" and left.',
    "a < b and c > d, 1 << 2",
    "I <3 you",
    "This is <b>bold</b> and <i>so</i> on.",
    "<div>Hi</div>",
    "Use F# pipes: x <| f",
    "[1] and [citation needed] and [link](https://example.org)",
    "[THE END]",
    '{"name": "Bob", "age": 5}',
    '{"city": "Paris"}',
    '{"type": "circle", "radius": 5}',
    "```json\n[1, 2]\n```\nThat is it.",
    "```python\nprint('<think>')\n```\nDone.",
    "{curly} braces",
    "A set {1, 2}.",
    "5 * 3 * 2 = 30",
    "Thinking is hard.",
]

DIRECTIONS: list[tuple[str, str]] = [
    ("*smiles*", ""),
    ("*smiles* Hello.", "Hello."),
    ("*Smiles warmly* Hello.", "Hello."),
    ("*smiles* hey there", "hey there"),
    ("Hello. *laughs* There.", "Hello. There."),
    ("Hello! *waves excitedly*", "Hello! "),
    ("Well, *sighs* I suppose.", "Well, I suppose."),
    ("I don't know *shrugs*", "I don't know "),
    ("*clears throat* Now then.", "Now then."),
    ("*takes a deep breath* Fine.", "Fine."),
    ("*softly laughs* Fine.", "Fine."),
    ("*nods and smiles* Fine.", "Fine."),
    ("*leans in closer* Fine.", "Fine."),
    ("*raises an eyebrow* Really?", "Really?"),
    ("*looks around nervously* Who?", "Who?"),
    ("*rolls eyes* Fine.", "Fine."),
    ("*with a smile* Fine.", "Fine."),
    ("*a soft chuckle* Fine.", "Fine."),
    ("_giggles_ Fine.", "Fine."),
    ("**laughs** Fine.", "Fine."),
    ("*smiles* *waves* Hello.", "Hello."),
    ("*chuckling* Fine.", "Fine."),
    ("*winks playfully* Fine.", "Fine."),
    ("*adjusts glasses* Fine.", "Fine."),
    ("*pauses for a moment* Fine.", "Fine."),
    ("[laughs] Hello.", "Hello."),
    ("[laughter]", ""),
    ("[Laughs] Hello.", "Hello."),
    ("[music playing] Hello.", "Hello."),
    ("[sigh] Hello.", "Hello."),
    ("Hello [laughs] there.", "Hello there."),
    ("[laughs]Hello.", "Hello."),
    ("(sighs) I see.", "I see."),
    ("(sighs deeply) I see.", "I see."),
    ("I see. (laughs)", "I see. "),
    ("Well (sighs) I don't.", "Well I don't."),
    ("(whispering) I see.", "I see."),
    ("(in a low voice) I see.", "I see."),
    ("(softly) I see.", "I see."),
    ("(pause) I see.", "I see."),
    ("(clears throat) I see.", "I see."),
    ("*She laughs softly.* Fine.", "Fine."),
]

EMPHASIS = [
    "That is *really* good.",
    "**Note** this.",
    "**Note:** this.",
    "*Really* good.",
    "*Finally* we are there.",
    "*This* is it.",
    "*Smiles* are free.",
    "*Laughs are contagious.*",
    "*Looks good to me!*",
    "*Running* is fun.",
    "She never *laughs*.",
    "He *runs* every day.",
    "The word *smile* is short.",
    "f(x) is a function.",
    "He (born 1984) is here.",
    "See [1] and [2].",
    "5*5*5 is 125.",
    "2 * 3 (six) is more.",
    "He (laughs) said.",
    "(see below)",
    "(Smiling helps.)",
    "(turns out it was fine)",
    "(a friend of mine)",
    "(and more)",
    "The file (README) is there.",
    "* one\n* two",
    "_snake_case_ and my_file_name",
    "*James* is here.",
    "***Warning***",
    "What (if anything) is it?",
    "[sic] [x] [Note]",
    "(1) first (2) second",
    "*Always* do that.",
    "call(sighs)",
]


def split(text: str, cuts: list[int] | int, **how: bool) -> dict[str, str]:
    """What each kind of part came to."""
    stage, told = MachineText(**how), {"text": "", "thought": "", "machine": ""}
    ends = range(cuts, len(text), cuts) if isinstance(cuts, int) else sorted(cuts)
    last = 0
    for end in [*ends, len(text)]:
        for part in stage.feed(text[last:end]):
            told[part.kind] += part.text
        last = max(last, end)
    for part in stage.rest():
        told[part.kind] += part.text
    return told


@pytest.mark.parametrize(("written", "text", "thought"), MARKED)
def test_marks(written: str, text: str, thought: str):
    told = split(written, 1)
    assert (told["text"], told["thought"]) == (text, thought)
    assert split(written, 1000) == told


@pytest.mark.parametrize("text", [*ORDINARY, *EMPHASIS])
def test_what_is_no_mark_stays(text: str):
    assert split(text, 1) == {"text": text, "thought": "", "machine": ""}
    assert split(text, 1000)["text"] == text


@pytest.mark.parametrize(("written", "text"), DIRECTIONS)
def test_stage_directions_are_silent(written: str, text: str):
    assert split(written, 1)["text"] == text
    assert split(written, 1000)["text"] == text


ALL = [*(written for written, *_ in (*MARKED, *DIRECTIONS)), *ORDINARY, *EMPHASIS]
BITS = [
    *(
        "<",
        "think",
        ">",
        "</think>",
        "<think>",
        "[",
        "THINK]",
        "[/THINK]",
        "*",
        "smiles",
        "laughs",
        "(",
        ")",
        "]",
        " ",
        "\n",
    ),
    *(
        "Hello",
        ".",
        "a",
        "`",
        "```",
        "json",
        "{",
        '"name"',
        ":",
        '"arguments"',
        "}",
        '"f"',
        ",",
        "<|",
        "|>",
        "im_end",
    ),
    *(
        "<|channel|>",
        "final",
        "analysis",
        "<|message|>",
        "<|end|>",
        "<|im_start|>",
        "user",
        "assistant",
        "_",
        "“",
        "</",
    ),
    *(
        "<tool_call>",
        "</tool_call>",
        "1",
        "=",
        "f(",
        "<channel|>",
        "very",
        "softly",
        '"',
        "<|tool_call|>",
        "[TOOL_CALLS]",
    ),
]


@settings(max_examples=300)
@given(
    st.one_of(st.lists(st.sampled_from(BITS), max_size=14).map("".join), st.sampled_from(ALL)),
    st.lists(st.integers(0, 80), max_size=6),
    st.booleans(),
)
def test_it_is_the_same_however_the_text_is_split(text: str, cuts: list[int], spoken: bool):
    whole = split(text, 10_000, spoken=spoken)
    assert split(text, 1, spoken=spoken) == whole
    assert split(text, [min(cut, len(text)) for cut in cuts], spoken=spoken) == whole


@given(st.lists(st.text(st.characters(exclude_characters="<[(（［*_{`◁"), max_size=9), max_size=9))
def test_text_without_opening_marks_is_never_delayed(parts: list[str]):
    stage = MachineText()
    for part in parts:
        assert "".join(told.text for told in stage.feed(part)) == part
    assert stage.rest() == []


@pytest.mark.parametrize(
    ("parts", "most"),
    [
        (["I ", "<", "3 you"], 1),
        (["f", "(", "x", ")"], 2),
        (["see ", "(", "born", " 1984", ")"], 2),
        (["a ", "*", "very", " big", " thing*"], 2),
        (["{", "curly"], 1),
    ],
)
def test_what_is_no_mark_waits_no_longer_than_it_must(parts: list[str], most: int):
    """`most`: in how many calls of `feed` the text so far may be incomplete."""
    stage, given_, shown, late = MachineText(), "", "", 0
    for part in parts:
        given_ += part
        shown += "".join(told.text for told in stage.feed(part))
        late += shown != given_
    assert late <= most


def test_who_asked_for_the_text_gets_calls_and_stage_directions_too():
    for text in (CALL, "*smiles* Hello.", f"```json\n{CALL}\n```", "[laughs]"):
        assert split(text, 1, spoken=False)["text"] == text
    assert split("<think>a</think>*smiles*", 1, spoken=False) == {
        "text": "*smiles*",
        "thought": "a",
        "machine": "",
    }


@pytest.mark.parametrize(
    ("token", "inside"),
    [
        *(
            (t, True)
            for t in ("<|channel|>", "<|message|>", "<|start|>", "<|constrain|>", "<think>", "</think>")
        ),
        *((t, True) for t in ("[THINK]", "[/THINK]", "<tool_call>", "</tool_call>", "<|tool_call_end|>")),
        *((t, True) for t in ("<|channel>", "<channel|>", "<|END_THINKING|>", "[TOOL_CALLS]")),
        *(
            (t, False)
            for t in ("<|im_end|>", "<|im_start|>", "<|eot_id|>", "</s>", "<|endoftext|>", "[INST]", "x")
        ),
    ],
)
def test_control_tokens_that_do_not_end_an_answer(token: str, inside: bool):
    assert structures(token) == inside
