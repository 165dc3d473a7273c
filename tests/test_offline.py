"""With BACKCHAT_OFFLINE no engine and no voice goes to the network, and one pull is enough for that."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from agent.cli.commands import backchat
from agent.config import load
from agent.engines.registry import BUILT_IN, needed
from agent.settings import Config
from agent.weights.catalogue import cache_dir, catalogue, resolve
from audio.tts.hibari import Hibari

ROOT = Path(__file__).parents[1]

EVERY_ENGINE = """
import json, sys
from agent.config import load
from agent.engines.registry import load_one
from agent.errors import BackchatError

asked = []
def watch(event, arguments):
    if event in ("socket.getaddrinfo", "socket.connect") and "127.0.0.1" not in str(arguments):
        asked.append(str(arguments))  # whom a socket or a name look-up would have reached
sys.addaudithook(watch)

came_of_it = {}
for case in json.loads(sys.argv[1]):
    kind, *pairs = case
    try:
        load_one(kind, load(None, pairs))
        came = "loaded"
    except BackchatError as error:
        came = str(error)
    came_of_it[" ".join(pairs)] = [came, asked[:]]
    asked.clear()
print(json.dumps(came_of_it))
"""


def cases() -> list[list[str]]:
    """Every engine with its own weights, every voice of hibari, and names that only a hub or Coqui knows."""
    own = [
        [kind, f"{kind}.engine={name}"] for kind in ("stt", "llm", "tts", "vision") for name in BUILT_IN[kind]
    ]
    voices = [["tts", "tts.engine=hibari", f"tts.voice={voice}"] for voice in Hibari.voices]
    named = [
        ["llm", "llm.engine=transformers", "llm.model=someone/something"],
        ["llm", "llm.engine=vlm", "llm.model=someone/something"],
        ["stt", "stt.engine=whisper-torch", "stt.model=openai/whisper-tiny"],
        ["tts", "tts.engine=coqui", "tts.model=tts_models/en/ljspeech/vits"],
        ["tts", "tts.engine=mms", "tts.model=facebook/mms-tts-deu"],
    ]
    return [*own, *voices, *named]


@pytest.mark.model
def test_no_engine_and_no_voice_opens_a_connection(tmp_path: Path):
    homes = dict.fromkeys(
        ("BACKCHAT_CACHE", "HF_HOME", "HIBARI_HOME", "TTS_HOME", "XDG_DATA_HOME"), str(tmp_path)
    )
    done = subprocess.run(
        [sys.executable, "-c", EVERY_ENGINE, json.dumps(cases())],
        env=os.environ | homes | {"BACKCHAT_OFFLINE": "1", "PYTHONPATH": str(ROOT)},
        cwd=tmp_path,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    came_of_it = json.loads(done.stdout.splitlines()[-1])
    assert len(came_of_it) == len(cases())
    assert not {case: asked for case, (_, asked) in came_of_it.items() if asked}
    loaded = {case for case, (came, _) in came_of_it.items() if came == "loaded"}
    assert loaded == {
        "tts.engine=hibari",
        "tts.engine=hibari tts.voice=heart",
        "vision.engine=ocr",
        "vision.engine=passthrough",
    }
    told = (
        "BACKCHAT_OFFLINE",
        "name the path",
        "projector",
        "no server at http://127.0.0.1:8080",
        "serve --cluster",
    )
    for case, (came, _) in came_of_it.items():
        assert "\n" not in came, case
        assert came == "loaded" or any(words in came for words in told), (case, came)


def test_what_the_settings_need_is_one_list():
    assert needed(Config()) == {
        "qwen2.5-0.5b": "llm",
        "whisper-tiny.en": "stt",
        "smart-turn-v3.2": "endpointing",
    }
    chosen = ["llm.engine=openai", "tts.voice=fenrir", "turns.policy=vad", "stt.model=whisper-base"]
    assert needed(load(None, chosen)) == {"whisper-base": "stt", "hibari-fenrir": "tts"}


def test_pull_fetches_all_that_the_settings_need(monkeypatch: pytest.MonkeyPatch):
    fetched: list[str] = []
    take = "agent.weights.catalogue.fetch"
    monkeypatch.setattr(take, lambda name, progress: fetched.append(name) or Path(name))
    backchat.main(["models", "pull"], standalone_mode=False)
    assert fetched == list(needed(Config()))
    fetched.clear()
    backchat.main(["models", "pull", "--voice", "emma", "--llm", "smollm2"], standalone_mode=False)
    assert fetched == ["whisper-tiny.en", "smollm2", "hibari-emma", "smart-turn-v3.2"]


@pytest.mark.model
def test_after_a_pull_a_conversation_needs_no_network(tmp_path: Path):
    names = needed(load(None, ["llm.model=smollm2"]))
    (tmp_path / "models").mkdir()
    for name in names:
        assert name in catalogue()
        resolve(name)
        (tmp_path / "models" / name).symlink_to(cache_dir() / "models" / name)
    command = [
        "run",
        str(ROOT / "configs" / "demo" / "question.wav"),
        "--llm",
        "smollm2",
        "-o",
        str(tmp_path / "out"),
    ]
    done = subprocess.run(
        [sys.executable, "-c", "from agent.cli import main; main()", *command, "--set", "llm.max_tokens=8"],
        env=os.environ | {"BACKCHAT_CACHE": str(tmp_path), "BACKCHAT_OFFLINE": "1", "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "out" / "conversation.wav").exists()
