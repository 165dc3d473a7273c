"""What there is here, as `info` tells it to whoever asks. Knows no connection."""

from __future__ import annotations

from typing import Any

import agent
from agent.languages import folders
from agent.server.pool import Pool
from agent.server.wyoming.library import domain

NAME = "backchat"


def info(pool: Pool) -> Any:
    """The services and their models, each the one that is loaded."""
    types, config = domain("info"), pool.config
    attribution = types.Attribution(NAME, "")

    def artifact(kind: Any, name: str, description: str, **more: Any) -> Any:
        about = {"attribution": attribution, "installed": True, "version": agent.__version__}
        return kind(name=name, description=description, **about, **more)

    heard = heard_languages(pool)
    return types.Info(
        asr=[
            artifact(
                types.AsrProgram,
                NAME,
                "backchat's transcriber",
                models=[artifact(types.AsrModel, pool.names["stt"], config.stt.engine, languages=heard)],
                supports_transcript_streaming=True,
            )
        ],
        tts=[
            artifact(
                types.TtsProgram,
                NAME,
                "backchat's voice",
                voices=[
                    artifact(types.TtsVoice, name, config.tts.engine, languages=[spoken])
                    for name, spoken in pool.voices.items()
                ],
                supports_synthesize_streaming=True,
            )
        ],
        handle=[
            artifact(
                types.HandleProgram,
                NAME,
                "a conversation with backchat",
                models=[artifact(types.HandleModel, pool.names["llm"], config.llm.engine, languages=heard)],
                supports_handled_streaming=True,
                supports_home_control=bool(config.tools.mcp),
            )
        ],
        wake=[
            artifact(
                types.WakeProgram,
                NAME,
                "backchat's wake word",
                models=[
                    artifact(types.WakeModel, name, config.wake.engine, languages=[], phrase=word.phrase)
                    for name, word in known.items()
                ],
            )
        ]
        if (known := pool.wake_words())
        else [],
    )


def heard_languages(pool: Pool) -> list[str]:
    """The languages that users may speak."""
    language = pool.config.stt.language
    return sorted(folders()) if language == "auto" else [language]
