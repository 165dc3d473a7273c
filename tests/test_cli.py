"""The command line as a user meets it: help, say, chat, models, doctor, Ctrl-C. Knows no engine."""

from __future__ import annotations

import io
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import soundfile
from rich.console import Console

from agent import __version__
from agent import events as ev
from agent.causes import Cause
from agent.cli import main
from agent.cli.commands import COMMANDS
from agent.cli.parts.view import LiveView
from agent.weights.catalogue import cache_dir, catalogue, resolve

ROOT = Path(__file__).parents[1]
DEMO = ROOT / "configs" / "demo"
COMMAND = [sys.executable, "-u", "-c", "from agent.cli import main; main()"]
MODEL_COMMANDS = ("list", "pull", "where", "verify", "remove")


def environment() -> dict[str, str]:
    return os.environ | {"PYTHONPATH": str(ROOT), "BACKCHAT_CACHE": str(cache_dir())}


def piped(*words: object, given: str = "", folder: Path = ROOT) -> subprocess.CompletedProcess[str]:
    """The command in a process of its own, with `given` on its standard input."""
    command = [*COMMAND, *map(str, words)]
    return subprocess.run(
        command, input=given, cwd=folder, env=environment(), capture_output=True, text=True, timeout=180
    )


@pytest.fixture
def backchat(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]):
    """The command in this process: its exit code, standard output and standard error."""

    def run(*words: object) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["backchat", *map(str, words)])
        code = 0
        try:
            main()
        except SystemExit as ended:
            code = int(ended.code or 0)
        return code, *capfd.readouterr()

    return run


@pytest.mark.parametrize("words", [(name,) for name in COMMANDS] + [("models", n) for n in MODEL_COMMANDS])
@pytest.mark.parametrize("flag", ["--help", "-h"])
def test_every_command_has_help(backchat, words: tuple[str, ...], flag: str):
    code, out, err = backchat(*words, flag)
    assert (code, err) == (0, "")
    assert f"backchat {' '.join(words)}" in out.splitlines()[0]
    assert max(map(len, out.splitlines())) <= 80


def test_help_names_every_command_and_says_what_it_does(backchat):
    code, out, _ = backchat("--help")
    assert code == 0
    for name, about in COMMANDS.items():
        line = next(line for line in out.splitlines() if line.split()[:1] == [name])
        assert line.split(maxsplit=1)[1] in about


def test_no_command_shows_the_help(backchat):
    for words in ((), ("models",)):
        code, _, err = backchat(*words)
        assert code == 2
        assert "Commands:" in err


def test_version(backchat):
    assert backchat("--version") == (0, f"backchat, version {__version__}\n", "")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("runn",), "no command 'runn'; did you mean 'run'?"),
        (("models", "pul"), "pull"),
        (("run", "--outt", "x"), "--out"),
        (("run",), "Missing argument"),
        (("xyz",), "xyz"),
        (("say", " "), "there is nothing to say"),
    ],
)
def test_a_wrong_command_line_is_one_line(backchat, words: tuple[str, ...], said: str):
    code, out, err = backchat(*words)
    assert (code, out) == (2, "")
    assert err.startswith("backchat: ")
    assert said in err
    assert err.rstrip().endswith("--help`")
    assert err.count("\n") == 1


def test_a_wrong_setting_is_one_line_and_code_6(backchat, tmp_path: Path):
    (tmp_path / "a.toml").write_text("[llm]\ntemprature = 1\n")
    for words in (("--config", tmp_path / "a.toml"), ("--set", "llm.temprature=1")):
        code, out, err = backchat("run", DEMO / "question.wav", "-o", tmp_path / "out", *words)
        assert (code, out) == (6, "")
        assert err == f"backchat: {' '.join(map(str, words)).removeprefix('--config ')}: unknown key " + (
            "'llm.temprature'; did you mean 'llm.temperature'?\n"
        )
    assert not (tmp_path / "out").exists()


def test_say_writes_what_is_given_or_piped_in(tmp_path: Path):
    given = piped("say", "Hello there.", "-o", tmp_path / "a.wav")
    from_pipe = piped("say", "-", "-o", tmp_path / "b.wav", given="Hello there.\n")
    assert (given.returncode, given.stderr, from_pipe.returncode) == (0, "", 0)
    first, rate = soundfile.read(tmp_path / "a.wav")
    assert given.stdout == f"{tmp_path / 'a.wav'}: {len(first) / rate:.1f} s\n"
    assert 0.5 < len(first) / rate < 3
    assert abs(first).max() > 0.05
    assert (soundfile.read(tmp_path / "b.wav")[0] == first).all()


def test_say_writes_the_format_that_the_name_asks_for(tmp_path: Path):
    for name, kind in (("a.mp3", "MP3"), ("a.FLAC", "FLAC"), ("a.opus", "OGG")):
        assert piped("say", "Hello there.", "-o", tmp_path / name).returncode == 0
        info = soundfile.info(tmp_path / name)
        assert info.format == kind
        assert 0.5 < info.duration < 3


