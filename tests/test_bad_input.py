"""What goes wrong is one clear line and an exit code, or an Error event and a session that lives on."""

from __future__ import annotations

import ctypes
import os
import struct
import subprocess
import sys
import time
import wave
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import soundfile

import scripted
from agent import events as ev
from agent.config import load
from agent.reports.event_log import read_events, write_events
from agent.simulation.virtual import Line, converse
from agent.weights.catalogue import cache_dir, resolve

ROOT = Path(__file__).parents[1]
QUESTION = ROOT / "configs" / "demo" / "question.wav"
NO_PORTAUDIO = "raise OSError('PortAudio library not found')\n"
NO_DEVICE = (
    "class PortAudioError(Exception): pass\n"
    "class default: device = (-1, -1)\n"
    "query_hostapis = query_devices = lambda: ()\n"
)
RUN_WITH_SCRIPTED_ENGINES = (
    "import sys; sys.path[:0] = {paths!r}\n"
    "import scripted, agent.engines.registry\n"
    "agent.engines.registry.load = lambda *_: scripted.engines(['Why does it ring?'], ['A bell.'])\n"
    "from agent.cli import main\n"
    "sys.argv = ['backchat', *{words!r}]\n"
    "try:\n"
    "    main()\n"
    "finally:\n"
    # Not getrusage: what it tells began with the memory of the process that forked this one.
    "    lines = open('/proc/self/status').read().splitlines()\n"
    "    print('peak', next(line.split()[1] for line in lines if line.startswith('VmHWM')))\n"
)


@dataclass
class Ended:
    code: int
    out: str
    err: str


def backchat(*words: object, folder: Path, timeout: float = 120, mortal: bool = False, **env: str) -> Ended:
    """Run the command in a process of its own, in `folder`; `mortal`: permissions hold even for root."""
    command = [sys.executable, "-c", "from agent.cli import main; main()", *map(str, words)]
    environment = {"PYTHONPATH": str(ROOT), "BACKCHAT_CACHE": str(cache_dir()), **env}
    done = subprocess.run(
        command,
        cwd=folder,
        env=os.environ | environment,
        capture_output=True,
        text=True,
        timeout=timeout,
        stdin=subprocess.DEVNULL,
        preexec_fn=_lose_privileges if mortal else None,
    )
    return Ended(done.returncode, done.stdout, done.stderr)


def _lose_privileges() -> None:
    pr_capbset_drop, cap_dac_override = 24, 1
    ctypes.CDLL(None).prctl(pr_capbset_drop, cap_dac_override)


def one_line(ended: Ended, code: int, *said: str) -> None:
    """It ended with that code, and what it wrote on stderr is one line that says all of `said`."""
    assert ended.code == code, ended
    lines = ended.err.splitlines()
    assert len(lines) == 1, ended.err
    assert lines[0].startswith("backchat: ")
    for words in said:
        assert words in lines[0]


def wav_header(channels: int, rate: int, length: int) -> bytes:
    """A 16-bit WAV's first 44 bytes, for `length` bytes of samples."""
    form = struct.pack("<IHHIIHH", 16, 1, channels, rate, rate * channels * 2, channels * 2, 16)
    return b"RIFF" + struct.pack("<I", 36 + length) + b"WAVEfmt " + form + b"data" + struct.pack("<I", length)


FILES = {
    "empty": (b"", "empty, 0 bytes; record it again"),
    "text": (b"Dear diary, this is no sound at all.\n" * 20, "not sound that can be read"),
    "no samples": (wav_header(1, 16_000, 0), "holds no samples; record it again"),
    "3 kHz": (wav_header(1, 3_000, 800) + bytes(800), "3000 Hz; resample it"),
    "missing": (None, "no such file; give the path of a sound file"),
}


@pytest.mark.parametrize("name", FILES)
def test_a_file_that_is_no_sound_is_one_line(tmp_path: Path, name: str):
    content, said = FILES[name]
    if content is not None:
        (tmp_path / "in.wav").write_bytes(content)
    one_line(backchat("run", "in.wav", "-o", "out", folder=tmp_path), 2, "in.wav: ", said)
    assert not (tmp_path / "out").exists()


