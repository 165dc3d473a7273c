"""What an OpenAI-compatible server is sent and what its answer means. Pure; knows no network."""

from __future__ import annotations

import email.utils
import json
import re
import time
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from typing import Any, cast

from agent.errors import BackchatError, ContextExceeded, EngineFault, ModelError
from agent.llm.decoding.probabilities import probability
from agent.messages import Message, ToolCall
from agent.protocols import Delta, Finish
from agent.text import marks
from agent.text.cleaning import json_text

_PASSING = {408, 409, 425, 429, 500, 502, 503, 504, 529}
"""Statuses that a second try may cure."""
_SPENT = {"insufficient_quota", "billing_hard_limit_reached"}
"""Codes of a 429 that no waiting cures."""
TEMPLATE = "chat_template_kwargs"
"""The field of a request that vLLM, SGLang and llama.cpp give to the model's template."""
EFFORT = "reasoning_effort"
"""The field that OpenAI, Gemini, Groq, Ollama and others have for how much a model may think."""
_TOO_LONG = {"context_length_exceeded", "exceed_context_size_error"}
"""Codes and types of an error that say that a conversation does not fit the model's context."""
_SAID_TOO_LONG = re.compile(
    r"context (length|window|size)|maximum (model|prompt) length|input token count|range of input length"
    r"|max_new_tokens|keep the first|too many tokens|(prompt|input) is too long|reduce the length",
    re.IGNORECASE,
)
"""The same in words, for the servers that have no code for it: vLLM, SGLang, TGI, LM Studio, and most clouds.
No more is read in them than that."""


USAGE = {"stream_options": {"include_usage": True}}
"""What asks a server to count the tokens of a stream."""
OPTIONAL = ("max_tokens", "max_completion_tokens", "temperature", "top_p", "seed", TEMPLATE, EFFORT, *USAGE)
"""Fields that a server need not take."""


class Passing(EngineFault):
    """A fault that a second try may cure; `after`: seconds that the server asks to wait before it."""

    def __init__(self, text: str, after: float | None = None) -> None:
        super().__init__(text)
        self.after = after


class Refused(Exception):
    """The server does not take the request's `field`; a second request goes without it."""

    def __init__(self, field: str) -> None:
        super().__init__(field)
        self.field = field


def content(message: Message) -> str | list[dict[str, Any]] | None:
    """A message's content as a request has it: its words, or its pictures as data URLs and then its words.

    None for one that only calls.
    """
    if not message.images:
        return message.content if message.content or not message.calls else None
    parts = [{"type": "image_url", "image_url": {"url": picture.data_url()}} for picture in message.images]
    return [*parts, {"type": "text", "text": message.content}]


@dataclass(eq=False)
class _Called:
    """One call, as far as it has come."""

    index: Any
    id: str = ""
    name: str = ""
    arguments: str = ""

    @property
    def whole(self) -> bool:
        """Whether its arguments are a JSON object."""
        return bool(self.arguments) and ToolCall("", "", self.arguments).data is not None


