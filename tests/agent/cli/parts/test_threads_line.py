"""What doctor says of threads: as many as the settings ask for, and what to type on a busy machine."""

from __future__ import annotations

import os

import pytest

from agent.cli.parts import threads
from agent.config import load
from agent.llm import llamacpp


@pytest.mark.parametrize(
    ("setting", "load_average", "cure"),
    [
        ("llm.threads=0", 9.0, ""),
        ("llm.threads=2", 0.1, ""),
        ("llm.threads=2", 1.0, "--set llm.threads=1"),
        ("llm.threads=1", 1.0, ""),
        ("llm.threads=2", 9.0, "--set llm.threads=1"),
        ("llm.engine=transformers", 9.0, "--set llm.threads=1"),
        ("llm.engine=openai", 9.0, ""),
    ],
)
def test_on_a_busy_machine_it_says_what_to_type(monkeypatch, setting: str, load_average: float, cure: str):
    monkeypatch.setattr(threads, "usable_cores", lambda: 2)
    monkeypatch.setattr(os, "cpu_count", lambda: 2)
    config = load(None, [setting])
    assert threads.crowded(config, load_average).endswith(cure)
    assert bool(threads.crowded(config, load_average)) == bool(cure)


def test_threads_are_those_that_the_settings_ask_for(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(os, "cpu_count", lambda: 8)
    monkeypatch.setattr(threads, "physical_cores", lambda: 4)
    monkeypatch.setattr(llamacpp, "physical_cores", lambda: 4)
    usual = {"language model": 1, "the same as it reads": 4, "speech-to-text": 2, "voice": 1}
    assert threads.threads(load(None, [])) == usual
    given = load(None, ["llm.threads=3", "llm.prompt_threads=2", "stt.threads=1", "tts.threads=2"])
    assert list(threads.threads(given).values()) == [3, 2, 1, 2]
    torch = load(None, ["llm.engine=transformers", "tts.engine=piper", "stt.engine=moonshine"])
    assert threads.threads(torch) == {"language model": 8, "speech-to-text": 1, "voice": 8}
    assert threads.threads(load(None, ["llm.engine=openai"])).keys() == {"speech-to-text", "voice"}
