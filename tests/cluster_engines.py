"""Scripted engines as another package offers them, for processes that only their name reaches."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from agent.messages import Message
from agent.protocols import Finish
from agent.testing import LoudnessDetector, ScriptedLLM, ScriptedSTT, ScriptedTTS

SETTINGS = (
    *("stt.engine=scripted", "llm.engine=scripted", "tts.engine=scripted", "vad.engine=scripted"),
    *("turns.meaning=off", "stt.interim=0", "server.load=1", "server.rate=100000", "server.port=0"),
)
"""What chooses them."""
COUNT = "one two three four five six seven eight nine ten."
TOKEN = 0.005
"""Seconds that a token takes."""


class STT(ScriptedSTT):
    """Understands the same again and again."""

    def __init__(self) -> None:
        super().__init__(["hello there"])


class LLM(ScriptedLLM):
    """Says what was asked, and counts; asked which words, what it knows to have said last."""

    def __init__(self) -> None:
        super().__init__([""])

    def slots(self) -> list[LLM]:
        return [LLM() for _ in range(64)]

    def stream(self, messages: Sequence[Message]) -> Iterator[str]:
        asked = messages[-1].content
        said = [message.content for message in messages if message.role == "assistant"]
        self.replies, self.open = [said[-1] if asked == "Which words" else f"{asked} {COUNT}"], 0
        for token in super().stream(messages):
            time.sleep(TOKEN)
            yield token
        yield Finish("", "stop", 1, 10)


class TTS(ScriptedTTS):
    """A tone."""

    def __init__(self) -> None:
        super().__init__()


class VAD(LoudnessDetector):
    """Hears loudness."""

    def __init__(self) -> None:
        super().__init__()


def offer(folder: Path) -> None:
    """Have these found by name, here and in processes that are started from here."""
    info = folder / "cluster_engines-1.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: cluster-engines\nVersion: 1\n")
    kinds = {"stt": "STT", "llm": "LLM", "tts": "TTS", "vad": "VAD"}
    points = (f"[backchat.{kind}]\nscripted = cluster_engines:{name}\n" for kind, name in kinds.items())
    (info / "entry_points.txt").write_text("".join(points))
    found = [str(folder), str(Path(__file__).parent)]
    os.environ["PYTHONPATH"] = os.pathsep.join([*found, *filter(None, [os.environ.get("PYTHONPATH")])])
    sys.path[:0] = found
