"""Frameworks that nobody had tried: griptape, magentic, mirascope, agent-framework; and SpeechRecognition."""

from __future__ import annotations

import io
import os
from collections.abc import Callable
from typing import Any

from samples import AT, Person, weather
from trial import BASE, KEY, trial, wav

os.environ["OPENAI_API_KEY"], os.environ["OPENAI_BASE_URL"] = KEY, BASE


def griptape() -> None:
    """An agent, streamed, with a tool, with an answer of a type; speech and transcription."""
    from griptape.artifacts import AudioArtifact
    from griptape.drivers.audio_transcription.openai import OpenAiAudioTranscriptionDriver
    from griptape.drivers.prompt.openai import OpenAiChatPromptDriver
    from griptape.drivers.text_to_speech.openai import OpenAiTextToSpeechDriver
    from griptape.structures import Agent
    from griptape.tools import CalculatorTool
    from griptape.utils import Stream

    def agent(stream: bool = False, **more: Any) -> Any:
        return Agent(prompt_driver=OpenAiChatPromptDriver(model="gpt-4o", stream=stream, **AT), **more)

    trial("griptape", "agent", lambda: agent().run("Hi").output.value)
    trial("griptape", "stream", lambda: list(Stream(agent(stream=True)).run("Hi")))
    trial("griptape", "tool", lambda: agent(tools=[CalculatorTool()]).run("1+1").output.value)
    trial("griptape", "structured", lambda: agent(output_schema=Person).run("Ada").output.value)
    speak: Any = OpenAiTextToSpeechDriver(**AT)
    trial("griptape", "speech", lambda: speak.try_text_to_audio(["Hi there."]).value)
    hear: Any = OpenAiAudioTranscriptionDriver(model="whisper-1", **AT)
    trial("griptape", "transcription", lambda: hear.run(AudioArtifact(wav(), format="wav")).value)


def magentic() -> None:
    """Functions that a model answers: text, streamed, of a type, by a call."""
    from magentic import FunctionCall, OpenaiChatModel, StreamedStr, prompt

    model: Any = OpenaiChatModel("gpt-4o", **AT)

    def asked(kind: Any, **more: Any) -> Callable[[], Any]:
        def answer() -> Any: ...

        answer.__annotations__["return"] = kind
        return prompt("Say hi", model=model, **more)(answer)

    trial("magentic", "str", asked(str))
    trial("magentic", "stream", lambda: "".join(asked(StreamedStr)()))
    trial("magentic", "structured", asked(Person))
    trial("magentic", "function", lambda: asked(FunctionCall[str], functions=[weather])()())


def mirascope() -> None:
    """By chat completions and by responses: text, streamed, of a type, by a call that is answered."""
    from mirascope import llm

    llm.register_provider("openai", scope="openai/", **AT)
    tool: Any = llm.tool(weather)
    for name in ("openai/gpt-4o:completions", "openai/gpt-4o:responses"):

        def asked(**more: Any) -> Any:
            return llm.call(name, **more)(lambda: "Hi")  # noqa: B023

        def answered() -> str:
            told = asked(tools=[tool])()
            return told.resume(told.execute_tools()).text()

        trial("mirascope", name, lambda: asked()().text())
        trial("mirascope", f"{name} stream", lambda: list(asked().stream().text_stream()))
        trial("mirascope", f"{name} structured", lambda: asked(format=Person)().parse())
        trial("mirascope", f"{name} tool", answered)


def agent_framework() -> None:
    """By chat completions and by responses: text, streamed, with a tool, with an answer of a type."""
    from agent_framework import Agent
    from agent_framework.openai import OpenAIChatClient, OpenAIChatCompletionClient

    def judged(client: Any, name: str) -> None:
        async def ask(**more: Any) -> str:
            return (await Agent(client=client, **more).run("Hi")).text

        async def stream() -> list[Any]:
            return [part async for part in Agent(client=client).run("Hi", stream=True)]

        async def of_a_type() -> Any:
            return (await Agent(client=client).run("Ada", options={"response_format": Person})).value

        trial("agent-framework-openai", name, ask)
        trial("agent-framework-openai", f"{name} stream", stream)
        trial("agent-framework-openai", f"{name} tool", lambda: ask(tools=[weather]))
        trial("agent-framework-openai", f"{name} structured", of_a_type)

    for kind in (OpenAIChatClient, OpenAIChatCompletionClient):
        judged(kind(model="gpt-4o", **AT), kind.__name__)


def recogniser() -> None:
    """`SpeechRecognition`, which sends what it has recorded."""
    import speech_recognition

    ear: Any = speech_recognition.Recognizer()
    with speech_recognition.AudioFile(io.BytesIO(wav())) as file:
        sound = ear.record(file)
    trial("SpeechRecognition", "whisper-1", lambda: ear.recognize_openai(sound))
    wish = {"model": "gpt-4o-mini-transcribe", "language": "en", "prompt": "Ely."}
    trial("SpeechRecognition", "with a prompt", lambda: ear.recognize_openai(sound, **wish))


for judge in (griptape, magentic, mirascope, agent_framework, recogniser):
    judge()