def test_a_header_that_lies_is_told_in_one_line_and_what_is_there_is_heard(tmp_path: Path):
    """The size of a recorder's first block, where the recorder was killed; and a pipe, as `-`."""
    data = QUESTION.read_bytes()
    at = data.index(b"data") + 4
    (tmp_path / "in.wav").write_bytes(data[:at] + struct.pack("<I", 640) + data[at + 4 :])
    ended, _ = with_scripted_engines("run", "in.wav", "-o", "out", folder=tmp_path, timeout=120)
    one_line(ended, 0, "in.wav: its header says 0.02 s, ", " s were there and were read")
    assert "agent   A bell." in ended.out
    piped = data[:at] + b"\xff" * 4 + data[at + 4 :]
    ended, _ = with_scripted_engines("run", "-", "-o", "out", folder=tmp_path, timeout=120, given=piped)
    assert (ended.code, ended.err) == (0, "")
    assert "agent   A bell." in ended.out


def test_one_bad_file_of_several_stops_it_before_anything_is_said(tmp_path: Path):
    (tmp_path / "empty.wav").touch()
    one_line(backchat("run", QUESTION, "empty.wav", folder=tmp_path), 2, "empty.wav: empty")
    one_line(backchat("run", f"{QUESTION}@ovr:2", folder=tmp_path), 2, "write the time as @after:SECONDS")
    assert not (tmp_path / "out").exists()


def with_scripted_engines(*words: str, folder: Path, timeout: float, given: bytes = b"") -> tuple[Ended, int]:
    """The same command without weights, and the bytes of memory that it needed at most."""
    program = RUN_WITH_SCRIPTED_ENGINES.format(paths=[str(ROOT), str(ROOT / "tests")], words=words)
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=folder, input=given, capture_output=True, timeout=timeout
    )
    lines = done.stdout.decode().splitlines()
    return Ended(done.returncode, done.stdout.decode(), done.stderr.decode()), int(
        lines[-1].split()[1]
    ) * 1024


def test_a_long_silence_ends_by_itself(tmp_path: Path):
    """Much faster than it sounds; the file itself is sparse and takes no room."""
    seconds = 1200
    with (tmp_path / "silence.wav").open("wb") as silence:
        silence.write(wav_header(1, 16_000, seconds * 32_000))
        silence.truncate(44 + seconds * 32_000)
    ended, peak = with_scripted_engines("run", "silence.wav", "-o", "out", folder=tmp_path, timeout=900)
    assert (ended.code, ended.err) == (0, "")
    assert "no reply was heard" in ended.out
    assert peak < 500e6
    recorded = soundfile.info(tmp_path / "out" / "conversation.wav")
    assert seconds < recorded.duration < seconds + 70
    for name in ("silence.wav", "out/conversation.wav"):
        (tmp_path / name).unlink()


def test_surround_sound_at_96_khz_is_answered(tmp_path: Path):
    rng = np.random.default_rng(0)
    t = np.arange(96_000) / 96_000
    voice = sum(np.sin(2 * np.pi * 140 * n * t) / n for n in range(1, 30)) * (0.6 + 0.4 * np.sin(25 * t))
    samples = np.stack([0.1 * voice + 0.001 * rng.standard_normal(96_000)] * 6, axis=1)
    soundfile.write(tmp_path / "in.wav", samples, 96_000, subtype="PCM_24")
    ended, _ = with_scripted_engines("run", "in.wav", "-o", "out", folder=tmp_path, timeout=120)
    assert (ended.code, ended.err) == (0, "")
    assert "agent   A bell." in ended.out


@pytest.mark.parametrize("name", ["a.m4a", "a.webm", "a.wav.txt", "a", "WAV"])
def test_say_refuses_an_ending_that_names_no_format_before_anything_is_loaded(tmp_path: Path, name: str):
    ended = backchat("say", "Hello.", "-o", name, "--voice", "nobody", folder=tmp_path)
    one_line(ended, 2, f"{name}: ", "end it in .wav, .flac, .mp3, .ogg, .oga, .opus, .aiff or .aif")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "words",
    [
        ("run", str(QUESTION), "--out", "a.mp3"),
        ("simulate", str(ROOT / "configs" / "scenarios" / "story.toml"), "--out", "a.mp3"),
        ("talk", "--record", "a.mp3"),
    ],
)
def test_a_folder_that_is_named_as_a_sound_file_is_one_line(tmp_path: Path, words: tuple[str, ...]):
    one_line(backchat(*words, folder=tmp_path), 2, f"a.mp3: {words[-2]} names a folder", "leave .mp3 out")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("words", [("devices",), ("talk",)], ids=lambda words: words[0])
