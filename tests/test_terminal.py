"""Every command that draws, at a terminal: what stands on the screen, and that it can be typed on."""

from __future__ import annotations

import os
import sys
import time
import wave
from pathlib import Path

import pytest
from slow_hub import PULLED, slow_hub

from agent.reports.event_log import read_events
from agent.weights.catalogue import cache_dir, resolve
from terminal import Terminal, terminal

ROOT = Path(__file__).parents[1]
BACKCHAT = (sys.executable, "-c", "from agent.cli import main; main()")
SMALL = ("--llm", "smollm2", "--set", "llm.temperature=0", "--set", "llm.max_tokens=24")


def environment() -> dict[str, str]:
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "HF_ENDPOINT") if name in os.environ}
    return kept | {"PYTHONPATH": str(ROOT), "BACKCHAT_CACHE": str(cache_dir()), "TERM": "screen-256color"}


def at_a_terminal(*words: object, folder: Path = ROOT, width: int = 80, **env: str):
    return terminal([*BACKCHAT, *words], environment() | env, folder, width=width)


SCRIPTED = (
    "import sys; sys.path[:0] = {paths!r}\n"
    "import time, scripted, agent.engines.registry\n"
    "def load(config, progress, tell):\n"
    "    for part in ('the language model ' + 'of a long name ' * 5, 'the voice'):\n"
    "        tell(part); time.sleep(0.4)\n"
    "    return scripted.engines(['Why?'], {replies!r})\n"
    "agent.engines.registry.load = load\n"
    "from agent.cli import main; main()"
)


def with_scripted_engines(
    replies: list[str],
    *words: object,
    folder: Path = ROOT,
    within: tuple[str, ...] = (),
    width: int = 80,
    **env: str,
):
    """The same without weights: the agent says `replies` in turn, 0.06 s a character; started by `within`."""
    program = SCRIPTED.format(paths=[str(ROOT), str(ROOT / "tests")], replies=replies)
    command = [*within, sys.executable, "-c", program, *words]
    return terminal(command, environment() | env, folder, width=width)


def is_as_it_was(screen: Terminal) -> bool:
    """Whether the shell gets its terminal back: with a cursor, an echo, lines."""
    return screen.cursor_shown and screen.echoes


@pytest.mark.model
def test_chat_keeps_what_was_typed_and_all_of_what_was_answered():
    resolve("smollm2")
    with at_a_terminal("chat", *SMALL) as screen:
        screen.wait_for("you>")
        screen.type("Say hello.")
        screen.wait_for("you> Say hello.")  # the letters stand there while they are typed
        screen.press("Enter")
        seen = screen.wait(lambda lines: lines[-1] == "you>")
        at = seen.index("you> Say hello.")
        answer = " ".join(seen[at + 1 : -1])
        assert len(answer.split()) > 5, seen
        screen.type("Say no.\n")
        seen = screen.wait(lambda lines: lines[-1] == "you>")
        assert seen[at : at + 1] == ["you> Say hello."]
        assert answer == " ".join(seen[at + 1 : seen.index("you> Say no.")])
        screen.press("Enter")
        screen.wait_for("ended 0")
        assert is_as_it_was(screen)


@pytest.mark.device
def test_chat_aloud_asks_again_below_what_was_heard(sound_card):
    story = "Once upon a time there was a bell that rang for anybody who came by the house on the hill."
    with with_scripted_engines(
        ["Hello there.", story, "Good."], "chat", "--aloud", **sound_card.env
    ) as screen:
        screen.wait(lambda lines: lines[-1:] == ["you>"])
        screen.type("Say hello.\n")
        seen = screen.wait(lambda lines: lines[-1] == "you>")
        assert seen[-3:] == ["you> Say hello.", "Hello there.", "you>"]
        screen.type("Tell me a story.\n")
        time.sleep(2.5)
        screen.type("Stop that.\n")
        seen = screen.wait(lambda lines: lines[-1] == "you>" and "Good." in lines)
        typed, over, cut, *rest = seen[-5:]
        assert (typed, over, rest) == ("you> Tell me a story.", "Stop that.", ["Good.", "you>"])
        assert cut.endswith(" [cut]")
        assert story.startswith(cut.removesuffix(" [cut]"))
        screen.press("Enter")
        seen = screen.wait_for("ended 0")
        assert seen[-2:] == ["you>", "ended 0"]
        assert is_as_it_was(screen)