class Calls:
    """The calls of one answer, put together from what its events add. known: the names of the tools.

    Servers differ: most send an index and fragments of arguments, some whole calls at once, some no id, or
    another one each time, or 0 as the index of every call. So a call is told from the next one by its name.
    """

    def __init__(self, known: Collection[str]) -> None:
        self._known = known
        self._called: list[_Called] = []

    def add(self, message: dict[str, Any]) -> None:
        """What a message, or a piece of one, has of calls."""
        given: Any = message.get("tool_calls")
        parts = cast(list[Any], given) if isinstance(given, list) else [given] if given else []
        if function := _dict(message.get("function_call")):  # before there were several
            parts.append({"index": 0, "function": function})
        fresh = False
        for part in map(_dict, parts):
            function = _dict(part.get("function")) or part
            name, arguments, id = function.get("name"), function.get("arguments"), part.get("id")
            name, id = (each if isinstance(each, str) else "" for each in (name, id))
            called = self._meant(part.get("index"), id, name, fresh=fresh)
            called.id = called.id or id
            called.name += name if called.name != name else ""
            if isinstance(arguments, str):
                called.arguments += arguments
            elif arguments is not None:
                called.arguments = json_text(arguments)
            fresh = True

    def whole(self, *, cut: bool) -> list[ToolCall]:
        """All of them, once. cut: the answer broke off; a last one that is not whole is none."""
        called, self._called = self._called, []
        if cut and called and not called[-1].whole:
            called.pop()
        return [ToolCall(each.id, each.name, each.arguments or "{}") for each in called]

    def _meant(self, index: Any, id: str, name: str, *, fresh: bool) -> _Called:
        """The call that a piece belongs to; a new one where it begins one. fresh: others stood before it."""
        last = next((each for each in reversed(self._called) if each.index == index), None)
        if last is None and not name and self._called:  # fragments without the index of their call
            return self._called[-1]
        beside = fresh and index is None and name  # one event has several, without telling them apart
        if last is None or beside or not self._goes_on(last, id, name):
            last = _Called(index)
            self._called.append(last)
        return last

    def _goes_on(self, last: _Called, id: str, name: str) -> bool:
        """Whether a piece with this id and name, which may be empty, goes on with a call."""
        if not name or not last.name or (id and id == last.id):
            return True
        if (id and last.id) or last.whole:
            return False
        begun = any(known.startswith(last.name + name) for known in self._known)
        return name == last.name or (begun and last.name not in self._known)


def delta(url: str, data: str, calls: Calls) -> tuple[Delta, Finish | None]:
    """What one event of a stream adds, and the answer's end where it says that or counts its tokens.

    calls: is given what it has of them. Raises EngineFault.
    """
    answer = _object(url, data)
    if error := answer.get("error"):
        raise _too_long(url, answer, _message(answer)) or Passing(
            f"{url} failed in the middle: {_message({'error': error})}"
        )
    choice = _first_choice(answer)
    counted = not choice and bool(_dict(answer.get("usage")))  # some count in each event, and go on
    ended = counted or choice.get("finish_reason") is not None
    added = _dict(choice.get("delta"))
    calls.add(added)
    return _written(added, choice), (_end(answer, choice) if ended else None)


def _end(answer: dict[str, Any], choice: dict[str, Any]) -> Finish:
    usage = _dict(answer.get("usage"))
    prompt, tokens = usage.get("prompt_tokens"), usage.get("completion_tokens")
    return Finish(
        "",
        "length" if choice.get("finish_reason") == "length" else "stop",
        prompt if isinstance(prompt, int) else 0,
        tokens if isinstance(tokens, int) else 0,
    )


def whole(url: str, data: str, calls: Calls) -> tuple[Delta, Finish]:
    """The answer of a server that does not stream, and its end. calls: as `delta`. Raises EngineFault."""
    answer = _object(url, data)
    choice = _first_choice(answer)
    message = _dict(choice.get("message"))
    found = _written(message, choice)
    calls.add(message)
    said = found.text or found.thought or message.get("tool_calls") or message.get("function_call")
    if not (said or isinstance(message.get("content"), str)):
        raise EngineFault(no_chat(url, "JSON without an answer"))
    thinks = marks.unopened(found.text)
    found = replace(found, text=f"{thinks}{found.text}") if thinks else found
    return found, _end(answer, choice)


def _written(message: dict[str, Any], choice: dict[str, Any]) -> Delta:
    """Words and thoughts, which vLLM and others name one way and DeepSeek and llama.cpp another; and how
    probable their tokens were, where the server was asked for that.
    """
    text: Any = message.get("content")
    thought: Any = message.get("reasoning_content") or message.get("reasoning")
    found = Delta(text if isinstance(text, str) else "", thought if isinstance(thought, str) else "")
    places: Any = _dict(choice.get("logprobs")).get("content")
    told = tuple(map(probability, cast(list[dict[str, Any]], places or [])))
    return replace(found, tokens=int(bool(found.text or found.thought)), probabilities=told)