def test_what_alsa_says_of_an_odd_configuration_is_not_shown(tmp_path: Path, words: tuple[str, ...]):
    """Each of these makes alsa-lib write lines of its own: no such card, no such file, no such type."""
    odd = tmp_path / "asound.conf"
    odd.write_text(
        "pcm.default { type hw card 7 }\nctl.default { type hw card 7 }\n"
        "pcm.nowhere { type nonesuch }\npcm.front { type plug slave.pcm absent }\n"
    )
    ended = backchat(*words, folder=tmp_path, ALSA_CONFIG_PATH=str(odd), XDG_RUNTIME_DIR=str(tmp_path))
    one_line(ended, 3, "found; connect")


@pytest.mark.parametrize("name", ["conversation.wav", "events.jsonl"])
def test_a_recorded_conversation_is_never_overwritten(tmp_path: Path, name: str):
    (tmp_path / "kept").mkdir()
    (tmp_path / "kept" / name).write_bytes(b"precious")
    ended = backchat("talk", "--record", "kept", folder=tmp_path)
    one_line(ended, 2, f"kept: holds a recording ({name}); name another folder, or move it away")
    assert (tmp_path / "kept" / name).read_bytes() == b"precious"
    assert len(list((tmp_path / "kept").iterdir())) == 1


@pytest.mark.parametrize("out", ["file", "file/below", "/proc/nowhere"])
def test_an_out_that_cannot_be_written_is_one_line(tmp_path: Path, out: str):
    (tmp_path / "file").write_text("precious")
    ended, _ = with_scripted_engines("run", str(QUESTION), "-o", out, folder=tmp_path, timeout=120)
    one_line(ended, 2, "conversation.wav: cannot be written", "choose another place")
    one_line(backchat("say", "Hello.", "-o", f"{out}/a.wav", folder=tmp_path), 2, "cannot be written")
    assert (tmp_path / "file").read_text() == "precious"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file"]


FULL = (
    "import resource, signal, sys; sys.path[:0] = {paths!r}\n"
    "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
    "import scripted, agent.reports.timeline\nfrom agent.engines import registry\n"
    "offered = scripted.engines(['Why does it ring?'], ['A bell.'])\n"
    "registry.load, registry.load_one = lambda *_: offered, lambda *_, **__: offered.tts\n"
    "resource.setrlimit(resource.RLIMIT_FSIZE, ({room}, {room}))\n"
    "sys.argv = ['backchat', *{words!r}]\n"
    "from agent.cli import main; main()\n"
)


def on_a_full_disk(*words: str, room: int, folder: Path, out: Path | None = None) -> Ended:
    """The command without weights, where no file may have more than `room` bytes; out: what it prints to."""
    program = FULL.format(paths=[str(ROOT), str(ROOT / "tests")], words=words, room=room)
    with (out or Path(os.devnull)).open("w") as printed:
        done = subprocess.run(
            [sys.executable, "-c", program],
            cwd=folder,
            stdout=printed,
            stderr=subprocess.PIPE,
            timeout=120,
            text=True,
        )
    return Ended(done.returncode, "", done.stderr)


@pytest.mark.parametrize(
    ("room", "code", "name", "kept"),
    [
        (140, 2, "conversation.wav", {"conversation.wav": 140, "events.jsonl": 127}),
        (3_000, 2, "conversation.wav", {"conversation.wav": 3_000, "transcript.md": 131}),
    ],
)
def test_a_full_disk_names_what_failed_first_and_keeps_the_rest(
    tmp_path: Path, room: int, code: int, name: str, kept: dict[str, int]
):
    ended = on_a_full_disk("run", str(QUESTION), "-o", "out", room=room, folder=tmp_path)
    one_line(ended, code, f"out/{name}: cannot be written (File too large)")
    sizes = {path.name: path.stat().st_size for path in (tmp_path / "out").iterdir()}
    assert sizes | kept == sizes
    assert [each for each in sizes if each.startswith(".")] == []


def whole(file: Path) -> None:
    """Fail if what is in the file is not read to its end without a word."""
    if file.suffix == ".wav":
        with wave.open(str(file)) as sound:
            frame = sound.getnchannels() * sound.getsampwidth()
            assert file.stat().st_size == 44 + frame * sound.getnframes()
    if file.name == "events.jsonl":
        assert read_events(file)


SCENARIO = f"""
[[line]]
file = {str(QUESTION)!r}
[[expect]]
turns = 1
"""


