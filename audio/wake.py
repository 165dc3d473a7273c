"""Frames in, the moments at which a wake word was said out. Knows nothing of who listens then."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, cast, runtime_checkable

from audio.errors import MissingExtra, ModelError
from audio.frame import HEARING_RATE, Frame
from audio.pcm import pcm16

STEP = HEARING_RATE // 100
"""Samples of one row of microWakeWord's features: 10 ms."""

LATE = 0.12
"""Seconds from the end of the word to its detection: what is decided is a mean over the last 0.15 s. Measured
with "Hey Jarvis, what time is it?" of six voices: 0.06 to 0.15."""

APART = 1.0
"""Seconds without the word after which it may have been said again."""

TFLITE = b"TFL3"
"""What stands from the fifth byte on in a TensorFlow Lite file; the library itself crashes on others."""


@dataclass(frozen=True, slots=True)
class Detection:
    """A wake word was said. name: what it is called. end: when it was over (s), as far as can be told."""

    name: str
    end: float


class WakeWord(Protocol):
    """Hears one word, or a few, in frames. An object for each stream."""

    def feed(self, frame: Frame) -> Detection | None:
        """Whether a wake word ended in the next frame (16 kHz, contiguous with the last) or just before."""
        ...


@runtime_checkable
class ListsWords(Protocol):
    """What a wake word engine's class also has that comes with words."""

    @staticmethod
    def words() -> Mapping[str, str]:
        """Its words by name, and what to say for each. Raises MissingExtra."""
        ...


class MicroWakeWord:
    """microWakeWord: a small network on TensorFlow Lite that looks at 40 energies each 10 ms.

    Kevin Ahrendt's design and models (https://github.com/kahrendt/microWakeWord), in the library
    `pymicro-wakeword`.
    """

    def __init__(self, model: str = "hey_jarvis", threshold: float = 0.0) -> None:
        """Load a model: a name that the library has, or the path of its JSON file, the network beside it.

        threshold: mean probability from which the word was said; 0: the model's own. Raises MissingExtra
        without the library, ModelError for a model that is not there or is none.
        """
        library = _library()
        folder = Path(library.__file__).parent
        file = _file(model, folder / "models")
        about = _about(file)
        network = file.parent / str(about["model"])
        _check_network(network)
        self.name: str = about["wake_word"]
        self._threshold = threshold or float(about["micro"]["probability_cutoff"])
        # Not by its own `from_config`: it gives the library whatever file there is, and has no threshold.
        self._network: Any = library.MicroWakeWord(
            network.stem,
            wake_word=self.name,
            tflite_model=network,
            probability_cutoff=self._threshold,
            sliding_window_size=int(about["micro"]["sliding_window_size"]),
            trained_languages=[],
            libtensorflowlite_c_path=_runtime(folder),
        )
        self._features: Any = library.MicroWakeWordFeatures()
        self._last = -APART

    @staticmethod
    def words() -> dict[str, str]:
        """The models that come with the library by name, and what to say for each. Raises MissingExtra."""
        models = Path(_library().__file__).parent / "models"
        return {file.stem: str(_about(file)["wake_word"]) for file in sorted(models.glob("*.json"))}

    def feed(self, frame: Frame) -> Detection | None:
        """Whether the word ended in the next frame (16 kHz, contiguous with the last) or just before."""
        found: Detection | None = None
        for row in self._features.process_streaming(pcm16(frame.samples)):
            # It is 0 for the rows between two decisions: nothing may be concluded from a low one.
            if self._network.process_streaming_prob(row) > self._threshold:
                if frame.end - self._last >= APART:
                    found = Detection(self.name, frame.end - LATE)
                self._last = frame.end
        return found


def _library() -> Any:
    """pymicro-wakeword. Raises MissingExtra."""
    try:
        import pymicro_wakeword
    except ImportError as error:
        raise MissingExtra("a wake word needs pymicro-wakeword", "wake") from error
    return pymicro_wakeword


def _file(model: str, models: Path) -> Path:
    """The JSON file of a model."""
    names = sorted(each.stem for each in models.glob("*.json"))
    if model in names:
        return models / f"{model}.json"
    file = Path(model).expanduser()
    if file.is_file():
        return file.with_suffix(".json")
    raise ModelError(f"wake.model: no wake word is called {model!r}, and no file; known: {', '.join(names)}")


def _about(file: Path) -> dict[str, Any]:
    """What a model's JSON file says of it. Raises ModelError."""
    try:
        told = cast(dict[str, Any], json.loads(file.read_text(encoding="utf-8")))
        numbers = float(told["micro"]["probability_cutoff"]), int(told["micro"]["sliding_window_size"])
        if isinstance(told["model"], str) and isinstance(told["wake_word"], str) and min(numbers) > 0:
            return told
        why = "its values make no sense"
    except OSError as error:
        why = error.strerror or "it cannot be read"
    except KeyError as error:
        why = f"it has no {error.args[0]}"
    except (ValueError, TypeError) as error:
        why = str(error).partition("\n")[0]
    raise ModelError(f"wake.model: {file} is not a microWakeWord model's JSON file ({why})")


def _check_network(file: Path) -> None:
    """Raise ModelError for what is no TensorFlow Lite file."""
    try:
        with file.open("rb") as opened:
            head = opened.read(8)
    except OSError as error:
        raise ModelError(f"wake.model: {file}: {error.strerror}") from error
    if head[4:] != TFLITE:
        raise ModelError(f"wake.model: {file} is no TensorFlow Lite network")


def _runtime(folder: Path) -> Path:
    """The TensorFlow Lite library that comes with the package. Raises ModelError."""
    found = next(iter(sorted((folder / "lib").glob("*tensorflowlite_c.*"))), None)
    if found is None:
        raise ModelError("wake.engine: pymicro-wakeword has no TensorFlow Lite for this machine")
    return found
