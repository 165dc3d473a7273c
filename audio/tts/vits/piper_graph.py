"""Cuts a Piper voice's ONNX graph in three: durations, frames, decoder. Knows ONNX; no text and no sound.

Piper exports a voice as one graph from phoneme ids to samples. Cut at its two sources of noise and at the
decoder's input, the noise becomes an input (so that a seed decides it), durations become visible, and the
decoder can be run on a few frames at a time.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from audio.errors import MissingExtra, ModelError

NOISE = "RandomNormalLike"
"""The operation that Piper's export draws noise with: first for the durations, then for the frames."""


@dataclass(frozen=True, slots=True)
class Cut:
    """Three models, serialized, and the names of what passes between them.

    durations: from `input`, `input_lengths`, `scales` (and `sid`) and the tensor `duration_noise`, shape
        (1, 2, ids), to `lengths`, frames of each id, `like`, whose shape the second noise has, and the rest
        of what `frames` takes.
    frames: from that and the tensor `frame_noise` to `latent`, shape (1, channels, frames), and the rest of
        what `decoder` takes. frame_halo: frames on each side that it looks at.
    decoder: from `latent` to samples, shape (1, 1, 1, frames * hop). halo: frames that it looks at.
    """

    durations: bytes
    frames: bytes
    decoder: bytes
    duration_noise: str
    frame_noise: str
    lengths: str
    like: str
    latent: str
    output: str
    frame_halo: int
    halo: int
    hop: int


def cut(path: Path) -> Cut:
    """Read the voice at `path` and cut it. Raises MissingExtra without onnx, ModelError for another graph."""
    try:
        import onnx
    except ImportError as error:
        raise MissingExtra("Piper needs the package onnx", "piper") from error
    from google.protobuf.message import DecodeError

    library: Any = onnx
    try:
        model = library.shape_inference.infer_shapes(library.load(str(path)))
        return _cut(library, model)
    except (StopIteration, KeyError, ValueError, OSError, library.checker.ValidationError) as error:
        raise ModelError(f"{path} is not a Piper voice that can be streamed ({error!r})") from error
    except DecodeError as error:
        raise ModelError(f"{path} is not an ONNX model ({error})") from error


def _cut(onnx: Any, model: Any) -> Cut:
    graph = model.graph
    nodes = list(graph.node)
    first, second = (node for node in nodes if node.op_type == NOISE)
    lengths = next(node for node in nodes if node.op_type == "Ceil").output[0]
    pre = next(node for node in nodes if "dec.conv_pre.weight" in node.input)
    latent, output = pre.input[0], graph.output[0].name
    like = second.input[0]

    made = {name: at for at, node in enumerate(nodes) for name in node.output}
    before = _ancestors(nodes, made, {lengths, like} | _beside(nodes, second.output[0]))
    middle = _ancestors(nodes, made, {latent}) - before
    after = set(range(len(nodes))) - before - middle
    noise = {at for at, node in enumerate(nodes) if node.op_type == NOISE}
    known = {i.name: i for i in (*graph.input, *graph.value_info)}
    whole = {i.name for i in graph.initializer} | {""}

    def part(keep: set[int], wanted: Iterable[str]) -> bytes:
        chosen = [nodes[at] for at in sorted(keep - noise)]
        inside = {name for node in chosen for name in node.output}
        needed = {name for node in chosen for name in node.input} - inside
        weights = [i for i in graph.initializer if i.name in needed]
        inputs = [_typed(onnx, known, name) for name in sorted(needed - whole)]
        outputs = [_typed(onnx, known, name) for name in sorted(set(wanted))]
        made = onnx.helper.make_graph(chosen, "part", inputs, outputs, weights)
        return onnx.helper.make_model(
            made, opset_imports=model.opset_import, ir_version=model.ir_version
        ).SerializeToString()

    def taken(keep: set[int], given: set[int]) -> set[str]:
        """What nodes `keep` take from nodes `given`."""
        wanted = {name for at in keep - noise for name in nodes[at].input}
        return wanted & {name for at in given - noise for name in nodes[at].output}

    hop = 1
    for at in after:
        if nodes[at].op_type == "ConvTranspose":
            hop *= _ints(nodes[at], "strides", 1)[0]
    return Cut(
        durations=part(before, {lengths, like} | taken(middle | after, before)),
        frames=part(middle, {latent} | taken(after, middle)),
        decoder=part(after, [output]),
        duration_noise=first.output[0],
        frame_noise=second.output[0],
        lengths=lengths,
        like=like,
        latent=latent,
        output=output,
        frame_halo=_reach(nodes, middle, second.output[0], latent, 1),
        halo=_reach(nodes, after, latent, output, hop),
        hop=hop,
    )


def _ancestors(nodes: list[Any], made: dict[str, int], names: set[str]) -> set[int]:
    """Indices of all nodes that the tensors `names` are computed from."""
    found: set[int] = set()
    todo = [made[name] for name in names if name in made]
    while todo:
        at = todo.pop()
        if at not in found:
            found.add(at)
            todo += [made[name] for name in nodes[at].input if name in made]
    return found


def _beside(nodes: list[Any], noise: str) -> set[str]:
    """What the noise is scaled with and added to, mean + noise * deviation * scale, frame by frame."""
    found: set[str] = set()
    while True:
        node = next(node for node in nodes if noise in node.input)
        found |= set(node.input) - {noise}
        if node.op_type == "Add":
            return found
        noise = node.output[0]


def _typed(onnx: Any, known: dict[str, Any], name: str) -> Any:
    """The tensor as a model's input or output: its type, and no shape, which texts differ in."""
    kind = known[name].type.tensor_type.elem_type if name in known else onnx.TensorProto.FLOAT
    return onnx.helper.make_tensor_value_info(name, kind, None)


def _reach(nodes: list[Any], part: set[int], source: str, output: str, hop: int) -> int:
    """Frames of `source` on each side of a frame that the `hop` samples of `output` for it depend on.

    Goes back through the convolutions, widening for each tensor the stretch of it that is needed.
    """
    need: dict[str, tuple[int, int]] = {output: (0, hop - 1)}
    for at in sorted(part, reverse=True):
        node = nodes[at]
        if node.output[0] not in need:
            continue
        low, high = need[node.output[0]]
        sources = list(node.input)
        if node.op_type in ("Conv", "ConvTranspose"):
            sources = sources[:1]
            kernel, pad = _ints(node, "kernel_shape", 1)[0], _ints(node, "pads", 0)[0]
            stride, dilation = _ints(node, "strides", 1)[0], _ints(node, "dilations", 1)[0]
            if node.op_type == "Conv":
                low, high = low - pad, high - pad + (kernel - 1) * dilation
            else:
                low, high = -((kernel - 1 - pad - low) // stride), (high + pad) // stride
        for name in sources:
            known = need.get(name, (low, high))
            need[name] = min(low, known[0]), max(high, known[1])
    low, high = need[source]
    return max(-low, high)


def _ints(node: Any, name: str, default: int) -> list[int]:
    return next((list(a.ints) for a in node.attribute if a.name == name), [default])