def refusal(
    url: str, status: int, headers: Mapping[str, str], body: str, model: str, sent: Collection[str]
) -> BackchatError | Refused:
    """What to raise for an answer that is not 200.

    headers: names in lower case. sent: the fields of the request; of those that not every server has to take
    one is left out when the server names it.
    """
    fields = [name for name in OPTIONAL if name in sent]
    answer = _loads(body)
    error = _dict(answer.get("error"))
    codes, named = {str(error.get("code")), str(error.get("type"))}, _named_field(answer)
    said = f"{status}: {_message(answer) or _plain(body)}"
    # First: it may name max_tokens, which is no fault of that field.
    if status in (400, 413, 422, 500) and (error := _too_long(url, answer, said)):
        return error
    if status in (400, 422) and (named in fields or (named := _mentioned(said, fields))):
        return Refused(named)
    if status in (401, 403):
        return EngineFault(
            f"{url} refuses the key ({said}); set the environment variable that llm.api_key_env names"
        )
    if status == 404:
        return ModelError(
            f"{url} has no model {model!r} or is no such address ({said}); correct llm.model or llm.base_url"
        )
    if status in _PASSING and not codes & _SPENT:
        return Passing(f"{url} cannot answer now ({said}); try again later", _after(headers))
    tools = ", and that the model can call tools" if "tools" in sent else ""
    return EngineFault(f"{url} does not take the question ({said}); check llm.base_url and [llm]{tools}")


def _too_long(url: str, answer: dict[str, Any], said: str) -> ContextExceeded | None:
    """The error for a conversation that does not fit the model's context, where `answer` means that."""
    error = _dict(answer.get("error"))
    if not {str(error.get("code")), str(error.get("type"))} & _TOO_LONG and not _SAID_TOO_LONG.search(said):
        return None
    tokens, context = error.get("n_prompt_tokens"), error.get("n_ctx")  # llama.cpp's
    return ContextExceeded(
        f"the conversation is too long for the model at {url} ({said}); lower llm.context or llm.max_tokens",
        tokens if isinstance(tokens, int) else None,
        context if isinstance(context, int) else None,
    )


def _mentioned(said: str, fields: Collection[str]) -> str:
    """A field that not every server knows; some name it only in their words."""
    return next((name for name in (TEMPLATE, EFFORT) if name in fields and name in said), "")


def no_chat(url: str, what: str) -> str:
    """The error for an answer that no OpenAI-compatible server gives."""
    return f"{url} answers with {what}, not as an OpenAI-compatible server does; check llm.base_url"


def _object(url: str, data: str) -> dict[str, Any]:
    answer = _loads(data)
    if not answer:
        raise EngineFault(no_chat(url, _plain(data)))
    return answer


def _loads(data: str) -> dict[str, Any]:
    try:
        return _dict(json.loads(data))
    except (ValueError, RecursionError):
        return {}


def _dict(value: Any) -> dict[str, Any]:
    return cast(dict[str, Any], value) if isinstance(value, dict) else {}


def _first_choice(answer: dict[str, Any]) -> dict[str, Any]:
    choices: Any = answer.get("choices")
    return _dict(choices[0]) if isinstance(choices, list) and choices else {}


def _message(answer: dict[str, Any]) -> str:
    """The server's own words, in the places where one or the other server puts them."""
    error: Any = answer.get("error")
    text: Any = _dict(error).get("message") or error or answer.get("message") or answer.get("detail") or ""
    return _short(text if isinstance(text, str) else json.dumps(text))


def _named_field(answer: dict[str, Any]) -> str:
    """The field of the request that an error is about: OpenAI's `param`, or FastAPI's `loc`."""
    detail: Any = answer.get("detail")
    if isinstance(detail, list) and detail:
        place: Any = _dict(detail[0]).get("loc") or [""]
        return str(place[-1])
    return str(_dict(answer.get("error")).get("param") or "")


def _plain(body: str) -> str:
    if re.match(r"\s*<(!doctype|html|\?xml)", body, re.IGNORECASE):
        return "a web page"
    return repr(_short(body)) if body.strip() else "nothing"


def _short(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= 160 else line[:157] + "..."


def _after(headers: Mapping[str, str]) -> float | None:
    """Seconds that Retry-After asks to wait, given as seconds or as a date; None without it."""
    value = headers.get("retry-after", "")
    if re.fullmatch(r"\d+(\.\d+)?", value):
        return float(value)
    try:
        return max(0.0, email.utils.parsedate_to_datetime(value).timestamp() - time.time())
    except ValueError:
        return None
