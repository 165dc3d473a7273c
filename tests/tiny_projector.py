"""A projector file for llama.cpp with a few thousand random weights, as LLaVA's are made. Needs `gguf`."""

from __future__ import annotations

from pathlib import Path

import numpy as np


def save_projector(path: Path, width: int, *, size: int = 56, patch: int = 14, hidden: int = 32) -> Path:
    """Save a vision tower of two layers and its projection to `width`, the language model's own."""
    import gguf

    writer = gguf.GGUFWriter(path, "clip")
    writer.add_type("mmproj")
    writer.add_file_type(0)
    for key, flag in (("clip.has_vision_encoder", True), ("clip.use_gelu", True)):
        writer.add_bool(key, flag)
    writer.add_string("clip.projector_type", "mlp")
    numbers = {
        "image_size": size,
        "patch_size": patch,
        "embedding_length": hidden,
        "feed_forward_length": 2 * hidden,
        "projection_dim": width,
        "block_count": 2,
        "attention.head_count": 2,
    }
    for key, number in numbers.items():
        writer.add_uint32(f"clip.vision.{key}", number)
    writer.add_float32("clip.vision.attention.layer_norm_epsilon", 1e-5)
    for key, level in (("image_mean", 0.5), ("image_std", 0.25)):
        writer.add_array(f"clip.vision.{key}", [level] * 3)
    rng = np.random.default_rng(0)

    def add(name: str, *shape: int) -> None:
        values = np.ones(shape) if name.endswith("ln.weight") else rng.normal(0, 0.2, shape)
        writer.add_tensor(name, values.astype(np.float32))

    add("v.patch_embd.weight", hidden, 3, patch, patch)
    add("v.class_embd", hidden)
    add("v.position_embd.weight", (size // patch) ** 2 + 1, hidden)
    norms = ["v.pre_ln", "v.post_ln", *(f"v.blk.{i}.{name}" for i in range(2) for name in ("ln1", "ln2"))]
    for name in norms:
        add(f"{name}.weight", hidden)
        add(f"{name}.bias", hidden)
    for block in range(2):
        for name in ("attn_q", "attn_k", "attn_v", "attn_out"):
            add(f"v.blk.{block}.{name}.weight", hidden, hidden)
            add(f"v.blk.{block}.{name}.bias", hidden)
        add(f"v.blk.{block}.ffn_up.weight", 2 * hidden, hidden)
        add(f"v.blk.{block}.ffn_up.bias", 2 * hidden)
        add(f"v.blk.{block}.ffn_down.weight", hidden, 2 * hidden)
        add(f"v.blk.{block}.ffn_down.bias", hidden)
    for name, shape in (("mm.0", (width, hidden)), ("mm.2", (width, width))):
        add(f"{name}.weight", *shape)
        add(f"{name}.bias", width)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path