@pytest.fixture
def empty_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("BACKCHAT_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def test_models_are_listed_with_size_licence_and_whether_they_are_here(backchat, empty_cache: Path):
    code, out, _ = backchat("models", "list")
    assert code == 0
    for name, model in catalogue().items():
        row = next(line for line in out.splitlines() if line.startswith(name[:10]))
        assert model.kind in row.split()
        assert "no" in row.split()
    assert out.splitlines()[-1].startswith(f"kept in {empty_cache}")


@pytest.mark.parametrize("text", ["...", "🙂", "你好"])
def test_say_of_a_text_without_words_is_one_line_and_no_file(tmp_path: Path, text: str):
    done = piped("say", text, "-o", tmp_path / "a.wav")
    assert done.returncode == 8
    assert done.stderr.count("\n") == 1
    assert f"nothing in {text!r} can be said aloud" in done.stderr
    assert not (tmp_path / "a.wav").exists()


@pytest.mark.usefixtures("empty_cache")
def test_models_that_are_not_here_say_what_to_type(backchat):
    code, _, err = backchat("models", "where", "smollm2")
    assert (code, err) == (5, "backchat: smollm2 is not here yet; type `backchat models pull smollm2`\n")
    code, _, err = backchat("models", "where", "nope")
    assert (code, err) == (5, "backchat: no model is called 'nope'; `backchat models list` shows the names\n")
    code, out, err = backchat("models", "verify", "smollm2")
    assert code == 5
    assert out.endswith(": missing\n")
    assert "models pull" in err


@pytest.mark.model
def test_models_where_and_verify(backchat):
    path = resolve("smollm2")
    assert backchat("models", "where", "smollm2") == (0, f"{path}\n", "")
    assert backchat("models", "verify", "smollm2") == (0, f"smollm2: {path.name}: whole\n", "")
    assert backchat("models", "pull", "smollm2") == (0, f"smollm2: {path}\n", "")


@pytest.mark.usefixtures("empty_cache")
def test_doctor_says_what_is_missing_and_what_to_type(backchat, tmp_path: Path, monkeypatch):
    monkeypatch.setattr("audio.devices.portaudio.list_devices", list)
    code, out, err = backchat("doctor", "--stt", tmp_path / "nowhere")
    assert (code, err) == (1, "")
    rows = {line[5:].split()[0]: line for line in out.splitlines()}
    assert rows["python"].startswith("ok")
    assert rows["llm"].startswith("bad")
    assert "backchat models pull qwen2.5-0.5b" in rows["llm"]
    assert rows["stt"].startswith("bad")
    assert "neither a model nor a file" in rows["stt"]
    assert rows["endpointing"].startswith("bad")
    assert "backchat models pull smart-turn-v3.2" in rows["endpointing"]
    assert rows["tts"].startswith("ok")
    assert rows["microphone"].startswith("bad")
    assert "none: connect a speaker" in rows["speaker"]
    assert "speed" not in rows


@pytest.mark.usefixtures("empty_cache")
def test_doctor_asks_for_no_weights_that_the_engine_does_not_use(backchat, monkeypatch):
    monkeypatch.setattr("audio.devices.portaudio.list_devices", list)
    code, out, err = backchat("doctor", "--set", "llm.engine=openai", "--set", "tts.engine=piper")
    assert (code, err) == (1, "")
    rows = {line[5:].split()[0]: line for line in out.splitlines()}
    assert rows["llm"].startswith("-")
    assert "http://127.0.0.1:8080/v1" in rows["llm"]
    assert "qwen" not in out
    assert rows["tts"].startswith("bad")
    assert "backchat models pull piper-joe" in rows["tts"]


@pytest.mark.model
def test_doctor_says_that_a_server_is_not_there(backchat, monkeypatch):
    monkeypatch.setattr("audio.devices.portaudio.list_devices", list)
    resolve("whisper-tiny.en")
    away = ("llm.engine=openai", "llm.base_url=http://127.0.0.1:9/v1", "llm.retries=0", "turns.policy=vad")
    code, out, err = backchat("doctor", *(word for setting in away for word in ("--set", setting)))
    assert (code, err) == (1, "")
    (row,) = [line for line in out.splitlines() if "no server at http://127.0.0.1:9" in line]
    assert row.startswith("bad")


@pytest.mark.model
def test_doctor_measures_what_is_here_and_reports_what_is_damaged(backchat, tmp_path: Path, monkeypatch):
    from audio.devices.portaudio import Device

    card = Device(0, "card", "ALSA", 1, 2, 48_000, True, True)
    monkeypatch.setattr("audio.devices.portaudio.list_devices", lambda: [card])
    resolve("smollm2"), resolve("whisper-tiny.en"), resolve("smart-turn-v3.2")
    code, out, _ = backchat("doctor", "--llm", "smollm2")
    speed = next(line for line in out.splitlines() if "speed" in line)
    assert re.search(r"[1-9]\d* tokens/s; voice \d+x real time; answers after about \d", speed)
    (larger,) = [line for line in out.splitlines() if "llm qwen2.5-1.5b" in line]
    assert re.search(r"about \d+ tokens/s, answers after about \d.*: (in time: --llm|too la)", larger)
    assert code == (0 if speed.startswith("ok") and "bad " not in out else 1)
    (tmp_path / "bad.gguf").write_text("no weights")
    code, out, err = backchat("doctor", "--llm", tmp_path / "bad.gguf")
    assert (code, err) == (1, "")
    assert any(line.startswith("bad") and "not a GGUF file" in line for line in out.splitlines())


@pytest.mark.model
def test_chat_answers_each_piped_line():
    resolve("smollm2")
    done = piped("chat", "--llm", "smollm2", "--set", "llm.max_tokens=8", given="Hello.\n\nSay yes.\n")
    assert (done.returncode, done.stderr) == (0, "")
    answers = done.stdout.strip().splitlines()
    assert len([answer for answer in answers if answer.strip()]) >= 2


def interrupted(*words: object, after: str) -> tuple[int, str]:
    """Ctrl-C as soon as the command has printed `after`: its exit code and all that it printed."""
    command = [*COMMAND, *map(str, words)]
    with subprocess.Popen(
        command,
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        stdin=subprocess.PIPE,
    ) as process:
        if words[0] == "chat":
            process.stdin.write("Tell me a very long story.\n")
            process.stdin.flush()
            process.stdout.read(1)
            process.send_signal(signal.SIGINT)
            out = process.stdout.read(9)
            while "[stopped]" not in out and (more := process.stdout.read(1)):
                out += more
            process.send_signal(signal.SIGINT)
            out += process.communicate(timeout=120)[0]
            return process.returncode, out
        seen = ""
        for line in process.stdout:
            seen += line
            if after in line:
                break
        process.send_signal(signal.SIGINT)
        return process.wait(timeout=120), seen + process.stdout.read()


@pytest.mark.model
@pytest.mark.parametrize("clock", [(), ("--realtime",)])
def test_ctrl_c_in_run_keeps_what_was_recorded(tmp_path: Path, clock: tuple[str, ...]):
    resolve("smollm2"), resolve("whisper-tiny.en")
    lines = (DEMO / "question.wav", DEMO / "story.wav", DEMO / "story.wav", DEMO / "story.wav")
    code, out = interrupted("run", *lines, "-o", tmp_path / "out", "--llm", "smollm2", *clock, after="user")
    assert code == 130, out
    assert out.splitlines()[-1] == "stopped"
    assert "Traceback" not in out
    kept = {path.name for path in (tmp_path / "out").iterdir()}
    assert {"conversation.wav", "events.jsonl", "transcript.md"} <= kept
    assert kept <= {"conversation.wav", "events.jsonl", "transcript.md", "timeline.png"}
    assert abs(soundfile.read(tmp_path / "out" / "conversation.wav")[0][:, 0]).max() > 0.05


@pytest.mark.model
def test_ctrl_c_in_chat_stops_the_answer_and_then_the_chat():
    resolve("smollm2")
    code, out = interrupted("chat", "--llm", "smollm2", after="")
    assert code == 130, out
    assert out.splitlines()[-1] == "stopped"
    assert "Traceback" not in out


@pytest.mark.parametrize(("width", "height"), [(80, 24), (80, 10), (132, 40)])
def test_the_live_view_fits_the_terminal_and_shows_the_newest(width: int, height: int):
    shown = io.StringIO()
    console = Console(file=shown, width=width, height=height, force_terminal=True, color_system=None)
    view = LiveView(console)
    told = "Once upon a time there was a keeper. " * 12
    for turn in range(1, 8):
        view.watch(ev.TurnOpened(turn, turn, turn))
        view.watch(ev.TurnCommitted(turn, turn, f"Question number {turn}, please.", Cause("endpointing")))
        view.watch(ev.Token(turn, turn, told + "The end."))
        if turn < 7:
            view.watch(ev.TurnEnded(turn, turn, "interrupted", told, "The end."))
    view.watch(ev.WordHeard(7, 7, 0, 40))
    view.watch(ev.InterimTranscript(7, "Wait a moment"))
    with view:
        pass
    lines = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", shown.getvalue()).splitlines()
    assert max(map(len, lines)) <= width - 2, "Ctrl-C's echo would begin a line and tear the picture"
    last = [line for line in lines if "│" in line][-2:]
    assert "The end." in last[0]
    assert "Wait a moment …" in last[1]
    assert len([line for line in lines if "│" in line]) <= height - 2
    assert "Ctrl-C ends" in shown.getvalue()
