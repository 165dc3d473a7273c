"""How many threads the engines take, and how many cores there are for them. Prints nothing."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from agent.llm.llamacpp import threads_for
from agent.settings import Config
from audio.cores import physical_cores, usable_cores

CHOOSES = ("llamacpp", "llamavision")
"""Language models that take as many threads as pay where the settings leave it to them."""
ONE = ("hibari", "moonshine")
"""Engines that take one thread where the settings leave it to them."""


def busy() -> float:
    """Processes that ran or waited for a core, the mean of the last minute; 0 where it is not known."""
    return os.getloadavg()[0] if hasattr(os, "getloadavg") else 0.0


def threads(config: Config, weights: Path | None = None) -> dict[str, int]:
    """How many threads each part takes while it computes, by its title; a server elsewhere takes none.

    weights: of the language model, where they are one file and here.
    """
    every = os.cpu_count() or 1
    found: dict[str, int] = {}
    if config.llm.engine in CHOOSES:
        counts = threads_for(weights, config.llm.threads, config.llm.prompt_threads)
        found |= zip(("language model", "the same as it reads"), counts, strict=True)
    elif config.llm.engine != "openai":
        found["language model"] = config.llm.threads or every
    usual = {"whisper": max(1, physical_cores() // 2)} | dict.fromkeys(ONE, 1)
    titles = {"stt": "speech-to-text", "tts": "voice"}
    for kind, title in titles.items():
        section: Any = getattr(config, kind)
        found[title] = section.threads or usual.get(section.engine, every)
    return found


def crowded(config: Config, load: float) -> str:
    """What to type where the language model's threads do not find a core each; empty where they do.

    They wait for each other at every step, so one that has to wait for a core holds up all. Where their
    number is left to llama.cpp, they are no more than pay on a busy machine too.
    """
    if not config.llm.threads and config.llm.engine in CHOOSES:
        return ""
    taken = threads(config).get("language model", 0)
    free = max(1, usable_cores() - round(load))
    return (
        f"the language model's threads wait for each other: --set llm.threads={free}" if taken > free else ""
    )
