"""Models that see of a few thousand random weights, built and saved by transformers' real classes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tiny_chat_model import CORPUS

TEMPLATE = (
    "{% for message in messages %}<|im_start|>{{ message.role }}\n"
    "{% for part in message.content %}"
    "{% if part.type == 'image' %}<image>{% else %}{{ part.text }}{% endif %}"
    "{% endfor %}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
ALTERNATING = (
    "{% for message in messages %}{% if (message.role == 'user') != (loop.index0 % 2 == 0) %}"
    "{{ raise_exception('turn by turn') }}{% endif %}{% endfor %}" + TEMPLATE
)

_TEXT: dict[str, Any] = {
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 1024,
    "bos_token_id": 0,
    "eos_token_id": 0,
    "pad_token_id": 0,
}
_EYE: dict[str, Any] = {
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "patch_size": 8,
}


def _tokenizer() -> Any:
    import tokenizers
    from transformers import PreTrainedTokenizerFast

    bpe = tokenizers.Tokenizer(tokenizers.models.BPE())
    bpe.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False)
    bpe.decoder = tokenizers.decoders.ByteLevel()
    special = ["<|endoftext|>", "<|im_start|>", "<|im_end|>", "<image>", "<fake_token_around_image>"]
    special += ["<global-img>", "<end_of_utterance>"]
    trainer = tokenizers.trainers.BpeTrainer(
        vocab_size=340,
        special_tokens=special,
        initial_alphabet=tokenizers.pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    bpe.train_from_iterator(CORPUS, trainer)
    return PreTrainedTokenizerFast(
        tokenizer_object=bpe, eos_token="<|endoftext|>", extra_special_tokens={"image_token": "<image>"}
    )


def save_vision_model(folder: Path, kind: str, template: str = TEMPLATE) -> Path:
    """Save a tiny model of that kind ("Llava" or "Idefics3", SmolVLM's parent) and its processor."""
    import torch
    import transformers

    library: Any = transformers
    tokenizer = _tokenizer()
    image = tokenizer.convert_tokens_to_ids("<image>")
    text = library.LlamaConfig(vocab_size=len(tokenizer), **_TEXT)
    torch.manual_seed(0)
    if kind == "Llava":
        vision = library.CLIPVisionConfig(**_EYE, image_size=32, projection_dim=32)
        config = library.LlavaConfig(
            vision_config=vision, text_config=text, image_token_index=image, image_seq_length=16
        )
        looks = library.CLIPImageProcessorPil(
            size={"shortest_edge": 32}, crop_size={"height": 32, "width": 32}
        )
        processor = library.LlavaProcessor(
            looks,
            tokenizer,
            patch_size=8,
            vision_feature_select_strategy="default",
            num_additional_image_tokens=1,
            chat_template=template,
        )
    else:
        vision = {**_EYE, "image_size": 32, "model_type": "idefics3_vision"}
        config = library.Idefics3Config(
            vision_config=vision, text_config=text, image_token_id=image, scale_factor=2, pad_token_id=0
        )
        looks = library.Idefics3ImageProcessorPil(
            size={"longest_edge": 32}, max_image_size={"longest_edge": 32}, do_image_splitting=False
        )
        processor = library.Idefics3Processor(looks, tokenizer, image_seq_len=4, chat_template=template)
    model = getattr(library, f"{kind}ForConditionalGeneration")(config)
    with torch.no_grad():
        for weights in model.parameters():
            if weights.ndim > 1:
                weights.normal_(0.0, 0.3)
    model.save_pretrained(folder)
    processor.save_pretrained(folder)
    return folder
