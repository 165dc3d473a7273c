"""Signs shown and asked about aloud: whether the spoken answer has their words, and what looking costs.

Photo-like pictures are made here: fonts, sizes, tilt to 10 degrees, perspective, light, blur, noise, JPEG.
"""

from __future__ import annotations

import dataclasses
import io
import os
import re
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from agent import events as ev
from agent.config import load
from agent.conversation.speak import render
from agent.engines import registry as engines
from agent.images import open_image
from agent.reports import waits as report
from agent.simulation.virtual import Line, converse
from agent.weights import catalogue as models
from audio.files import read_channels
from audio.frame import HEARING_RATE, Frame
from audio.stt.whisper import Whisper
from benchmarks.results import Results

QUESTION = "What does this sign say?"
RIGHT = 0.9
"""Share of the signs whose words must be in the answer."""


@dataclass(frozen=True)
class Sign:
    """A sign as it is photographed. tilt: degrees. lean: how much narrower the far side is. light: 0 to 1."""

    lines: tuple[str, ...]
    font: str
    height: int
    ink: str
    ground: str
    tilt: float = 0.0
    lean: float = 0.0
    light: float = 1.0
    noise: float = 6.0
    blur: float = 0.6


SIGNS = (
    Sign(("NO PARKING",), "DejaVuSans-Bold", 70, "#b01020", "white", tilt=4),
    Sign(("Beware of the dog",), "DejaVuSerif", 54, "black", "#f3d94e", tilt=-7, noise=10),
    Sign(("WET FLOOR",), "DejaVuSans", 80, "black", "#ffcf20", tilt=10, lean=0.15),
    Sign(("Fresh bread", "every morning"), "DejaVuSerif-Italic", 60, "#5a3010", "#f6ead0", lean=0.2),
    Sign(("PLEASE RING", "THE BELL"), "DejaVuSansMono-Bold", 44, "#20304a", "#e8eef4", tilt=-10, light=0.6),
    Sign(("Emergency exit",), "DejaVuSans-Bold", 50, "white", "#0a7a3c", tilt=2, lean=0.25, noise=14),
    Sign(("Closed on Sunday",), "STIXGeneralBol", 66, "black", "#fafafa", tilt=6, blur=1.2),
    Sign(("Keep off the grass",), "default", 58, "white", "#2f5d2a", tilt=-3, noise=12),
    Sign(("Swimming pool",), "DejaVuSans-Oblique", 34, "#103a80", "#d8ecff", tilt=8, light=0.7),
    Sign(("NO SMOKING",), "cmr10", 90, "#a00000", "white", tilt=-9, lean=0.1, noise=10, blur=1.0),
)


def photo(sign: Sign, seed: int) -> bytes:
    """The sign as a JPEG of 960 x 720 pixels."""
    from PIL import Image, ImageDraw, ImageFilter

    font, rng = _font(sign), np.random.default_rng(seed)
    text = "\n".join(sign.lines)
    board = Image.new("RGBA", (880, 620))
    draw = ImageDraw.Draw(board)
    box = draw.multiline_textbbox((440, 310), text, font=font, anchor="mm", align="center")
    margin = sign.height // 2
    edges = (box[0] - margin, box[1] - margin, box[2] + margin, box[3] + margin)
    draw.rounded_rectangle(edges, 14, fill=sign.ground, outline=sign.ink, width=4)
    draw.multiline_text((440, 310), text, font=font, fill=sign.ink, anchor="mm", align="center")
    if sign.lean:
        far = sign.lean * board.height / 2
        corners = ((0, -far), (0, board.height + far), (board.width, board.height), (board.width, 0))
        shape = Image.Transform.QUAD
        board = board.transform(
            board.size, shape, [x for one in corners for x in one], Image.Resampling.BICUBIC
        )
    board = board.rotate(sign.tilt, Image.Resampling.BICUBIC, expand=True)
    wall = np.linspace(90, 170, 960)[None, :, None] + rng.normal(0, 12, (720, 960, 1)) + np.zeros(3)
    scene = Image.fromarray(wall.clip(0, 255).astype(np.uint8)).filter(ImageFilter.GaussianBlur(3))
    scene.paste(board, ((960 - board.width) // 2, (720 - board.height) // 2), board)
    scene = scene.filter(ImageFilter.GaussianBlur(sign.blur))
    shade = np.linspace(1.0, sign.light, 720)[:, None, None]
    pixels = np.asarray(scene, np.float32) * shade + rng.normal(0, sign.noise, (720, 960, 3))
    out = io.BytesIO()
    Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(out, "JPEG", quality=70)
    return out.getvalue()


def _font(sign: Sign) -> Any:
    from PIL import ImageFont

    if sign.font == "default":
        return ImageFont.load_default(sign.height)
    import matplotlib

    return ImageFont.truetype(Path(matplotlib.get_data_path(), "fonts/ttf", f"{sign.font}.ttf"), sign.height)


def words(text: str) -> list[str]:
    """What must agree: the words, whatever their case and punctuation."""
    return re.findall(r"[a-z0-9]+", text.lower())


def said(sign: Sign, answer: str) -> bool:
    """Whether all words of the sign are in the answer, one behind the other."""
    wanted = " ".join(words(" ".join(sign.lines)))
    return f" {wanted} " in f" {' '.join(words(answer))} "


def run() -> Results:
    results = Results("vision")
    config = load(None, ["llm.max_tokens=60"])
    signs = SIGNS[: int(os.environ.get("BENCH_SIGNS", len(SIGNS)))]
    with models.progress_bar() as progress:
        loaded = engines.load(config, progress)
        judge = Whisper(models.resolve("whisper-base", progress))
    asked = Frame(render(QUESTION, loaded.tts), loaded.tts.rate).at_rate(HEARING_RATE)
    right = 0
    for number, sign in enumerate(signs):
        image = open_image(photo(sign, number))
        with tempfile.TemporaryDirectory() as folder:
            seen: list[ev.Event] = []
            recording = Path(folder) / "conversation.wav"
            converse(loaded, config, [Line(asked)], recording, watchers=[seen.append], image=image)
            heard = judge.transcribe(read_channels(recording)[1].at_rate(HEARING_RATE), final=True).text
        (look,) = [event for event in seen if isinstance(event, ev.Seen)][-1:]
        (turn,) = [one for one in report.turns(seen) if one.reason == "finished"][-1:]
        good = said(sign, heard)
        right += good
        row = {"sign": " / ".join(sign.lines), "font": sign.font, "tilt": sign.tilt, "right": str(good)}
        waits = {"eye (s)": look.took, "eye waited for (s)": dict(turn.parts).get(report.VISION, 0.0)}
        results.add({**row, **waits, "heard": report.shorten(heard, 70)})
    results.target("share of signs whose words were in the answer", right / len(signs), ">=", RIGHT)
    blind = dataclasses.replace(loaded, vision=None)
    waited = [_voice_to_voice(each, config, asked) for each in (loaded, blind)]
    results.target(
        "voice to voice without a picture, with a vision engine less without one (s)",
        waited[0] - waited[1],
        "<=",
        0.05,
    )
    return results


def _voice_to_voice(loaded: engines.Engines, config: Any, asked: Frame) -> float:
    """The median wait for three answers, on the virtual clock with declared costs."""
    declared = config.model_copy(update={"costs": config.costs.model_copy(update={"mode": "declared"})})
    seen: list[ev.Event] = []
    with tempfile.TemporaryDirectory() as folder:
        converse(loaded, declared, [Line(asked)], Path(folder) / "c.wav", watchers=[seen.append])
    return max(turn.voice_to_voice or 0.0 for turn in report.turns(seen))