@pytest.mark.device
def test_letters_typed_over_an_answer_stay_and_are_kept(sound_card):
    """Also those of a line that is longer than the screen is wide, and what Backspace takes away is gone."""
    long = "and tell me of the house on the hill where it hung, and of who rang it, and why they came"
    with with_scripted_engines(
        ["Once upon a time there was a bell.", "Good."], "chat", "--aloud", **sound_card.env
    ) as screen:
        screen.wait(lambda lines: lines[-1:] == ["you>"])
        screen.type("Tell me a story.\n")
        screen.wait(lambda lines: lines[-1:] == ["you> Tell me a story."])
        screen.type(f"{long}xy")
        seen = screen.wait(lambda lines: lines[-1].endswith(f"you> {long}xy"))
        assert seen[-3:] == ["you> Tell me a story.", "Once upon a time there was a bell.", f"you> {long}xy"]
        screen.press("BSpace")
        screen.press("BSpace")
        screen.wait(lambda lines: lines[-1] == f"you> {long}")
        screen.press("Enter")
        seen = screen.wait(lambda lines: lines[-1] == "you>")
        assert seen[-4:] == ["Once upon a time there was a bell.", f"you> {long}", "Good.", "you>"]
        screen.press("C-c")
        screen.wait_for("ended 130")
        assert is_as_it_was(screen)


@pytest.mark.model
def test_what_is_typed_while_an_answer_is_printed_is_asked_next():
    resolve("smollm2")
    with at_a_terminal("chat", *SMALL) as screen:
        screen.wait_for("you>")
        screen.type("Say hello.\nSay no.\nSay")
        seen = screen.wait(lambda lines: lines[-1] == "you> Say")
        assert [line for line in seen if line.startswith("you>")] == [
            "you> Say hello.",
            "you> Say no.",
            "you> Say",
        ]
        screen.type(" yes.\n")
        seen = screen.wait(lambda lines: lines[-1] == "you>")
        assert "you> Say yes." in seen
        screen.press("C-d")
        screen.wait_for("ended 0")
        assert is_as_it_was(screen)


@pytest.mark.device
def test_talk_at_a_terminal_draws_one_picture_and_gives_the_terminal_back(sound_card):
    with with_scripted_engines(["Hello."], "talk", **sound_card.env) as screen:
        seen = screen.wait_for("listening")
        assert sum("Ctrl-C ends" in line for line in seen) == 1
        screen.press("C-c")
        seen = screen.wait_for("ended 130")
        assert seen[-2:] == ["stopped", "ended 130"]
        assert sum("Ctrl-C ends" in line for line in seen) == 1
        assert is_as_it_was(screen)


@pytest.mark.device
def test_talk_goes_on_when_the_disk_of_its_recording_is_full(sound_card, tmp_path: Path):
    full = ("prlimit", "--fsize=400001")  # 4.2 s of two voices
    words = ("talk", "--record", "kept")
    with with_scripted_engines(["Hello."], *words, folder=tmp_path, within=full, **sound_card.env) as screen:
        screen.wait_for("not recorded from here on")
        with sound_card.play(ROOT / "configs/demo/question.wav"):
            seen = screen.wait_for("agent  Hello.")
        assert any("not recorded from here on" in line for line in seen)
        screen.press("C-c")
        seen = screen.wait_for("ended 130")
        assert [line for line in seen if "Traceback" in line] == []
        assert is_as_it_was(screen)
    assert (tmp_path / "kept/conversation.wav").stat().st_size == 400_000
    with wave.open(str(tmp_path / "kept/conversation.wav")) as file:
        assert file.getnframes() == (400_000 - 44) // 4
    said = [type(event).__name__ for event in read_events(tmp_path / "kept/events.jsonl")]
    assert said.index("Error") < said.index("TurnOpened")
    assert said.count("Error") == 1


