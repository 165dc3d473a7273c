"""The engines that are put through the suites, one line each. Knows only their settings."""

from __future__ import annotations

import gc
import inspect
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import pytest

from agent.config import load
from agent.engines import registry as engines
from agent.weights import catalogue as models
from helpers_server import llama_server

LLMS: dict[str, list[str]] = {
    "llamacpp": ["llm.model=smollm2"],
    "openai": ["llm.model=any", "llm.base_url={server}"],
    "transformers": ["llm.model=smollm2"],
}
"""Name of the engine, and the settings that give it real weights. {server}: llama.cpp's, elsewhere.
{converted}: those of Whisper tiny.en, in transformers' format."""

TTS: dict[str, list[str]] = {
    "hibari": [],
    "piper": [],
    "coqui": [],
    "kokoro": [],
}

STTS: dict[str, list[str]] = {
    "whisper tiny.en": [],
    "whisper base": ["stt.model=whisper-base"],
    "moonshine": [],
    "whisper-torch tiny.en": ["stt.model={converted}"],
}

WITHOUT_WEIGHTS = {"openai", "hibari"}
"""Engines that take none: their weights lie on a server or in their package."""


@dataclass(frozen=True)
class Candidate:
    """An engine under test. make: a new one, with `section.key=value` settings over the table's."""

    kind: engines.Kind
    name: str
    settings: tuple[str, ...]

    def make(self, *settings: str) -> Any:
        chosen = [f"{self.kind}.engine={self.name.split()[0]}", *self.settings, *settings]
        return engines.load_one(self.kind, load(None, chosen))

    @property
    def has_weights(self) -> bool:
        return self.name not in WITHOUT_WEIGHTS

    def takes(self, setting: str) -> bool:
        """Whether the engine's class takes that setting of its section."""
        return setting in inspect.signature(engines.find(self.kind, self.name.split()[0])).parameters

    @property
    def wrong(self) -> str:
        """The setting that names a voice or weights, with one that does not exist."""
        return f"{self.kind}.{'model' if self.has_weights else 'voice'}=nobody-at-all"


@pytest.fixture(scope="session")
def server_url() -> Iterator[str]:
    with llama_server(models.resolve("smollm2")) as server:
        yield server.url


@pytest.fixture(scope="session")
def converted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from ct2_to_torch import convert

    folder = tmp_path_factory.mktemp("whisper-tiny.en")
    convert(models.resolve("whisper-tiny.en"), folder)
    return folder


def _candidate(kind: engines.Kind, name: str, table: dict[str, list[str]], request: Any) -> Candidate:
    lines = table[name]
    if any("{server}" in line for line in lines):
        url = request.getfixturevalue("server_url")
        lines = [line.replace("{server}", url) for line in lines]
    if any("{converted}" in line for line in lines):
        folder = request.getfixturevalue("converted")
        lines = [line.replace("{converted}", str(folder)) for line in lines]
    return Candidate(kind, name, tuple(lines))


@pytest.fixture(scope="module", params=LLMS)
def llm(request: pytest.FixtureRequest) -> Candidate:
    return _candidate("llm", request.param, LLMS, request)


@pytest.fixture(scope="module", params=TTS)
def tts(request: pytest.FixtureRequest) -> Candidate:
    return _candidate("tts", request.param, TTS, request)


@pytest.fixture(scope="module", params=STTS)
def stt(request: pytest.FixtureRequest) -> Candidate:
    return _candidate("stt", request.param, STTS, request)


@dataclass(frozen=True)
class Holdings:
    """What this process holds: open files and sockets, and threads."""

    files: int
    threads: int


@pytest.fixture
def holdings() -> Callable[[], Holdings]:
    """Counts what is held right now, after what nobody refers to is gone."""

    def count() -> Holdings:
        gc.collect()
        process = psutil.Process()
        return Holdings(process.num_fds(), process.num_threads())

    return count


@pytest.fixture
def work() -> Callable[[], float]:
    """Waits for half a second and gives the processor time (s) that this process used in it."""

    def measure() -> float:
        time.sleep(0.1)  # threads that wait for work may spin for some milliseconds before they sleep
        began = time.process_time()
        time.sleep(0.5)
        return time.process_time() - began

    return measure


@pytest.fixture
def text_file(tmp_path: Path) -> Path:
    """A file that is no weights."""
    path = tmp_path / "notes.txt"
    path.write_text("These are no weights.\n" * 100)
    return path
