"""Frameworks for agents that others wrote: Haystack, smolagents, DSPy, LlamaIndex, AutoGen."""

from __future__ import annotations

import os
from typing import Any

from trial import BASE, KEY, trial

os.environ["OPENAI_API_KEY"] = KEY
os.environ["OPENAI_BASE_URL"] = BASE


def weather(city: str) -> str:
    """How the weather is.

    Args:
        city: Where.
    """
    return f"Rain in {city}."


def haystack() -> None:
    """Chat, streamed, and with a tool."""
    from haystack.components.generators.chat import OpenAIChatGenerator
    from haystack.dataclasses import ChatMessage
    from haystack.tools import create_tool_from_function
    from haystack.utils import Secret

    at: Any = {"api_key": Secret.from_token(KEY), "api_base_url": BASE}
    asked = [ChatMessage.from_user("Hi")]
    pieces: list[Any] = []
    tool = create_tool_from_function(weather)
    plain, able = OpenAIChatGenerator(**at), OpenAIChatGenerator(**at, tools=[tool])
    streamed = OpenAIChatGenerator(**at, streaming_callback=pieces.append)
    trial("haystack-ai", "OpenAIChatGenerator", lambda: plain.run(asked)["replies"][0].text)
    trial("haystack-ai", "streamed", lambda: streamed.run(asked) and len(pieces) > 3)
    trial("haystack-ai", "a tool", lambda: able.run(asked)["replies"][0].tool_calls)


def smolagents() -> None:
    """A model, streamed, and told of a tool."""
    from smolagents import OpenAIServerModel, tool

    model: Any = OpenAIServerModel("gpt-4o", api_base=BASE, api_key=KEY)
    asked = [{"role": "user", "content": [{"type": "text", "text": "Hi"}]}]
    trial("smolagents", "OpenAIServerModel", lambda: model.generate(asked).content)
    trial(
        "smolagents", "stream", lambda: "".join(each.content or "" for each in model.generate_stream(asked))
    )
    trial(
        "smolagents", "a tool", lambda: model.generate(asked, tools_to_call_from=[tool(weather)]).tool_calls
    )


def dspy() -> None:
    """A language model, and a signature."""
    import dspy as declared

    model = declared.LM("openai/gpt-4o", api_base=BASE, api_key=KEY, cache=False)
    trial("dspy", "LM", lambda: model("Hi")[0])

    def predicted() -> Any:
        with declared.context(lm=model, adapter=declared.JSONAdapter()):
            return declared.Predict("question -> name, age: int")(question="Who is Ada?").age

    trial("dspy", "Predict by JSON", predicted)
    probable = declared.LM("openai/gpt-4o", api_base=BASE, api_key=KEY, cache=False, logprobs=True)
    trial("dspy", "LM with logprobs", lambda: probable("Hi")[0])


def llama_index() -> None:
    """Completion, chat, streamed, a tool."""
    from llama_index.core.llms import ChatMessage
    from llama_index.core.tools import FunctionTool
    from llama_index.llms.openai_like import OpenAILike

    model: Any = OpenAILike(
        "gpt-4o", api_base=BASE, api_key=KEY, is_chat_model=True, is_function_calling_model=True
    )
    asked = [ChatMessage("Hi")]
    trial("llama-index", "chat", lambda: model.chat(asked).message.content)
    trial("llama-index", "complete", lambda: model.complete("Hi").text)
    trial("llama-index", "stream", lambda: "".join(each.delta or "" for each in model.stream_chat(asked)))
    tool = FunctionTool.from_defaults(weather)
    trial(
        "llama-index",
        "a tool",
        lambda: model.chat_with_tools([tool], "Ely?").message.additional_kwargs["tool_calls"],
    )


def autogen() -> None:
    """An assistant, and one with a tool."""
    from autogen_agentchat.agents import AssistantAgent
    from autogen_ext.models.openai import OpenAIChatCompletionClient

    async def asked(*tools: Any) -> Any:
        client = OpenAIChatCompletionClient(model="gpt-4o", base_url=BASE, api_key=KEY)
        agent = AssistantAgent("a", client, tools=[*tools], model_client_stream=not tools)
        found = await agent.run(task="Hi")
        await client.close()
        return found.messages[-1].to_text()

    trial("autogen", "AssistantAgent, streamed", asked)
    trial("autogen", "AssistantAgent with a tool", lambda: asked(weather))


for judge in (haystack, smolagents, dspy, llama_index, autogen):
    try:
        judge()
    except Exception as error:
        trial(judge.__name__, "importing it", lambda error=error: (_ for _ in ()).throw(error))
