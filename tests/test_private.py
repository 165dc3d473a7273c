"""What holds a user's words is its owner's alone from the first byte on, whatever the umask allows."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

import scripted
from agent.cli.parts.output_folder import write_files
from agent.config import load
from agent.events import SpeechStarted
from agent.protocols import Engines
from agent.reports.event_log import Journal
from agent.simulation.comparison import draw_all
from agent.simulation.virtual import Line, converse
from audio import private
from audio.files import Recorder, write_sound, write_wav

pytestmark = pytest.mark.skipif(os.name == "nt", reason="a mode means nothing there")

SILENCE = np.zeros(800, np.float32)


@pytest.fixture(params=[0o000, 0o022, 0o077], ids="umask{:03o}".format)
def umask(request: pytest.FixtureRequest) -> Iterator[int]:
    before = os.umask(request.param)
    yield request.param
    os.umask(before)


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def modes(folder: Path) -> dict[str, int]:
    return {path.relative_to(folder).as_posix(): mode(path) for path in folder.rglob("*")}


def journal(path: Path) -> None:
    with Journal(path) as kept:
        kept.watch(SpeechStarted(1.0, 1.0))


def replaced(path: Path) -> None:
    with private.replacing(path) as file:
        file.write(b"what was said")


WRITERS: dict[str, Callable[[Path], None]] = {
    "recorder": lambda path: Recorder(path).close(),
    "journal": journal,
    "wav": lambda path: write_wav(path, SILENCE, 16_000),
    "replaced": replaced,
}


@pytest.mark.parametrize("write", WRITERS.values(), ids=WRITERS)
def test_a_new_file_and_its_new_folders_are_the_owners_alone(
    umask: int, write: Callable[[Path], None], tmp_path: Path
):
    tmp_path.chmod(0o755)
    write(tmp_path / "out" / "run" / "it.wav")
    assert modes(tmp_path) == {"out": 0o700, "out/run": 0o700, "out/run/it.wav": 0o600}
    assert mode(tmp_path) == 0o755


@pytest.mark.parametrize("write", WRITERS.values(), ids=WRITERS)
def test_who_could_read_the_old_file_gets_nothing_of_the_new_one(
    write: Callable[[Path], None], tmp_path: Path
):
    path = tmp_path / "it.wav"
    path.write_bytes(b"old")
    path.chmod(0o666)
    with path.open("rb") as reader:
        write(path)
        assert reader.read() == b"old"
    assert mode(path) == 0o600


def test_the_mode_is_there_before_the_first_byte(umask: int, tmp_path: Path):
    with private.replacing(tmp_path / "it") as file:
        (part,) = tmp_path.iterdir()
        assert (mode(part), part.stat().st_size) == (0o600, 0)
        file.write(b"x")
    with private.create(tmp_path / "it"):
        assert (mode(tmp_path / "it"), (tmp_path / "it").stat().st_size) == (0o600, 0)


def test_what_fails_leaves_the_old_file_and_no_other(tmp_path: Path):
    path = tmp_path / "it"
    path.write_bytes(b"old")

    def broken() -> None:
        with private.replacing(path) as file:
            file.write(b"half")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        broken()
    assert {each.name: each.read_bytes() for each in tmp_path.iterdir()} == {"it": b"old"}


def test_a_link_is_replaced_and_what_it_led_to_is_left(tmp_path: Path):
    elsewhere = tmp_path / "elsewhere"
    elsewhere.write_bytes(b"theirs")
    for write in WRITERS.values():
        (tmp_path / "it.wav").unlink(missing_ok=True)
        (tmp_path / "it.wav").symlink_to(elsewhere)
        write(tmp_path / "it.wav")
        assert not (tmp_path / "it.wav").is_symlink()
    assert elsewhere.read_bytes() == b"theirs"


def test_a_text_read_aloud_into_a_file_is_as_the_umask_says(umask: int, tmp_path: Path):
    write_sound(tmp_path / "out" / "hello.wav", SILENCE, 16_000)
    assert modes(tmp_path) == {"out": 0o777 & ~umask, "out/hello.wav": 0o666 & ~umask}


def test_all_that_a_conversation_leaves_is_the_owners_alone(umask: int, tmp_path: Path):
    events = []
    config = load(None, ["costs.mode=declared", "stt.interim=0", "turns.meaning=off"])
    engines = Engines(
        scripted.ScriptedSTT(["Hello."]), scripted.ScriptedLLM(["Yes."]), scripted.ScriptedTTS()
    )
    folder = tmp_path / "out" / "run"
    recording = folder / "conversation.wav"
    converse(engines, config, [Line(scripted.loud(0.5))], recording, watchers=[events.append])
    written = write_files(folder, events)
    draw_all([("one", events, folder)], folder / "replay-1" / "both-timelines.png")
    found = modes(tmp_path)
    folders = {"out", "out/run", "out/run/replay-1"}
    files = {f"out/run/{name}" for name in (*written, "replay-1/both-timelines.png")}
    assert found == dict.fromkeys(folders, 0o700) | dict.fromkeys(files, 0o600)
    assert len(files) == 5
