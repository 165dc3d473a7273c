"""A chat model of a few thousand random weights, built and saved by transformers' real classes."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

CHATML = (
    "{% for message in messages %}<|im_start|>{{ message.role }}\n{{ message.content }}<|im_end|>\n"
    "{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
ALTERNATING = (
    "{% for message in messages %}{% if (message.role == 'user') != (loop.index0 % 2 == 0) %}"
    "{{ raise_exception('turn by turn') }}{% endif %}{% endfor %}" + CHATML
)
"""Refuses a system role and two messages of one role, as Gemma's and Mistral's do."""

CORPUS = ["The keeper of the lighthouse lit the lamp, and the ships came home safely through the night."]

_SMALL: dict[str, Any] = {
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 4,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 8,
    "max_position_embeddings": 512,
    "initializer_range": 0.5,
}
_OWN: dict[str, dict[str, Any]] = {
    "Llama": {},
    "Qwen2": {},
    "Mistral": {"sliding_window": 8},
    "Gemma2": {"sliding_window": 8},
    "Gemma3": {"sliding_window": 8, "layer_types": ["sliding_attention", "full_attention"] * 2},
    "Lfm2": {"layer_types": ["conv", "full_attention"] * 2, "block_multiple_of": 16},
}


def save_tokenizer(
    folder: Path,
    template: str | None = CHATML,
    *,
    special_end: bool = True,
    marks: Sequence[str] = ("<|im_start|>",),
) -> int:
    """Save a byte-level tokenizer with ChatML's control tokens, or these; the size of its vocabulary."""
    import tokenizers
    from transformers import PreTrainedTokenizerFast

    bpe = tokenizers.Tokenizer(tokenizers.models.BPE())
    bpe.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False)
    bpe.decoder = tokenizers.decoders.ByteLevel()
    special = ["<|endoftext|>", *marks] + ["<|im_end|>"] * special_end
    trainer = tokenizers.trainers.BpeTrainer(
        vocab_size=320,
        special_tokens=special,
        initial_alphabet=tokenizers.pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    bpe.train_from_iterator(CORPUS, trainer)
    bpe.add_tokens(["<|im_end|>"] * (not special_end))
    wrapped = PreTrainedTokenizerFast(tokenizer_object=bpe, eos_token="<|endoftext|>", chat_template=template)
    wrapped.save_pretrained(folder)
    return len(wrapped)


def save_model(
    folder: Path,
    kind: str,
    template: str | None = CHATML,
    *,
    special_end: bool = True,
    marks: Sequence[str] = ("<|im_start|>",),
) -> Path:
    """Save a tiny model of that kind ("Llama", ...) and its tokenizer into `folder`, and return that."""
    import torch
    import transformers

    size = save_tokenizer(folder, template, special_end=special_end, marks=marks)
    torch.manual_seed(0)
    config = getattr(transformers, {"Gemma3": "Gemma3Text"}.get(kind, kind) + "Config")(
        vocab_size=size, **(_SMALL | _OWN[kind]), bos_token_id=0, eos_token_id=0, pad_token_id=0
    )
    model = getattr(transformers, f"{kind}ForCausalLM")(config)
    with torch.no_grad():
        for weights in model.parameters():
            if weights.ndim > 1:
                weights.normal_(0.0, 0.3)
    model.save_pretrained(folder)
    return folder