@pytest.mark.device
def test_talk_in_lines_at_a_terminal(sound_card):
    with with_scripted_engines(["Hello."], "talk", "--plain", **sound_card.env) as screen:
        screen.wait_for("listening; Ctrl-C ends")
        screen.press("C-c")
        seen = screen.wait_for("ended 130")
        whole = [line for line in seen if line]
        assert whole[2].startswith("sound: ")
        assert whole[:2] + whole[3:] == [  # no "^C": single keys are read, so none is shown
            "opening speaker and microphone",
            "listening; Ctrl-C ends",
            "stopped",
            "ended 130",
        ]
        assert is_as_it_was(screen)


def test_run_at_a_terminal_prints_whole_lines(tmp_path: Path):
    with with_scripted_engines(
        ["A bell."], "run", ROOT / "configs/demo/question.wav", "-o", "out", folder=tmp_path
    ) as screen:
        seen = screen.wait_for("ended 0")
    assert [line for line in seen if "loading" in line or "Traceback" in line] == []
    assert sum(line.endswith("s  user  Why?") for line in seen) == 1
    assert sum(line.endswith("s  agent   A bell.") for line in seen) == 1
    assert any(line.startswith("written to out: conversation.wav") for line in seen)


SCENARIO = f"""
[[line]]
file = "{ROOT / "configs/demo/question.wav"}"
[[expect]]
turns = 1
"""


@pytest.mark.parametrize("width", [80, 24])
def test_simulate_shows_what_it_loads_and_leaves_its_table(tmp_path: Path, width: int):
    (tmp_path / "bell.toml").write_text(SCENARIO)
    words = ("simulate", "bell.toml", "-o", "out")
    with with_scripted_engines(["A bell."], *words, folder=tmp_path, width=width) as screen:
        seen = screen.wait_for("loading the language")
        assert len(seen) == 1
        assert screen.cursor_shown
        seen = screen.wait_for("ended")
        assert is_as_it_was(screen)
    heading, row = "scenario  expectation  wanted  seen  ok", "bell      turns        1       1     yes"
    about = "1 of 1 expectations hold; written to out"
    assert seen == ["bell", heading, "-" * len(row), row, about, "ended 0"]


@pytest.mark.model
@pytest.mark.parametrize(("width", "bar"), [(80, True), (24, False)])
def test_pulling_shows_how_far_it_is_and_leaves_where_it_lies(tmp_path: Path, width: int, bar: bool):
    with slow_hub(2.0) as hub:
        env = {"HF_ENDPOINT": hub, "PIP_NO_INDEX": "1", "BACKCHAT_CACHE": str(tmp_path)}
        with at_a_terminal("models", "pull", PULLED, width=width, **env) as screen:
            seen = screen.wait_for("/63.2 MB")
            assert len(seen) == 1
            assert seen[0].startswith(f"{PULLED} ")
            assert ("\N{BOX DRAWINGS HEAVY HORIZONTAL}" in seen[0]) == bar
            seen = screen.wait_for("ended")
            assert "".join(seen) == f"{PULLED}: {tmp_path / 'models' / PULLED}ended 0"
            assert is_as_it_was(screen)


@pytest.mark.model
def test_pulling_what_is_there_is_one_line():
    home = resolve("smollm2")
    with at_a_terminal("models", "pull", "smollm2") as screen:
        seen = screen.wait_for("ended")
        assert "".join(seen) == f"smollm2: {home}ended 0"
        assert is_as_it_was(screen)


@pytest.mark.model
@pytest.mark.parametrize("words", [("chat",), ("serve", "--port", "0")], ids=lambda words: words[0])
def test_a_shell_is_told_130_when_it_is_ended_while_it_loads(words: tuple[str, ...]):
    resolve("smollm2")
    with at_a_terminal(*words, *SMALL) as screen:
        screen.wait_for("loading")
        screen.press("C-c")
        assert screen.wait_for("ended")[-1].endswith("^Cended 130")
        assert is_as_it_was(screen)


@pytest.mark.model
def test_a_server_that_is_told_to_end_ends_in_order():
    resolve("smollm2")
    with at_a_terminal("serve", "--port", "0", *SMALL) as screen:
        screen.wait_for("http://")
        screen.press("C-c")
        seen = screen.wait_for("ended")
        assert seen[-1] == "ended 0"
        assert any("stopping" in line for line in seen)
        assert is_as_it_was(screen)
