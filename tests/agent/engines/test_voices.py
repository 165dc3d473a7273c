"""Which voices can be chosen by name, and how they sound in a file."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from agent.cli.commands import backchat
from agent.engines import voices
from agent.engines.voices import Missing, Voice
from agent.errors import ConfigError
from audio.files import read_audio


@pytest.fixture
def empty(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A cache without any weights."""
    monkeypatch.setenv("BACKCHAT_CACHE", str(tmp_path))


@pytest.mark.usefixtures("empty")
def test_voices_without_weights_are_named_with_what_to_type() -> None:
    found, missing = voices.chosen((), None)
    assert Voice("hibari", "heart", "en-us") in found
    assert missing == [Missing("kokoro", "backchat models pull kokoro")]


@pytest.mark.usefixtures("empty")
def test_they_are_chosen_by_name_and_language() -> None:
    assert [v.name for v in voices.chosen((), "en-GB")[0]] == ["emma", "fable"]
    assert {v.name for v in voices.chosen((), "en")[0]} >= {"heart", "emma"}
    assert voices.chosen(("heart",), None)[0] == [Voice("hibari", "heart", "en-us")]
    with pytest.raises(ConfigError, match=r"no voice here is called 'bob'.*models pull kokoro"):
        voices.chosen(("bob",), None)
    with pytest.raises(ConfigError, match=r"no voice here speaks 'xx'.*models pull kokoro"):
        voices.chosen((), "xx")


@pytest.mark.model
def test_samples_are_written_with_a_page(tmp_path: Path) -> None:
    done = CliRunner().invoke(backchat, ["voices", "heart", "--samples", str(tmp_path)])
    assert done.exit_code == 0, done.output
    assert read_audio(tmp_path / "en-us-hibari-heart.wav").duration > 2.0
    assert 'src="en-us-hibari-heart.wav"' in (tmp_path / "index.html").read_text()
