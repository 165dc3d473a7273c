"""Clients over HTTP: LangChain, LiteLLM, Instructor, Pydantic AI, llm."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from trial import BASE, KEY, trial, wav

ASKED: list[Any] = [{"role": "user", "content": "Hi"}]
os.environ["OPENAI_API_KEY"] = KEY


def langchain() -> None:
    """Chat, the Responses API, a tool, a structured answer."""
    from langchain_openai import ChatOpenAI
    from pydantic import BaseModel

    class Person(BaseModel):
        """Somebody."""

        name: str
        age: int

    def weather(city: str) -> str:
        """How the weather is."""
        return city

    chat: Any = ChatOpenAI(base_url=BASE, api_key=KEY, model="gpt-4o-mini")
    newer: Any = ChatOpenAI(base_url=BASE, api_key=KEY, model="gpt-4o-mini", use_responses_api=True)
    trial("langchain-openai", "invoke", lambda: chat.invoke("Hi").content)
    trial("langchain-openai", "stream", lambda: "".join(part.content for part in chat.stream("Hi")))
    trial("langchain-openai", "responses", lambda: newer.invoke("Hi").content)
    trial("langchain-openai", "responses stream", lambda: list(newer.stream("Hi")))
    trial("langchain-openai", "tools", lambda: chat.bind_tools([weather]).invoke("Ely?").tool_calls)
    trial("langchain-openai", "structured", lambda: chat.with_structured_output(Person).invoke("Ada").name)


def litellm() -> None:
    """Completion, transcription, speech, responses."""
    import litellm as lite

    lite.telemetry = False
    at: dict[str, Any] = {"api_base": BASE, "api_key": KEY}
    model = "openai/gpt-4o"
    trial(
        "litellm",
        "completion",
        lambda: lite.completion(model=model, messages=ASKED, **at).choices[0].message.content,
    )
    trial("litellm", "stream", lambda: list(lite.completion(model=model, messages=ASKED, stream=True, **at)))
    sound = ("a.wav", wav())
    trial(
        "litellm",
        "transcription",
        lambda: lite.transcription(model="openai/whisper-1", file=sound, **at).text,
    )
    trial(
        "litellm",
        "speech",
        lambda: lite.speech(model="openai/tts-1", voice="alloy", input="Hi", **at).content,
    )
    trial("litellm", "responses", lambda: lite.responses(model=model, input="Hi", **at).output)


def instructor() -> None:
    """A structured answer, by tools and by JSON."""
    import instructor as structured
    from openai import OpenAI
    from pydantic import BaseModel

    class Person(BaseModel):
        """Somebody."""

        name: str
        age: int

    for mode in (structured.Mode.TOOLS, structured.Mode.JSON_SCHEMA, structured.Mode.JSON):
        client = structured.from_openai(OpenAI(base_url=BASE, api_key=KEY, max_retries=0), mode=mode)
        trial(
            "instructor",
            mode.value,
            lambda client=client: (
                client.chat.completions.create(
                    model="gpt-4o", response_model=Person, messages=ASKED, max_retries=0
                ).name
            ),
        )


def pydantic_ai() -> None:
    """An agent, streamed, with a tool, and with an answer of a type."""
    from pydantic import BaseModel
    from pydantic_ai import Agent
    from pydantic_ai.models.openai import OpenAIChatModel, OpenAIResponsesModel
    from pydantic_ai.providers.openai import OpenAIProvider

    class Person(BaseModel):
        """Somebody."""

        name: str
        age: int

    provider = OpenAIProvider(base_url=BASE, api_key=KEY)
    chat: Any = OpenAIChatModel("gpt-4o", provider=provider)
    newer: Any = OpenAIResponsesModel("gpt-4o", provider=provider)
    able: Any = Agent(chat)

    @able.tool_plain
    def weather(city: str) -> str:
        """How the weather is."""
        return f"Rain in {city}."

    async def streamed() -> str:
        async with Agent(chat).run_stream("Hi") as stream:
            return "".join([part async for part in stream.stream_text(delta=True)])

    trial("pydantic-ai", "chat", lambda: Agent(chat).run_sync("Hi").output)
    trial("pydantic-ai", "stream", streamed)
    trial("pydantic-ai", "tool", lambda: able.run_sync("Ely?").output)
    trial("pydantic-ai", "structured", lambda: Agent(chat, output_type=Person).run_sync("Ada").output.name)
    trial("pydantic-ai", "responses", lambda: Agent(newer).run_sync("Hi").output)


def command_line() -> None:
    """`llm`, with a model of its file of further models."""
    folder = Path(tempfile.mkdtemp())
    lines = ["- model_id: here", "  model_name: gpt-4o", f"  api_base: {BASE}", ""]
    (folder / "extra-openai-models.yaml").write_text("\n".join(lines))
    env = {**os.environ, "LLM_USER_PATH": str(folder)}

    def ask(*words: str) -> str:
        command = [str(Path(sys.executable).parent / "llm"), "-m", "here", *words, "Hi"]
        done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=60)
        if done.returncode:
            raise RuntimeError(done.stderr.strip().splitlines()[-1])
        return done.stdout

    trial("llm", "prompt", ask)
    trial("llm", "without stream", lambda: ask("--no-stream"))


for judge in (langchain, litellm, instructor, pydantic_ai, command_line):
    judge()
