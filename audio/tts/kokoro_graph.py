"""Opens a Kokoro network as it is published, made to give out its durations. Knows no text and no voice.

The published files give samples alone, though the network computes how long each phoneme lasts on its way:
where its graph rounds those lengths to whole frames, they become an output (as in `vits/piper_graph.py`).
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from audio import onnx
from audio.errors import MissingExtra, ModelError
from audio.frame import Samples

DURATION = "duration"
"""What exports call the output that has them."""


@dataclass(slots=True)
class Network:
    """From a sentence's ids to its samples. style: how many numbers one has."""

    session: Any
    style: int
    _ids: str
    _types: dict[str, Any]

    def run(self, ids: list[int], style: np.ndarray, speed: float) -> tuple[Samples, np.ndarray | None]:
        """The samples, and when each id begins and the last one ends, in samples from the first; shape
        (ids + 1,), None where this network does not say.

        ids: without the padding on both sides. style: shape (1, numbers).
        """
        given = {
            self._ids: np.array([[0, *ids, 0]], self._types[self._ids]),
            "style": style.astype(self._types["style"]),
            "speed": np.array([speed]).astype(self._types["speed"]),
        }
        samples, *lengths = self.session.run(None, given)
        samples = np.asarray(samples, np.float32).ravel()
        if not lengths:
            return samples, None
        ends = np.cumsum(np.asarray(lengths[0], np.float64).ravel())
        return samples, ends[: len(ids) + 1] * (len(samples) / ends[-1])


def opened(path: Path, threads: int) -> Network:
    """The network at `path`. Raises MissingExtra without onnx, ModelError for another graph or no graph."""
    try:
        session = onnx.session(_with_durations(path), threads)
        inputs = {i.name: i for i in session.get_inputs()}
        ids = "input_ids" if "input_ids" in inputs else "tokens"
        types = {name: _NUMBERS[inputs[name].type] for name in (ids, "style", "speed")}
        return Network(session, int(inputs["style"].shape[-1]), ids, types)
    except onnx.faults() as error:
        raise ModelError(f"{path} cannot be loaded as Kokoro ({error})") from error


_NUMBERS = {
    "tensor(float)": np.float32,
    "tensor(float16)": np.float16,
    "tensor(int32)": np.int32,
    "tensor(int64)": np.int64,
}


def _with_durations(path: Path) -> bytes:
    """The model's bytes, its outputs samples and, where one can be found, durations."""
    try:
        import onnx as library
    except ImportError as error:
        raise MissingExtra("Kokoro needs the package onnx", "kokoro") from error
    from google.protobuf.message import DecodeError

    onnx_: Any = library
    try:
        model = onnx_.load(str(path))
    except DecodeError as error:
        raise ModelError(f"{path} cannot be loaded as Kokoro ({error})") from error
    graph = model.graph
    outputs = {output.name: output for output in graph.output}
    if DURATION not in outputs and (name := _rounded(graph)):
        outputs[DURATION] = onnx_.helper.make_tensor_value_info(name, onnx_.TensorProto.FLOAT, None)
    samples = next(iter(outputs.values()))
    del graph.output[:]
    graph.output.extend([samples, *([outputs[DURATION]] if DURATION in outputs else [])])
    return model.SerializeToString()


def _rounded(graph: Any) -> str | None:
    """The tensor of lengths in whole frames, at least one each: what is rounded, then clipped."""
    rounds = {node.output[0] for node in graph.node if node.op_type == "Round"}
    clipped = [node.output[0] for node in graph.node if node.op_type == "Clip" and node.input[0] in rounds]
    return clipped[0] if len(clipped) == 1 else None
