"""What models write around what is not for a user: thoughts, calls of tools, whose turn it is. Data, pure.

The names are those of the models' own templates: DeepSeek, Qwen, Mistral, Cohere, Gemma, GLM, Granite, Kimi,
Hermes, Llama, MiniMax, Seed, and OpenAI's harmony with its channels.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

Kind = Literal["text", "thought", "machine"]
"""For the user; what the model says to itself; what it writes for a program, or in another's name."""
Effect = Literal["drop", "open", "channel", "role"]

LAST = 16
"""Tokens at the end of a prompt in which the mark of an open thought stands."""
LONGEST = 120
"""Characters that a mark, or a header, may have."""


@dataclass(frozen=True, slots=True)
class Mark:
    """What a mark does: it is dropped; opens something, up to `end`; or a header follows it, up to `end`.

    keep: the end is a mark itself, which stays.
    """

    effect: Effect
    kind: Kind = "text"
    end: re.Pattern[str] | None = None


DROP = Mark("drop")
OTHERS = Mark("open", "machine", re.compile(r"(?!)"))
"""Nothing that follows is for the user."""
TURN = (
    r"(?=<\|(?:im_start|start_header_id|start_of_role|start|turn|im_user|im_assistant|im_system)\|?>"
    r"|<start_of_turn>|\[INST\])"
)
"""Where somebody's turn begins."""
OVER = (
    r"<\|(?:im_end|end|return|call|eot_id|eom_id|endoftext|end_of_text)\|>|<turn\|>|</s>|<eos>|<end_of_turn>"
)
"""Where one ends."""

THOUGHTS = (
    *("think", "thinking", "thought", "thoughts", "reasoning", "reflection", "scratchpad", "analysis"),
    *("inner_monologue", "seed:think", "mm:think", "antml:thinking"),
)
CALLS = (
    *("tool_call", "tool_calls", "toolcall", "toolcalls", "tool_code", "tool_response", "tool_result"),
    *("tool_output", "tools", "function", "function_call", "function_calls", "invoke", "minimax:tool_call"),
    *("antml:function_calls", "antml:invoke", "start_function_call", "start_function_response"),
)
FRAMES = (
    *("answer", "final_answer", "final", "response", "s", "bos", "eos", "pad", "unk", "end_of_turn"),
    *("end_of_utterance", "end_function_call", "end_function_response", "parameter"),
)
"""Around what may be for the user: only the tag goes."""
CLOSERS = ("channel", "turn", "tool_call", "tool_response", "tool", "image", "audio")
"""What Gemma closes with `<channel|>`."""
_NAMES = (*THOUGHTS, *CALLS, *FRAMES, *CLOSERS, "start_of_turn")
_THOUGHT = f"(?:{'|'.join(THOUGHTS)})"

