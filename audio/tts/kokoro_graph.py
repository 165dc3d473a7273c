"""Opens a Kokoro network as it is published, made to give out its durations and to decode in chunks.

The published files give samples alone, though the network computes how long each phoneme lasts on its way:
where its graph rounds those lengths to whole frames, they become an output (as in `vits/piper_graph.py`).

Nearly all of the work is that of its decoder. The graph is cut in front of it, where a sentence is frames of
what is said, pitch and loudness, and the tone that the pitch makes, whose phase goes on from chunk to chunk.
Chunks are not exact as those of VITS: the decoder normalizes over the whole of what it is given (instance
normalization), and its numbers of 8 bits are scaled by it. What that changes is little more than what a
sentence without its last half second changes (`scripts/bench voices_tts`), and it is not heard where chunks
join at a quiet place. Knows no text and no voice.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from audio import onnx
from audio.errors import MissingExtra, ModelError
from audio.frame import Samples
from audio.tts.vits.chunks import Plan

DURATION = "duration"
"""What exports call the output that has them."""
STREAMED = Plan(first=80, growth=1.5, largest=600)
"""In frames of 25 ms. A first chunk that is shorter has too little to normalize over."""
NEAR = 16
"""Frames on each side of where a chunk would end in which the quietest place is looked for."""
HALO = 10
"""Frames that are decoded more on each side of a chunk: more of them bring it no nearer to the whole."""
FADE = 240
"""Samples in which a chunk goes over into the next."""


@dataclass(frozen=True, slots=True)
class Said:
    """A sentence of which it is known how it sounds.

    length: its samples. edges: when each id begins and the last one ends, in samples; shape (ids + 1,), None
    where the network does not say. chunks: its samples, in parts that are made when they are asked for.
    """

    length: int
    edges: np.ndarray | None
    chunks: Iterator[Samples]


@dataclass(slots=True)
class Network:
    """From a sentence's ids to its samples. style: how many numbers one has.

    decoder: what makes frames into samples, where the graph could be cut; else `session` makes all.
    """

    session: Any
    decoder: Any | None
    style: int
    _ids: str
    _types: dict[str, Any]
    plan: Plan = STREAMED

    def say(self, ids: list[int], style: np.ndarray, speed: float) -> Said:
        """ids: without the padding on both sides. style: shape (1, numbers)."""
        given = {
            self._ids: np.array([[0, *ids, 0]], self._types[self._ids]),
            "style": style.astype(self._types["style"]),
            "speed": np.array([speed]).astype(self._types["speed"]),
        }
        made: list[np.ndarray] = self.session.run(None, given)
        if self.decoder is None:
            samples = np.asarray(made[0], np.float32).ravel()
            return Said(len(samples), _edges(made[1:], len(ids), len(samples)), iter((samples,)))
        frames, lengths = made[: len(FRONTIER)], made[len(FRONTIER) :]
        length = frames[TONE].shape[1]
        chunks = _decoded(self.decoder, frames, given["style"], self.plan)
        return Said(length, _edges(lengths, len(ids), length), chunks)


def _decoded(decoder: Any, frames: Sequence[np.ndarray], style: np.ndarray, plan: Plan) -> Iterator[Samples]:
    """Samples, chunk by chunk. frames: what `FRONTIER` says."""
    count = frames[0].shape[2]
    hop = frames[TONE].shape[1] // count
    names = [each.name for each in decoder.get_inputs()]

    def decode(low: int, high: int) -> Samples:
        parts = [
            each.take(range(low * per, high * per), axis)
            for each, (axis, per) in zip(frames, ((2, 1), (1, 2), (1, 2), (1, hop)), strict=True)
        ]
        (samples,) = decoder.run(None, dict(zip(names, [*parts, style], strict=True)))
        return np.asarray(samples, np.float32).ravel()

    loudness = frames[LOUDNESS].reshape(count, 2).mean(1, dtype=np.float32)
    return joined(decode, cuts(loudness, plan), hop)


def cuts(loudness: np.ndarray, plan: Plan = STREAMED) -> list[int]:
    """Where chunks begin and the last one ends, in frames: each at the quietest place near its length.

    loudness: of each frame. What is left for the last chunk is no less than the others may be.
    """
    found, size = [0], plan.first
    while len(loudness) - found[-1] >= 2 * size:
        begin = found[-1] + size - NEAR
        found.append(begin + int(np.argmin(loudness[begin : begin + 2 * NEAR])))
        size = min(plan.largest, round(size * plan.growth))
    return [*found, len(loudness)]


def joined(decode: Callable[[int, int], Samples], at: Sequence[int], hop: int) -> Iterator[Samples]:
    """What `decode` makes of the frames between two of them, cut there, each going over into the next.

    hop: samples of a frame.
    """
    tail = np.zeros(0, np.float32)
    for begin, end in pairwise(at):
        low, high = max(0, begin - HALO), min(at[-1], end + HALO)
        last = end == at[-1]
        made = decode(low, high)[(begin - low) * hop : (end - low) * hop + (0 if last else FADE)].copy()
        rising = np.linspace(0.0, 1.0, len(tail), dtype=np.float32)
        made[: len(tail)] = tail * (1 - rising) + made[: len(tail)] * rising
        tail = made[len(made) if last else -FADE :]
        yield made[: len(made) - len(tail)]


def _edges(lengths: Sequence[np.ndarray], ids: int, samples: int) -> np.ndarray | None:
    if not lengths:
        return None
    ends = np.cumsum(np.asarray(lengths[0], np.float64).ravel())
    return ends[: ids + 1] * (samples / ends[-1])


def opened(path: Path, threads: int) -> Network:
    """The network at `path`. Raises MissingExtra without onnx, ModelError for another graph or no graph."""
    library, model = _read(path)
    graph = model.graph
    outputs = {output.name: output for output in graph.output}
    if DURATION not in outputs and (name := _rounded(graph)):
        outputs[DURATION] = library.helper.make_empty_tensor_value_info(name)
    samples = next(iter(outputs.values()))
    durations = [outputs[DURATION]] if DURATION in outputs else []
    frontier, decoder = _frontier(graph), None
    try:
        if frontier:
            front = [library.helper.make_empty_tensor_value_info(name) for name in frontier]
            session = onnx.session(
                _part(library, model, list(graph.input), [*front, *durations]), threads, alone=False
            )
            given = [
                library.helper.make_tensor_value_info(each.name, _KINDS[each.type], [None] * len(each.shape))
                for each in session.get_outputs()[: len(frontier)]
            ]
            style = next(each for each in graph.input if each.name == "style")
            decoder = onnx.session(_part(library, model, [*given, style], [samples]), threads, alone=False)
        else:
            session = onnx.session(_part(library, model, list(graph.input), [samples, *durations]), threads)
        inputs = {i.name: i for i in session.get_inputs()}
        ids = "input_ids" if "input_ids" in inputs else "tokens"
        types = {name: _NUMBERS[inputs[name].type] for name in (ids, "style", "speed")}
        return Network(session, decoder, int(inputs["style"].shape[-1]), ids, types)
    except onnx.faults() as error:
        raise ModelError(f"{path} cannot be loaded as Kokoro ({error})") from error


_NUMBERS = {
    "tensor(float)": np.float32,
    "tensor(float16)": np.float16,
    "tensor(int32)": np.int32,
    "tensor(int64)": np.int64,
}
_KINDS = {"tensor(float)": 1, "tensor(float16)": 10}
"""ONNX's own numbers for them (`TensorProto.DataType`)."""


