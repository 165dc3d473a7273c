"""More frameworks for agents: agno and Strands, by chat completions and by responses."""

from __future__ import annotations

import os
from typing import Any

from samples import AT, Person, weather
from trial import KEY, trial

os.environ["OPENAI_API_KEY"] = KEY


def agno() -> None:
    """Text, streamed, with a tool, with an answer of a type, twice in one session."""
    from agno.agent import Agent
    from agno.db.in_memory import InMemoryDb
    from agno.models.openai import OpenAIChat, OpenAIResponses

    def judged(kind: Any) -> None:
        def ask(text: str = "Hi", times: int = 1, **more: Any) -> Any:
            agent: Any = Agent(model=kind(id="gpt-4o", **AT), telemetry=False, **more)
            told = [agent.run(text) for _ in range(times)][-1]
            if "error" in str(told.status).lower():
                raise RuntimeError(str(told.content))
            return told.content

        def stream() -> list[str]:
            return [str(part) for part in Agent(model=kind(id="gpt-4o", **AT)).run("Hi", stream=True)]

        twice: dict[str, Any] = {"db": InMemoryDb(), "add_history_to_context": True, "session_id": "s"}
        trial("agno", kind.__name__, ask)
        trial("agno", f"{kind.__name__} stream", stream)
        trial("agno", f"{kind.__name__} tool", lambda: ask(tools=[weather]))
        trial("agno", f"{kind.__name__} structured", lambda: ask("Ada", output_schema=Person))
        trial("agno", f"{kind.__name__} twice", lambda: ask(times=2, **twice))

    for kind in (OpenAIChat, OpenAIResponses):
        judged(kind)


def strands() -> None:
    """Text, with a tool, with an answer of a type."""
    from strands import Agent, tool
    from strands.models.openai import OpenAIModel
    from strands.models.openai_responses import OpenAIResponsesModel

    def judged(kind: Any) -> None:
        def agent(**more: Any) -> Any:
            model = kind(client_args=AT, model_id="gpt-4o")
            return Agent(model=model, callback_handler=None, **more)

        trial("strands-agents", kind.__name__, lambda: str(agent()("Hi")))
        trial("strands-agents", f"{kind.__name__} tool", lambda: str(agent(tools=[tool(weather)])("Ely")))
        wish = f"{kind.__name__} structured"
        trial("strands-agents", wish, lambda: agent().structured_output(Person, "Ada"))

    for kind in (OpenAIModel, OpenAIResponsesModel):
        judged(kind)


for judge in (agno, strands):
    judge()