_THOUGHT_END = re.compile(
    rf"</{_THOUGHT}>|<\|/?(?:end_of_)?(?:think|thinking|thought)(?:_end)?\|>|(?={OVER})|{TURN}", re.I
)
_HARMONY_END = re.compile(rf"{OVER}|(?=<\|channel\|>)|<channel\|>|{TURN}")
_HEADERS = {
    "<|channel|>": re.compile(r"<\|message\|>"),
    "<|channel>": re.compile(r"\n|(?=<channel\|>)"),
    "<|start|>": re.compile(r"(?=<\|channel\|>)|<\|message\|>"),
    "<|start_header_id|>": re.compile(r"<\|end_header_id\|>"),
    "<|start_of_role|>": re.compile(r"<\|end_of_role\|>"),
}
_LINE = re.compile(r"\n|<\|im_middle\|>|(?=<\|channel\|>)")
_SPECIAL_ENDS = {
    "startthinking": ("thought", "endthinking"),
    "beginofthought": ("thought", "endofthought"),
    "innerprefix": ("thought", "innersuffix"),
    "think": ("thought", "think|endthink|thinkend"),
    "thinking": ("thought", "thinking|endthinking"),
    "toolcallsbegin": ("machine", "toolcallsend"),
    "toolcallssectionbegin": ("machine", "toolcallssectionend"),
    "toolcallbegin": ("machine", "toolcallend"),
    "toolcallstart": ("machine", "toolcallend"),
    "tooloutputsbegin": ("machine", "tooloutputsend"),
    "toolcall": ("machine", "toolcall|toolcallend|endtoolcall"),
    "startaction": ("machine", "endaction"),
    "starttoolresult": ("machine", "endtoolresult"),
    "pythontag": ("machine", ""),
}
_TAG = re.compile(r"<(/?)([A-Za-z_][\w:]*)((?:[\s=][^<>\n]*)?)(/?)>")
_TAG_BEGUN = re.compile(r"<(/?)([A-Za-z_][\w:]*)?([\s=][^<>\n]*|/)?\Z")
_GEMMA_END = re.compile(r"<[a-z_]+\|>")
_SPECIAL = re.compile(r"<[|｜](/?)([^\s<>|｜]{1,60})([|｜]?)>")
_SPECIAL_BEGUN = re.compile(r"<[|｜][^\s<>|｜]{0,60}[|｜]?\Z")
_LAST_MARK = re.compile(r"(<[^<>\s]{1,60}>|\[[A-Z]{1,20}\]|◁[a-z]{1,20}▷)\s*\Z")
_BRACKET = {
    "[THINK]": Mark("open", "thought", re.compile(rf"\[/THINK\]|(?={OVER})")),
    "[THOUGHT]": Mark("open", "thought", re.compile(rf"\[/THOUGHT\]|(?={OVER})")),
    "[TOOL_CALLS]": Mark("open", "machine", re.compile(rf"\[/TOOL_CALLS\]|(?={OVER})|{TURN}")),
    "[TOOL_CALL]": Mark("open", "machine", re.compile(rf"\[/TOOL_CALL\]|(?={OVER})|{TURN}")),
    "[TOOL_RESULTS]": Mark("open", "machine", re.compile(rf"\[/TOOL_RESULTS\]|(?={OVER})")),
    "[AVAILABLE_TOOLS]": Mark("open", "machine", re.compile(rf"\[/AVAILABLE_TOOLS\]|(?={OVER})")),
    "[INST]": Mark("open", "machine", re.compile(r"\[/INST\]")),
    **dict.fromkeys(("[/THINK]", "[/THOUGHT]", "[/TOOL_CALLS]", "[/TOOL_CALL]", "[/INST]", "[ARGS]"), DROP),
    "◁think▷": Mark("open", "thought", re.compile(rf"◁/think▷|(?={OVER})")),
    "◁/think▷": DROP,
}


def at_start(text: str, *, done: bool) -> tuple[int, Mark] | Literal["more"] | None:
    """The mark with which `text` begins, and its length; "more" where more text must tell; None: none.

    done: no more text comes.
    """
    if text[0] != "<":
        for literal, mark in _BRACKET.items():
            if text.startswith(literal):
                return len(literal), mark
        return "more" if not done and any(literal.startswith(text) for literal in _BRACKET) else None
    if found := _SPECIAL.match(text):
        return found.end(), _special(found)
    if found := _GEMMA_END.match(text):
        return found.end(), DROP
    if found := _TAG.match(text):
        mark = _tag(found)
        return None if mark is None else (found.end(), mark)
    if done or len(text) > LONGEST:
        return None
    if _SPECIAL_BEGUN.match(text) or (text.endswith("|") and _known(text[1:-1], whole=True)):
        return "more"
    begun = _TAG_BEGUN.match(text)
    return "more" if begun and _known(begun[2] or "", whole=bool(begun[3])) else None


def structures(token: str) -> bool:
    """Whether a model's control token, as text, structures an answer and does not end it."""
    found = at_start(token, done=True) if token[:1] in ("<", "[", "◁") else None
    if not isinstance(found, tuple) or found[0] != len(token) or token == "[INST]":
        return False
    name = _squeezed(token.strip("<>|｜[]◁▷/"))
    ends = "|".join(end for _, end in _SPECIAL_ENDS.values()).split("|")
    harmony = {"channel", "message", "constrain", "start"}
    return found[1].effect == "open" or name in harmony or name in ends or token in ("[/THINK]", "</think>")


