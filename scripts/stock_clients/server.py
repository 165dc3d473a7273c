"""The server that the clients talk with: scripted engines, so that what is judged is the protocol."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import anyio

from agent import testing
from agent.config import load
from agent.messages import Message, ToolCall, ToolSchema
from agent.protocols import Delta, Engines, TokenProbability
from agent.server.pool import Pool
from agent.server.run import run_server
from audio.frame import Frame
from audio.stt import Token, Transcript

SETTINGS = (
    *("stt.interim=0", "turns.meaning=off", "echo.cancel=false"),
    *("server.port=0", "server.load=1", "server.wyoming=tcp://127.0.0.1:0"),
)


@dataclass
class Model:
    """Writes the answer; JSON where it must fit a schema, and calls a tool once where there is one."""

    tools: Sequence[ToolSchema] = ()
    schema: Mapping[str, Any] | None = None
    tells: bool = False
    """Whether it tells how probable its tokens were."""

    def slots(self) -> list[Model]:
        """Four of it."""
        return [Model() for _ in range(4)]

    def with_tools(self, tools: Sequence[ToolSchema], *, required: bool = False) -> Model:
        """The same, told of these tools."""
        return replace(self, tools=tools)

    def with_schema(self, schema: Mapping[str, Any]) -> Model:
        """The same, whose answer fits."""
        return replace(self, schema=schema)

    def with_probabilities(self, count: int) -> Model:
        """The same, sure of all that it writes."""
        return replace(self, tells=True)

    def with_sampling(self, **how: Any) -> Model:
        """The same: it is not sampled."""
        return self

    def prefill(self, messages: Sequence[Message]) -> None:
        """Nothing is read ahead."""

    def stream(self, messages: Sequence[Message]) -> Iterator[str | Delta]:
        """The answer, a word at a time."""
        if self.tools and messages[-1].role != "tool":
            tool = self.tools[0]
            yield Delta(call=ToolCall("", tool.name, json.dumps(_fitting(tool.parameters))))
            return
        text = "It is ten o'clock, I think." if self.schema is None else json.dumps(_fitting(self.schema))
        for token in re.findall(r"\S+\s*", text):
            data = token.encode()
            sure = (TokenProbability(data, 0.0, ((data, 0.0),)),) if self.tells else ()
            yield Delta(token, probabilities=sure)


class Ears(testing.ScriptedSTT):
    """Hears what is written for it, whatever it is told to expect, and is sure of it."""

    languages = ("en",)

    def expecting(self, language: str = "", context: str = "") -> Ears:
        """The same."""
        return self

    def scoring(self) -> Ears:
        """The same."""
        return self

    def transcribe(self, audio: Frame, *, final: bool = True) -> Transcript:
        """The words, each of which is a token."""
        said = super().transcribe(audio, final=final)
        return replace(
            said, tokens=tuple(Token(word.encode(), 0.0) for word in re.findall(r" ?\S+", said.text))
        )


ANYBODY = {"name": {"type": "string"}, "age": {"type": "integer"}}
"""What an object without a schema holds."""


def _fitting(schema: Mapping[str, Any]) -> dict[str, Any]:
    kinds = {"string": "Ada", "integer": 36, "number": 1.5, "boolean": True, "array": []}
    fields: Mapping[str, Any] = schema.get("properties", ANYBODY)
    return {name: kinds.get(str(each.get("type")), "Ada") for name, each in fields.items()}


def main(words: Sequence[str]) -> None:
    """Serve until the process is ended; the addresses are the first line. words: settings, `--tls` files."""
    at = words.index("--tls") if "--tls" in words else len(words)
    certificate, key = map(Path, words[at + 1 :] or ("", ""))
    model: Any = Model()
    stt, tts = Ears(["What is the time?"]), testing.ScriptedTTS(language="en")
    engines = Engines(stt, model, tts, vad=testing.LoudnessDetector)
    pool = Pool(load(None, [*SETTINGS, *words[:at]]), [engines])
    tls = (certificate, key) if at < len(words) else (None, None)
    anyio.run(run_server, pool, None, *tls, lambda at: print(*at, flush=True), backend="asyncio")


if __name__ == "__main__":
    main(sys.argv[1:])
