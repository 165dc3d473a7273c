"""`backchat engines`: what it says of each engine, and that finding it out loads none of them."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from agent.cli.commands import backchat
from agent.config import load
from agent.engines import registry as engines
from agent.engines.built_in import BUILT_IN, MODULES
from agent.engines.status import Entry, listing

ROOT = Path(__file__).parents[3]
HEAVY = {
    "torch",
    "transformers",
    "TTS",
    "piper",
    "onnxruntime",
    "ctranslate2",
    "xllamacpp",
    "hibari",
    "httpx",
}


def of(entries: list[Entry], kind: str, name: str) -> Entry:
    (found,) = [entry for entry in entries if (entry.kind, entry.name) == (kind, name)]
    return found


def test_every_extra_of_an_engine_is_known_by_its_modules():
    assert {about.extra for names in BUILT_IN.values() for about in names.values()} == {"", *MODULES}


def test_what_is_missing_is_said_with_what_to_type(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("BACKCHAT_CACHE", str(tmp_path))
    monkeypatch.setattr("agent.engines.status.find_spec", lambda name: None if name == "torch" else object())
    found = listing(load(None, ["llm.engine=openai", "llm.base_url=http://box:1/v1", "tts.engine=piper"]))
    assert of(found, "llm", "transformers").state == "extra missing"
    assert of(found, "llm", "transformers").cure == "scripts/setup torch"
    assert of(found, "llm", "llamacpp").state == "weights missing"
    assert of(found, "llm", "llamacpp").cure == "backchat models pull qwen2.5-0.5b"
    assert of(found, "stt", "whisper").cure == "backchat models pull whisper-tiny.en"
    assert of(found, "tts", "piper").cure == "backchat models pull piper-joe"
    assert of(found, "tts", "hibari").state == "ready"
    assert "http://box:1/v1" in of(found, "llm", "openai").cure
    assert [e.name for e in found if e.chosen] == [
        "whisper",
        "openai",
        "piper",
        "webrtc-silero",
        "smart-turn",
        "semantic",
        "ocr",
    ]


def test_weights_of_ones_own_are_looked_for(tmp_path: Path):
    here = tmp_path / "own.gguf"
    here.touch()
    assert of(listing(load(None, [f"llm.model={here}"])), "llm", "llamacpp").state == "ready"
    gone = of(listing(load(None, ["llm.model=nowhere.gguf"])), "llm", "llamacpp")
    assert gone.state == "weights missing"
    assert "nowhere.gguf" in gone.cure


def test_weights_in_another_format_are_not_taken_for_its_own(tmp_path: Path):
    chosen = load(None, ["stt.engine=whisper-torch", f"stt.model={tmp_path}"])
    (tmp_path / "config.json").write_text('{"suppress_ids": []}')
    other = of(listing(chosen), "stt", "whisper-torch")
    assert (other.state, other.chosen) == ("weights missing", True)
    assert "--set stt.model=" in other.cure
    (tmp_path / "config.json").write_text('{"model_type": "whisper"}')
    assert of(listing(chosen), "stt", "whisper-torch").state == "ready"
    hub = of(listing(load(None, ["stt.engine=whisper-torch", "stt.model=a/b"])), "stt", "whisper-torch")
    assert (hub.state, hub.cure) == ("ready", "fetches a/b where it is not here yet")


def test_a_model_without_eyes_is_not_taken_for_one_that_sees(tmp_path: Path):
    chosen = load(None, ["llm.engine=vlm", f"llm.model={tmp_path}"])
    (tmp_path / "config.json").write_text("{}")
    blind = of(listing(chosen), "llm", "vlm")
    assert (blind.state, "--set llm.model=" in blind.cure) == ("weights missing", True)
    (tmp_path / "preprocessor_config.json").write_text("{}")
    assert of(listing(chosen), "llm", "vlm").state == "ready"


def test_engines_of_other_packages_are_listed_unloaded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "parrot_engine.py").write_text("raise RuntimeError('imported')\n")
    info = tmp_path / "parrot_engine-1.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(
        "Metadata-Version: 2.4\nName: parrot-engine\nVersion: 1\nSummary: Repeats.\nLicense-Expression: MIT\n"
    )
    (info / "entry_points.txt").write_text("[backchat.tts]\nparrot = parrot_engine:A\ngone = not_there.x:B\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    found = listing(load(None, ["tts.engine=parrot"]))
    parrot = of(found, "tts", "parrot")
    assert (parrot.state, parrot.licence, parrot.about) == ("ready", "MIT", "Repeats.")
    assert (parrot.source, parrot.chosen) == ("parrot-engine", True)
    assert of(found, "tts", "gone").state == "extra missing"
    assert "parrot-engine" in of(found, "tts", "gone").cure


def test_the_command_prints_a_table_and_json():
    def run(*words: str) -> str:
        return CliRunner().invoke(backchat, ["engines", *words], catch_exceptions=False).stdout

    table = run()
    assert all(name in table for names in engines.BUILT_IN.values() for name in names)
    assert "--set llm.engine=NAME" in table
    rows = json.loads(run("--json", "--set", "tts.speed=1.2"))
    assert {(row["kind"], row["name"]) for row in rows} >= {("llm", "llamacpp"), ("turns", "semantic")}
    assert rows[0].keys() == set(Entry.__slots__)


def test_listing_loads_no_engine():
    program = (
        "import sys\nfrom agent.config import load\n"
        "from agent.engines.status import listing\nlisting(load())\n"
        "print(*sorted({name.partition('.')[0] for name in sys.modules}))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert not set(done.stdout.split()) & HEAVY