@pytest.mark.parametrize("room", [46, 20_001, 250_003])
@pytest.mark.parametrize("command", ["run", "simulate", "replay"])
def test_a_disk_that_gets_full_in_the_middle_leaves_whole_files(tmp_path: Path, command: str, room: int):
    (tmp_path / "a.toml").write_text(SCENARIO)
    (tmp_path / "kept").mkdir()
    write_events(tmp_path / "kept/events.jsonl", [ev.SessionEnded(3.0)])
    (tmp_path / "kept/conversation.wav").write_bytes(QUESTION.read_bytes())
    words = {"run": ["run", str(QUESTION), "-o", "out"], "simulate": ["simulate", "a.toml", "-o", "out"]}
    ended = on_a_full_disk(*words.get(command, ["replay", "kept"]), room=room, folder=tmp_path)
    ended.err = "".join(line for line in ended.err.splitlines(True) if line != "a\n")  # which is rehearsed
    one_line(ended, 2, "conversation.wav: cannot be written (File too large)")
    left = [file for file in tmp_path.rglob("*") if file.is_file()]
    assert [file for file in left if file.name.startswith(".")] == []
    for file in left:
        whole(file)


@pytest.mark.parametrize("ending", ["wav", "flac", "mp3", "ogg", "opus", "aiff"])
def test_a_sound_that_does_not_fit_leaves_nothing(tmp_path: Path, ending: str):
    ended = on_a_full_disk("say", "Hello.", "-o", f"a.{ending}", room=100, folder=tmp_path)
    one_line(ended, 2, f"a.{ending}: cannot be written (File too large)")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("words", [("config",), ("run", str(QUESTION), "-o", "out")], ids=lambda w: w[0])
def test_what_is_printed_to_a_full_disk_is_one_line(tmp_path: Path, words: tuple[str, ...]):
    ended = on_a_full_disk(*words, room=10_000_000, folder=tmp_path, out=Path("/dev/full"))
    one_line(ended, 1, "what is printed cannot be written (No space left on device)")


MODELS = [
    (("--llm", "nowhere.gguf"), ("neither a model nor a file", "backchat models list")),
    (("--llm", "smollm"), ("did you mean smollm2",)),
    (("--llm", "text.gguf"), ("text.gguf: not a GGUF file",)),
    (("--llm", "cut.gguf"), ("cut.gguf: ", "damaged")),
    (("--llm", "folder"), ("folder: cannot be read (Is a directory)",)),
    (("--stt", "folder"), ("no Whisper model here", "backchat models pull whisper-tiny.en")),
    (("--stt", "text.gguf"), ("no Whisper model here",)),
    (("--stt", "broken"), ("broken",)),
]


@pytest.mark.model
@pytest.mark.parametrize(("options", "said"), MODELS, ids=[" ".join(options) for options, _ in MODELS])
def test_a_missing_or_damaged_model_is_one_line(tmp_path: Path, options: tuple[str, str], said):
    (tmp_path / "text.gguf").write_text("no weights")
    (tmp_path / "folder").mkdir()
    whole, whisper = resolve("smollm2"), resolve("whisper-tiny.en")
    with whole.open("rb") as weights:
        (tmp_path / "cut.gguf").write_bytes(weights.read(1_000_000))
    (tmp_path / "broken").mkdir()
    for file in whisper.iterdir():
        (tmp_path / "broken" / file.name).write_bytes(file.read_bytes()[:100_000])
    ended = backchat("run", QUESTION, "-o", "out", "--llm", "smollm2", *options, folder=tmp_path)
    one_line(ended, 5, *said)
    assert not (tmp_path / "out").exists()


def test_no_network_on_the_first_run_is_one_line(tmp_path: Path):
    chosen = {"BACKCHAT_CACHE": str(tmp_path / "cache"), "BACKCHAT_OFFLINE": "1"}
    ended = backchat("run", QUESTION, "-o", "out", folder=tmp_path, **chosen)
    one_line(ended, 5, "is not on this machine and BACKCHAT_OFFLINE is set")
    assert not list(tmp_path.iterdir())


def test_no_way_to_the_network_says_what_to_type(tmp_path: Path):
    nowhere = "http://127.0.0.1:9"  # the port that discards; nobody listens
    env = {"BACKCHAT_CACHE": str(tmp_path / "cache"), "HF_ENDPOINT": nowhere, "PIP_INDEX_URL": nowhere}
    env |= {"PIP_RETRIES": "0", "PIP_CONFIG_FILE": os.devnull}
    ended = backchat("run", QUESTION, "-o", "out", folder=tmp_path, **env)
    ended.err = "\n".join(line for line in ended.err.splitlines() if ": fetching " not in line)
    one_line(ended, 5, "whisper-tiny.en: ", "check the network", "backchat models pull whisper-tiny.en")
    assert not (tmp_path / "out").exists()


