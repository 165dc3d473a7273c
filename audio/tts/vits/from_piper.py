"""From a Piper voice's ONNX file to what Coqui's VITS is built from. Knows names and shapes; runs no network.

Piper's export keeps the names of its training, which is the original VITS's, for nearly all weights. Nameless
are the embedding, the affine layer's scale, which was folded, and the weights of the flow's convolutions,
which were weight-normed: those are found by the nodes that use them.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from audio.errors import MissingExtra, ModelError
from audio.tts.piper import voice_files

Weights = dict[str, npt.NDArray[np.float32]]

_PUNCTUATION = "!'(),-.:;? "
_RENAMED = (
    (r"^enc_p\.", "text_encoder."),
    (r"^dec\.", "waveform_decoder."),
    (r"^dp\.flows\.0\.m$", "duration_predictor.flows.0.translation"),
    (r"^dp\.flows\.0\.logs$", "duration_predictor.flows.0.log_scale"),
    (r"^dp\.", "duration_predictor."),
)
"""From the original names to Coqui's. Both flows count differently, see `_renamed`."""

_NORMED = re.compile(
    r"^(waveform_decoder\.(ups|resblocks)\..*|flow\.flows\.\d+\.enc\..*_layers\.\d+)\.weight$"
)
"""What Coqui keeps as direction and length (weight norm)."""


@dataclass(frozen=True, slots=True)
class Converted:
    """A voice for Coqui's `Vits`.

    config: for `VitsConfig`; its model_args: for `VitsArgs`. weights: the state of the modules that speak;
    the posterior encoder, the discriminator and a few layers only for training are not in a Piper voice.
    """

    config: dict[str, Any]
    model_args: dict[str, Any]
    weights: Weights


def converted(voice: Path) -> Converted:
    """Read a Piper voice. Raises MissingExtra without onnx, ModelError for one of another kind."""
    try:
        import onnx
    except ImportError as error:
        raise MissingExtra("a Piper voice is read with onnx", "coqui") from error
    library: Any = onnx
    path, config = voice_files(voice)
    if config["num_speakers"] > 1:
        raise ModelError(f"{path} has several speakers; only voices with one can be converted")
    if config.get("phoneme_type", "espeak") != "espeak":
        raise ModelError(f"{path} does not read with espeak; only voices that do can be converted")
    try:
        graph = library.load(str(path)).graph
        named = _named(library, graph)
        args = _arguments(graph, named)
        characters, order = _characters(config["phoneme_id_map"])
    except (KeyError, StopIteration, ValueError) as error:
        raise ModelError(f"{path} is not a Piper voice as its export makes them ({error!r})") from error
    weights: Weights = {}
    for name, value in named.items():
        if new := _renamed(name):
            weights |= _normed(new, value) if _NORMED.match(new) else {new: value}
    weights["text_encoder.emb.weight"] = weights["text_encoder.emb.weight"][order]
    asked = config.get("inference", {})
    args |= {
        "inference_noise_scale": float(asked.get("noise_scale", 0.667)),
        "inference_noise_scale_dp": float(asked.get("noise_w", 0.8)),
        "length_scale": float(asked.get("length_scale", 1.0)),
        "num_chars": len(order),
    }
    hop = math.prod(args["upsample_rates_decoder"])
    audio = {"sample_rate": int(config["audio"]["sample_rate"]), "hop_length": hop, "win_length": 4 * hop}
    settings = {
        "audio": audio | {"fft_size": 4 * hop},
        "use_phonemes": True,
        "phonemizer": "espeak",
        "phoneme_language": config["espeak"]["voice"],
        "text_cleaner": None,
        "enable_eos_bos_chars": True,
        "add_blank": True,
        "characters": characters,
    }
    return Converted(settings, args, weights)


def _named(onnx: Any, graph: Any) -> Weights:
    """All weights by the names of training, the nameless ones by what their nodes are for."""
    found: Weights = {i.name: onnx.numpy_helper.to_array(i) for i in graph.initializer}
    embedding = next(n for n in graph.node if n.op_type == "Gather" and n.input[1] == "input")
    named = {name: value for name, value in found.items() if "." in name and "/" not in name}
    named["enc_p.emb.weight"] = found[embedding.input[0]]
    for node in graph.node:
        if node.op_type == "Conv" and len(node.input) == 3 and node.input[1] not in named:
            named[node.input[2].removesuffix("bias") + "weight"] = found[node.input[1]]
    shift = next(n for n in graph.node if "dp.flows.0.m" in n.input)
    scale = next(n for n in graph.node if shift.output[0] in n.input)
    (folded,) = (name for name in scale.input if name in found)
    named.setdefault("dp.flows.0.logs", -np.log(found[folded]))
    return named


