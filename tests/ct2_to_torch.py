"""A Whisper in transformers' format out of one in CTranslate2's. Knows both layouts, and no sound.

No model hub is reachable where this was written, so the real weights for the engine on torch come from the
catalogue's, which are in CTranslate2's format: unquantised float16, so that nothing is lost on the way.
"""

from __future__ import annotations

import json
import re
import shutil
import struct
from pathlib import Path
from typing import BinaryIO

import numpy as np
import torch
import transformers

TYPES = [np.float32, np.int8, np.int16, np.int32, np.float16]

NAMES = [
    (r"(encoder|decoder)/embeddings/weight", r"model.\1.embed_tokens.weight"),
    (r"(encoder|decoder)/position_encodings/encodings", r"model.\1.embed_positions.weight"),
    (r"encoder/(conv\d)/", r"model.encoder.\1."),
    (r"(encoder|decoder)/layer_norm/", r"model.\1.layer_norm."),
    (r"(encoder|decoder)/layer_(\d+)/", r"model.\1.layers.\2."),
    (r"self_attention/layer_norm/", "self_attn_layer_norm."),
    (r"self_attention/linear_1/", "self_attn.out_proj."),
    (r"attention/layer_norm/", "encoder_attn_layer_norm."),
    (r"attention/linear_0/", "encoder_attn.q_proj."),
    (r"attention/linear_2/", "encoder_attn.out_proj."),
    (r"ffn/layer_norm/", "final_layer_norm."),
    (r"ffn/linear_0/", "fc1."),
    (r"ffn/linear_1/", "fc2."),
    (r"gamma$", "weight"),
    (r"beta$", "bias"),
]


def variables(file: BinaryIO) -> dict[str, np.ndarray]:
    """The arrays of a `model.bin`, version 6: name, shape, type and bytes of each, one after another."""

    def numbers(form: str) -> tuple[int, ...]:
        return struct.unpack(f"<{form}", file.read(struct.calcsize(f"<{form}")))

    def text() -> str:
        return file.read(*numbers("H")).rstrip(b"\0").decode()

    (version,), spec, (_, count) = numbers("I"), text(), numbers("II")
    assert (version, spec) == (6, "WhisperSpec")
    found = {}
    for _ in range(count):
        name, (rank,) = text(), numbers("B")
        shape, (kind,), (size,) = numbers(f"{rank}I"), numbers("B"), numbers("I")
        found[name] = np.frombuffer(file.read(size), TYPES[kind]).reshape(shape)
    return found


def state(arrays: dict[str, np.ndarray]) -> dict[str, torch.Tensor]:
    """The weights by the names that transformers has for them."""
    found = {}
    for name, array in arrays.items():
        if array.ndim == 0 or "alignment" in name:
            continue
        fused = re.fullmatch(r"(.*?)((?:self_)?attention)/linear_([01])/(weight|bias)", name)
        parts = {"self_attention0": "qkv", "attention1": "kv"}.get(fused[2] + fused[3], "") if fused else ""
        if fused and parts:  # queries, keys and values in one
            end = f"{'self' if fused[2] == 'self_attention' else 'encoder'}_attn"
            names = [f"{fused[1]}{end}.{part}_proj.{fused[4]}" for part in parts]
        else:
            names = [name]
        for one, part in zip(names, np.split(array, len(names)), strict=True):
            for old, new in NAMES:
                one = re.sub(old, new, one)
            found[one] = torch.from_numpy(part.astype(np.float32))
    found = {name: tensor for name, tensor in found.items() if not name.endswith("k_proj.bias")}
    return found | {"proj_out.weight": found["model.decoder.embed_tokens.weight"]}


def convert(source: Path, target: Path) -> None:
    """Write the model in the folder `source` as `save_pretrained` would, float32, into `target`."""
    with (source / "model.bin").open("rb") as file:
        arrays = variables(file)
    given = json.loads((source / "config.json").read_text())
    weights = state(arrays)
    size, width = weights["model.decoder.embed_tokens.weight"].shape

    def layers(half: str) -> int:
        return len({name.split(".")[3] for name in weights if name.startswith(f"model.{half}.layers.")})

    end = 50256 if size == 51864 else 50257
    config = transformers.WhisperConfig(
        vocab_size=size,
        d_model=width,
        num_mel_bins=weights["model.encoder.conv1.weight"].shape[1],
        encoder_layers=layers("encoder"),
        decoder_layers=layers("decoder"),
        encoder_attention_heads=int(arrays["encoder/num_heads"]),
        decoder_attention_heads=int(arrays["decoder/num_heads"]),
        encoder_ffn_dim=weights["model.encoder.layers.0.fc1.weight"].shape[0],
        decoder_ffn_dim=weights["model.decoder.layers.0.fc1.weight"].shape[0],
        eos_token_id=end,
        bos_token_id=end,
        pad_token_id=end,
        decoder_start_token_id=end + 1,
    )
    model = transformers.WhisperForConditionalGeneration(config)
    model.load_state_dict(weights)
    model.generation_config.suppress_tokens = given["suppress_ids"]
    model.generation_config.begin_suppress_tokens = given["suppress_ids_begin"]
    model.save_pretrained(target)
    shutil.copy(source / "tokenizer.json", target)