def test_a_read_only_cache_is_one_line(tmp_path: Path):
    cache = tmp_path / "cache"
    cache.mkdir(mode=0o555)
    ended = backchat("run", QUESTION, "-o", "o", folder=tmp_path, mortal=True, BACKCHAT_CACHE=str(cache))
    one_line(ended, 5, f"the cache {cache} cannot be written (Permission denied)", "set BACKCHAT_CACHE")
    assert not (tmp_path / "o").exists()


@pytest.mark.model
def test_a_full_read_only_cache_is_used(tmp_path: Path):
    weights = resolve("smollm2")
    folder = tmp_path / "cache" / "models" / "smollm2"
    folder.mkdir(parents=True)
    (folder / weights.name).symlink_to(weights)
    folder.chmod(0o555)
    ended = backchat(
        "models",
        "where",
        "smollm2",
        folder=tmp_path,
        mortal=True,
        BACKCHAT_CACHE=str(cache := tmp_path / "cache"),
    )
    assert (ended.code, ended.err) == (0, "")
    assert ended.out.startswith(str(cache))


@pytest.mark.parametrize(
    ("module", "said"),
    [(NO_PORTAUDIO, "PortAudio is not installed; type: "), (NO_DEVICE, "no {} found; connect ")],
    ids=["no PortAudio", "no device"],
)
@pytest.mark.parametrize(
    ("words", "what"),
    [
        (("talk",), "microphone"),
        (("say", "Hello."), "speaker"),
        (("chat", "--aloud"), "speaker"),
        (("devices",), "sound device"),
    ],
)
def test_no_sound_is_one_line(tmp_path: Path, module: str, said: str, words: tuple[str, ...], what: str):
    (tmp_path / "sounddevice.py").write_text(module)
    path = os.pathsep.join([str(tmp_path), str(ROOT)])
    ended = backchat(*words, folder=tmp_path, PYTHONPATH=path)
    one_line(ended, 3, said.format(what))


class Fails:
    """An engine's generator or answer that raises, or that gives nothing for longer than its limit."""

    def __init__(self, how: str) -> None:
        self.how, self.left = how, 1

    def strike(self) -> None:
        if self.left:
            self.left = 0
            if self.how == "hangs":
                time.sleep(2.0)
            raise RuntimeError("out of paper\nand a second line")


class FailingSTT(Fails, scripted.ScriptedSTT):
    def __init__(self, how: str) -> None:
        Fails.__init__(self, how)
        scripted.ScriptedSTT.__init__(self, ["Why does it ring?"])

    def transcribe(self, audio, *, final=True):
        self.strike()
        return super().transcribe(audio, final=final)


class FailingLLM(Fails):
    def stream(self, messages) -> Iterator[str]:
        yield from ("It ", "is a bell. ")
        self.strike()
        yield "It rings."

    def prefill(self, messages) -> None:
        pass


class FailingTTS(Fails, scripted.ScriptedTTS):
    def __init__(self, how: str) -> None:
        Fails.__init__(self, how)
        scripted.ScriptedTTS.__init__(self)

    def stream(self, text: str):
        yield from super().stream(text[:5])
        self.strike()
        yield from super().stream(text[5:])


@pytest.mark.parametrize("how", ["raises", "hangs"])
@pytest.mark.parametrize("kind", ["stt", "llm", "tts"])
def test_an_engine_that_fails_costs_its_reply_and_no_more(tmp_path: Path, kind: str, how: str):
    engines = scripted.engines(["Why does it ring?"], ["It is a bell. It rings."])
    failing = {"stt": FailingSTT, "llm": FailingLLM, "tts": FailingTTS}[kind](how)
    object.__setattr__(engines, kind, failing)
    limits = [f"limits.{name}=1" for name in ("first_token", "token", "speech", "stt")]
    events: list[ev.Event] = []
    converse(
        engines,
        load(None, ["stt.interim=0", *limits]),
        [Line(scripted.loud(0.4)), Line(scripted.loud(0.4), "after", 3.0)],
        tmp_path / "c.wav",
        realtime=how == "hangs",
        watchers=[events.append],
    )
    error, *others = [event for event in events if isinstance(event, ev.Error)]
    assert error.message.startswith(f"the {kind} engine ")
    assert ("out of paper" if how == "raises" else "gave nothing for 1 s") in error.message
    assert "\n" not in error.message
    last = [event for event in events if isinstance(event, ev.TurnEnded)][-1]
    assert last.time > max(each.time for each in [error, *others])
    assert (last.reason, last.heard.strip(), last.unheard) == ("finished", "It is a bell. It rings.", "")
    assert isinstance(events[-1], ev.SessionEnded)