def _renamed(name: str) -> str | None:
    """Coqui's name; it does not count the flips between the layers of a flow."""
    for pattern, new in _RENAMED:
        name = re.sub(pattern, new, name)
    if found := re.match(r"^(flow\.flows\.)(\d+)(.*)", name):
        return f"{found[1]}{int(found[2]) // 2}{found[3]}"
    if (found := re.match(r"^(duration_predictor\.flows\.)(\d+)(.*)", name)) and int(found[2]) > 0:
        return f"{found[1]}{(int(found[2]) + 1) // 2}{found[3]}"
    return name


def _normed(name: str, weight: npt.NDArray[np.float32]) -> Weights:
    base = f"{name.removesuffix('weight')}parametrizations.weight.original"
    return {f"{base}0": np.sqrt(np.square(weight).sum(axis=(1, 2), keepdims=True)), f"{base}1": weight}


def _arguments(graph: Any, named: Mapping[str, npt.NDArray[np.float32]]) -> dict[str, Any]:
    """The sizes of the network, from the shapes of its weights and the steps of its convolutions."""
    convolutions = {n.input[1]: n for n in graph.node if n.op_type in ("Conv", "ConvTranspose")}

    def step(name: str, attribute: str) -> int:
        return next(a.ints[0] for a in convolutions[name].attribute if a.name == attribute)

    def count(pattern: str) -> int:
        return len({found[1] for name in named if (found := re.match(pattern, name))})

    ups = [f"dec.ups.{n}.weight" for n in range(count(r"dec\.ups\.(\d+)\."))]
    kinds = count(r"dec\.resblocks\.(\d+)\.") // len(ups)
    two = any(".convs1." in name for name in named)
    convs = "convs1" if two else "convs"
    blocks = [
        [
            f"dec.resblocks.{n}.{convs}.{k}.weight"
            for k in range(count(rf"dec\.resblocks\.{n}\.{convs}\.(\d+)\."))
        ]
        for n in range(kinds)
    ]
    hidden = named["enc_p.emb.weight"].shape[1]
    relative = named["enc_p.encoder.attn_layers.0.emb_rel_k"]
    return {
        "hidden_channels": hidden,
        "hidden_channels_ffn_text_encoder": named["enc_p.encoder.ffn_layers.0.conv_1.weight"].shape[0],
        "num_heads_text_encoder": hidden // relative.shape[2],
        "num_layers_text_encoder": count(r"enc_p\.encoder\.attn_layers\.(\d+)\."),
        "kernel_size_text_encoder": named["enc_p.encoder.ffn_layers.0.conv_1.weight"].shape[2],
        "kernel_size_flow": named["flow.flows.0.enc.in_layers.0.weight"].shape[2],
        "num_layers_flow": count(r"flow\.flows\.0\.enc\.in_layers\.(\d+)\."),
        "use_sdp": "dp.flows.0.m" in named,
        "resblock_type_decoder": "1" if two else "2",
        "resblock_kernel_sizes_decoder": [named[names[0]].shape[2] for names in blocks],
        "resblock_dilation_sizes_decoder": [[step(name, "dilations") for name in names] for names in blocks],
        "upsample_rates_decoder": [step(name, "strides") for name in ups],
        "upsample_kernel_sizes_decoder": [named[name].shape[2] for name in ups],
        "upsample_initial_channel_decoder": named["dec.conv_pre.weight"].shape[0],
        "init_discriminator": False,
    }


def _characters(ids: Mapping[str, list[int]]) -> tuple[dict[str, Any], list[int]]:
    """Coqui's description of the voice's alphabet, and for each of its letters the row of Piper's embedding.

    Coqui's letters are single characters: phonemes that are written with two, in a few voices, are left out.
    """
    single = {sound: row[0] for sound, row in ids.items() if len(sound) == 1}
    marks = [c for c in _PUNCTUATION if c in single]
    letters = sorted(set(single) - set(marks) - set("_^$"))
    kept = {
        "characters_class": "TTS.tts.utils.text.characters.IPAPhonemes",
        "pad": "<PAD>",
        "eos": "$",
        "bos": "^",
        "blank": "_",
        "characters": "".join(letters),
        "punctuations": "".join(marks),
        "is_unique": False,
        "is_sorted": True,
    }
    # Coqui's order: pad, end, start, blank, letters, punctuation. The pad is masked, so any row does.
    return kept, [single[c] for c in ["_", "$", "^", "_", *letters, *marks]]