def template(thinking: bool) -> dict[str, bool]:
    """What chat templates are told: Qwen's and Gemma's by one name, DeepSeek's and Granite's by another."""
    return {"enable_thinking": thinking, "thinking": thinking}


def left_open(prompt: str) -> str:
    """The mark of a thought with which a rendered `prompt` ends: the answer begins inside it; or ""."""
    found = _LAST_MARK.search(prompt)
    if found is None:
        return ""
    mark = at_start(found[1], done=True)
    thought = isinstance(mark, tuple) and mark[0] == len(found[1]) and mark[1].kind == "thought"
    return found[1] if thought else ""


def unopened(text: str) -> str:
    """The mark that the prompt must have held, where a whole answer ends a thought it never began; or ""."""
    return "<think>" if "</think>" in text and "<think>" not in text.partition("</think>")[0] else ""


def header(opening: str) -> re.Pattern[str]:
    """Where the header ends that `opening` begins."""
    return _HEADERS.get(opening, _LINE)


def headed(opening: str, said: str) -> Mark:
    """What the header `said` behind `opening` makes of what follows."""
    name, _, rest = said.strip().partition(" ")
    if "channel" in opening:
        if name.startswith("final") or (name == "commentary" and "to=" not in said):
            return DROP
        return Mark("open", "machine" if "to=" in said else "thought", _HARMONY_END)
    if name in ("", "assistant", "model", "ASSISTANT") and "to=" not in rest:
        return DROP
    return Mark("open", "machine", re.compile(TURN))


def _special(found: re.Match[str]) -> Mark:
    name, opening = _squeezed(found[2]), found.group()
    if name == "channel":
        return Mark("channel", end=header(opening))
    if name in (
        "start",
        "imstart",
        "startheaderid",
        "startofrole",
        "turn",
        "imuser",
        "imassistant",
        "imsystem",
    ):
        return Mark("role", end=header(opening))
    if found[1] or name not in _SPECIAL_ENDS:
        return DROP
    if (
        not found[3] and name == "think"
    ):  # Gemma's <|think|> is a switch, and its <|tool_call> ends in <tool_call|>
        return DROP
    kind, ends = _SPECIAL_ENDS[name]
    return Mark("open", "thought" if kind == "thought" else "machine", _special_end(ends, name))


def _special_end(ends: str, name: str) -> re.Pattern[str]:
    names = "|".join("[▁_ ]?".join(each) for each in ends.split("|") if each)
    closers = rf"<[|｜]/?(?:{names})[|｜]?>|<(?:{'[_]?'.join(name)})\|>|</{_THOUGHT}>|" if names else ""
    return re.compile(rf"{closers}(?={OVER})|{TURN}", re.IGNORECASE)


def _tag(found: re.Match[str]) -> Mark | None:
    closes, name, inside = found[1], found[2].lower(), found[3].strip()
    if name == "start_of_turn":
        return Mark("role", end=header(found.group()))
    if name in THOUGHTS and not (inside and name in ("analysis", "reflection")):
        return DROP if closes or found[4] else Mark("open", "thought", _THOUGHT_END)
    if name in CALLS:
        if closes or found[4]:
            return DROP
        end = {
            "start_function_call": "end_function_call",
            "start_function_response": "end_function_response",
        }.get(name, f"/{re.escape(name)}")
        return Mark("open", "machine", re.compile(rf"<{end}>|(?={OVER})|{TURN}", re.IGNORECASE))
    return DROP if name in FRAMES and not inside else None


def _known(name: str, *, whole: bool) -> bool:
    name = name.lower()
    return name in _NAMES if whole else any(each.startswith(name) for each in _NAMES)


def _squeezed(name: str) -> str:
    return re.sub(r"[▁_ -]", "", name).lower()
