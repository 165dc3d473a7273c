"""What a language's file warns of is told where it is chosen, until another transcriber is."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from agent import config
from agent.cli import backchat
from agent.cli.parts.loading import warn


@pytest.mark.parametrize(
    ("settings", "code", "count"),
    [
        ([], "hi", 1),
        ([], "en,hi", 1),
        (["stt.language=hi", "stt.model=whisper-base"], None, 1),
        (["stt.model=whisper-medium"], "hi", 0),
        ([], "en,es,zh", 0),
        ([], None, 0),
        (["stt.language=auto", "stt.languages=['nl','hi']", "stt.model=whisper-base"], None, 1),
    ],
)
def test_what_is_badly_heard_is_told(
    settings: list[str], code: str | None, count: int, capsys: pytest.CaptureFixture[str]
) -> None:
    chosen = config.load(None, settings, code)
    told = config.cautions(chosen)
    assert len(told) == count
    assert all("Hindi" in caution for caution in told)
    warn(chosen)
    assert capsys.readouterr().err == "".join(f"backchat: {caution}\n" for caution in told)


def test_doctor_tells_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BACKCHAT_CACHE", str(tmp_path))
    monkeypatch.setattr("audio.devices.portaudio.list_devices", list)
    output = CliRunner().invoke(backchat, ["doctor", "--language", "hi"]).output
    (row,) = [line for line in output.splitlines() if line[5:].startswith("language ")]
    assert "Hindi" in row
    assert "--stt FOLDER" in row
