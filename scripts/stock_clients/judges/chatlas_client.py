"""chatlas, by chat completions and by responses."""

from __future__ import annotations

import os
from typing import Any

from samples import AT, Person, weather
from trial import KEY, trial

os.environ["OPENAI_API_KEY"] = KEY


def chatlas() -> None:
    """Text, streamed and not, with a tool, with an answer of a type."""
    from chatlas import ChatOpenAI, ChatOpenAICompletions

    def judged(kind: Any) -> None:
        def ask(*tools: Any, **more: Any) -> str:
            chat = kind(model="gpt-4o", **AT)
            for each in tools:
                chat.register_tool(each)
            return str(chat.chat("Hi", echo="none", **more))

        trial("chatlas", kind.__name__, ask)
        trial("chatlas", f"{kind.__name__} without stream", lambda: ask(stream=False))
        trial("chatlas", f"{kind.__name__} tool", lambda: ask(weather))
        wish = f"{kind.__name__} structured"
        trial("chatlas", wish, lambda: kind(model="gpt-4o", **AT).chat_structured("Ada", data_model=Person))

    for kind in (ChatOpenAI, ChatOpenAICompletions):
        judged(kind)


chatlas()
