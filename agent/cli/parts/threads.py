"""How many threads the engines take, and how many cores there are for them. Prints nothing."""

from __future__ import annotations

import os
from typing import Any

from agent.settings import Config
from audio.stt.whisper import physical_cores


def cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def busy() -> float:
    """Processes that ran or waited for a core, the mean of the last minute; 0 where it is not known."""
    return os.getloadavg()[0] if hasattr(os, "getloadavg") else 0.0


def threads(config: Config) -> dict[str, int]:
    """How many threads each part takes while it computes, by its title; a server elsewhere takes none."""
    every = os.cpu_count() or 1
    usual = {"llm": every, "stt": max(1, physical_cores() // 2), "tts": every}
    titles = {"llm": "language model", "stt": "speech-to-text", "tts": "voice"}
    found: dict[str, int] = {}
    for kind, title in titles.items():
        section: Any = getattr(config, kind)
        if (kind, section.engine) != ("llm", "openai"):
            found[title] = section.threads or usual[kind]
    return found


def crowded(config: Config, load: float) -> str:
    """What to type where the language model's threads do not find a core each; empty where they do.

    They wait for each other at every step, so one that has to wait for a core holds up all: on two cores,
    beside one busy process, the default model's answer was measured at 11.5 s, and with one thread at 0.5 s.
    """
    taken = threads(config).get("language model", 0)
    free = max(1, cores() - round(load))
    return (
        f"the language model's threads wait for each other: --set llm.threads={free}" if taken > free else ""
    )
