"""Who is enrolled: files that only their owner reads, made, listed and deleted by command."""

from __future__ import annotations

import json
import stat
from pathlib import Path

import numpy as np
import pytest
import soundfile
from click.testing import CliRunner

from agent.cli.commands import backchat
from agent.errors import ConfigError, ModelError
from agent.settings import SpeakersConfig
from agent.speakers import Enrolled, SpeakerStore, enrolment
from audio.frame import HEARING_RATE, Frame
from audio.speaker import DVector


class Pitch:
    """An embedding that hears nothing but which of four tones is the loudest."""

    model = "pitch"
    bounds = DVector.bounds
    hertz = np.array([200.0, 400.0, 800.0, 1600.0])

    def embed(self, audio: Frame):
        time = np.arange(len(audio.samples)) / audio.rate
        heard = np.abs([audio.samples @ np.exp(2j * np.pi * hertz * time) for hertz in self.hertz])
        return (heard / (np.linalg.norm(heard) + 1e-9)).astype(np.float32)


def tone(hertz: float, seconds: float = 6.0) -> Frame:
    time = np.arange(round(seconds * HEARING_RATE)) / HEARING_RATE
    return Frame((0.3 * np.sin(2 * np.pi * hertz * time)).astype(np.float32), HEARING_RATE)


@pytest.fixture
def store(tmp_path: Path) -> SpeakerStore:
    store = SpeakerStore(tmp_path / "voices")
    for name, hertz in (("anna", 200.0), ("bert", 800.0)):
        store.enroll(name, enrolment(Pitch(), [tone(hertz)]), Pitch.model)
    return store


def enrolled(store: SpeakerStore, *only: str) -> Enrolled:
    return Enrolled(Pitch(), SpeakersConfig(only=only, folder=str(store.folder)))


def test_a_voice_is_known_by_its_name_and_another_is_a_strangers(store: SpeakerStore):
    everybody = enrolled(store, "*")
    assert everybody.who(tone(200.0)).name == "anna"
    assert everybody.who(tone(800.0)).name == "bert"
    other = everybody.who(tone(1600.0))
    assert (other.verdict, other.name) == ("stranger", "")
    assert enrolled(store, "anna").who(tone(800.0)).verdict == "stranger"


def test_too_little_of_a_voice_is_a_doubt(store: SpeakerStore):
    assert enrolled(store, "*").who(tone(1600.0, 0.2)).verdict == "doubt"


def test_what_is_kept_is_its_owners_alone(store: SpeakerStore):
    assert stat.S_IMODE(store.folder.stat().st_mode) == 0o700
    for file in store.folder.iterdir():
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert store.names() == ["anna", "bert"]


def test_who_is_enrolled_again_is_known_by_the_newer_voice(store: SpeakerStore):
    store.enroll("anna", enrolment(Pitch(), [tone(1600.0)]), Pitch.model)
    assert enrolled(store, "*").who(tone(1600.0)).name == "anna"
    assert enrolled(store, "*").who(tone(200.0)).verdict == "stranger"
    assert len(list(store.folder.iterdir())) == 2


def test_who_is_forgotten_leaves_nothing(store: SpeakerStore):
    (store.folder / ".anna.json.0a1b.part").write_text("what an enrolment has left that was killed")
    store.forget("anna")
    assert [file.name for file in store.folder.iterdir()] == ["bert.json"]
    with pytest.raises(ConfigError, match="nobody is enrolled as 'anna'; enrolled: bert"):
        store.forget("anna")
    with pytest.raises(
        ConfigError, match="nobody is enrolled as 'anna'; type `backchat speakers enroll anna`"
    ):
        enrolled(store, "anna")


@pytest.mark.parametrize(
    "content",
    [
        *("", "{", "[]", "{}", '{"model": "pitch"}', '{"model": "pitch", "embedding": "loud"}'),
        *('{"model": "pitch", "embedding": []}', '{"model": "pitch", "embedding": [0, 0]}'),
        *('{"model": "pitch", "embedding": [NaN, 1]}', '{"model": "pitch", "embedding": [[1]]}'),
        *('{"model": "other", "embedding": [1, 0]}', '{"model": 7, "embedding": [1, {}]}'),
    ],
)
def test_a_damaged_file_is_told_in_one_line(store: SpeakerStore, content: str):
    (store.folder / "anna.json").write_text(content)
    with pytest.raises(ModelError, match=r"anna\.json .*backchat speakers enroll anna") as told:
        enrolled(store, "*")
    assert "\n" not in str(told.value)


def test_two_voices_or_too_little_are_no_enrolment():
    with pytest.raises(ConfigError, match="not sound like one voice"):
        enrolment(Pitch(), [tone(200.0, 9.0), tone(1600.0)])
    with pytest.raises(ConfigError, match="too little"):
        enrolment(Pitch(), [tone(200.0, 3.0)])


def run(*arguments: str):
    return CliRunner().invoke(backchat, ["speakers", *arguments])


def test_the_command_enrolls_lists_and_forgets(tmp_path: Path, monkeypatch):
    from agent.engines import registry

    monkeypatch.setattr(registry, "load_one", lambda kind, config: Pitch())
    folder, wav = tmp_path / "voices", tmp_path / "anna.wav"
    soundfile.write(wav, tone(200.0, 8.0).samples, HEARING_RATE)
    at = ("--set", f"speakers.folder={folder}")
    assert "anna is known" in run("enroll", "anna", str(wav), *at).output
    assert run("list", *at).output.startswith("anna\n")
    kept = json.loads((folder / "anna.json").read_text())
    assert (kept["name"], kept["model"], len(kept["embedding"])) == ("anna", "pitch", 4)
    assert run("forget", "anna", *at).output == "anna is forgotten\n"
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize("name", ["", "..", "a/b", "../anna", "x" * 33, "a\nb", ".anna", "*", " anna"])
def test_what_is_no_name_is_refused_before_anybody_speaks(tmp_path: Path, name: str):
    done = run("enroll", name, "--set", f"speakers.folder={tmp_path / 'voices'}")
    assert isinstance(done.exception, ConfigError)
    assert "a speaker's name has letters" in str(done.exception)
    assert not (tmp_path / "voices").exists()