def _read(path: Path) -> tuple[Any, Any]:
    """The library, and the model as it reads it."""
    try:
        import onnx as library
    except ImportError as error:
        raise MissingExtra("Kokoro needs the package onnx", "kokoro") from error
    from google.protobuf.message import DecodeError

    onnx_: Any = library
    try:
        return onnx_, onnx_.load(str(path))
    except DecodeError as error:
        raise ModelError(f"{path} cannot be loaded as Kokoro ({error})") from error


FRONTIER = ("what is said", "pitch", "loudness", "tone")
"""What the decoder is given of a sentence of n frames, besides its style; shapes (1, channels, n), (1, 2 n),
(1, 2 n), (1, samples, 1)."""
LOUDNESS, TONE = 2, 3


def _frontier(graph: Any) -> list[str]:
    """The tensors of `FRONTIER`, in its order; none where this graph is another.

    By the names that torch gives them: the decoder joins the first three (`Unsqueeze`, `Unsqueeze_1`,
    `Concat`), and its generator's `STFT` takes the tone, the last `Tanh` on the way to it.
    """
    named = {node.name: node for node in graph.node}
    makes = {output: node for node in graph.node for output in node.output}
    spectrum = next((node for node in graph.node if node.op_type == "STFT"), None)
    if spectrum is None:
        return []
    scope, _, _ = spectrum.name.partition("generator/")
    joins = [named.get(scope + name) for name in ("Concat", "Unsqueeze", "Unsqueeze_1")]
    tone = spectrum
    while tone is not None and tone.op_type != "Tanh":
        tone = makes.get(tone.input[0]) if tone.input else None
    if tone is None or not all(joins):
        return []
    return [*(node.input[0] for node in joins if node is not None), tone.output[0]]


def _part(library: Any, model: Any, inputs: Sequence[Any], outputs: Sequence[Any]) -> bytes:
    """The model between these tensors, as a model."""
    graph, helper = model.graph, library.helper
    makes = {output: at for at, node in enumerate(graph.node) for output in node.output}
    known, kept = {each.name for each in inputs}, set[int]()
    wanted = [each.name for each in outputs]
    while wanted:
        name = wanted.pop()
        if name not in known:
            known.add(name)
            if name in makes:
                kept.add(makes[name])
                wanted += graph.node[makes[name]].input
    nodes = [graph.node[at] for at in sorted(kept)]
    used = {name for node in nodes for name in node.input}
    fixed = [each for each in graph.initializer if each.name in used]
    made = helper.make_graph(nodes, graph.name or "part", list(inputs), list(outputs), fixed)
    kind = {"opset_imports": model.opset_import, "ir_version": model.ir_version}
    return helper.make_model(made, **kind).SerializeToString()


def _rounded(graph: Any) -> str | None:
    """The tensor of lengths in whole frames, at least one each: what is rounded, then clipped."""
    rounds = {node.output[0] for node in graph.node if node.op_type == "Round"}
    clipped = [node.output[0] for node in graph.node if node.op_type == "Clip" and node.input[0] in rounds]
    return clipped[0] if len(clipped) == 1 else None
