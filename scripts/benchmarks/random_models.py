"""Models of real sizes with random weights: what they say is nonsense, what they cost is not."""

from __future__ import annotations

import json
import string
from pathlib import Path
from typing import Any

from tiny_chat_model import save_tokenizer

CHAT: dict[str, dict[str, Any]] = {
    "tiny": {
        "hidden_size": 64,
        "intermediate_size": 128,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "vocab_size": 2048,
    },
    "Qwen2.5-0.5B": {
        "hidden_size": 896,
        "intermediate_size": 4864,
        "num_hidden_layers": 24,
        "num_attention_heads": 14,
        "num_key_value_heads": 2,
        "tie_word_embeddings": True,
    },
    "Qwen2.5-1.5B": {
        "hidden_size": 1536,
        "intermediate_size": 8960,
        "num_hidden_layers": 28,
        "num_attention_heads": 12,
        "num_key_value_heads": 2,
        "tie_word_embeddings": True,
    },
    "Qwen2.5-7B": {
        "hidden_size": 3584,
        "intermediate_size": 18_944,
        "num_hidden_layers": 28,
        "num_attention_heads": 28,
        "num_key_value_heads": 4,
        "vocab_size": 152_064,
    },
}
"""What differs, as the published config.json files say."""
WHISPER: dict[str, tuple[int, int, int, int, int, int]] = {
    "tiny": (16, 2, 2, 2, 80, 51_865),
    "tiny.en": (384, 4, 4, 6, 80, 51_864),
    "base": (512, 6, 6, 8, 80, 51_865),
    "large-v3": (1280, 32, 32, 20, 128, 51_866),
    "large-v3-turbo": (1280, 32, 4, 20, 128, 51_866),
}
"""Width, encoder and decoder layers, heads, mel bins and vocabulary of each."""
CONTROLS = (
    "<|endoftext|>",
    "<|startoftranscript|>",
    "<|en|>",
    "<|transcribe|>",
    "<|nospeech|>",
    "<|notimestamps|>",
)
"""Of Whisper's control tokens those that a transcript needs."""


def chat(name: str, device: Any, number: Any, folder: Path) -> tuple[Any, Any]:
    """As `agent.llm.checkpoint.load`: a chat model, made on its device, and a small tokenizer."""
    import torch
    import transformers

    library: Any = transformers
    save_tokenizer(folder)
    given = {"vocab_size": 151_936, "max_position_embeddings": 32_768, "rope_theta": 1e6} | CHAT[name]
    config = library.Qwen2Config(**given, bos_token_id=0, eos_token_id=0, pad_token_id=0)
    with torch.device(device):
        model = library.AutoModelForCausalLM.from_config(config, dtype=number)
    return model.to(device).eval(), library.AutoTokenizer.from_pretrained(folder)


def whisper(name: str, folder: Path) -> Path:
    """A Whisper in transformers' format, saved into `folder`."""
    import torch
    import transformers

    library: Any = transformers
    width, heard, written, heads, bins, vocabulary = WHISPER[name]
    folder.mkdir(parents=True, exist_ok=True)
    letters = {chr(0x100 + n): n for n in range(vocabulary - 1600)}
    (folder / "vocab.json").write_text(json.dumps(letters), encoding="utf-8")
    (folder / "merges.txt").write_text("#version: 0.2\n")
    tokenizer = library.WhisperTokenizer(str(folder / "vocab.json"), str(folder / "merges.txt"))
    tokenizer.add_special_tokens({"additional_special_tokens": list(CONTROLS)})
    tokenizer.save_pretrained(folder)
    ids = tokenizer.get_vocab()
    end = ids[CONTROLS[0]]
    config = library.WhisperConfig(
        vocab_size=vocabulary,
        d_model=width,
        encoder_layers=heard,
        decoder_layers=written,
        encoder_attention_heads=heads,
        decoder_attention_heads=heads,
        encoder_ffn_dim=4 * width,
        decoder_ffn_dim=4 * width,
        num_mel_bins=bins,
        eos_token_id=end,
        bos_token_id=end,
        pad_token_id=end,
        decoder_start_token_id=ids[CONTROLS[1]],
    )
    with torch.device("cuda" if torch.cuda.is_available() else "cpu"):
        model = library.WhisperForConditionalGeneration(config)
    model.to("cpu", torch.float16).save_pretrained(folder)
    return folder


def voice(folder: Path, *, tiny: bool) -> Path:
    """A VITS of transformers of the size of MMS's, or a tiny one, saved into `folder`."""
    import torch
    import transformers

    library: Any = transformers
    folder.mkdir(parents=True, exist_ok=True)
    letters = {letter: n for n, letter in enumerate(f"_{string.ascii_lowercase} ,.?!'-")}
    (folder / "vocab.json").write_text(json.dumps(letters))
    small = {"hidden_size": 32, "num_hidden_layers": 2, "flow_size": 32, "upsample_initial_channel": 64}
    torch.manual_seed(0)
    config = library.VitsConfig(vocab_size=len(letters), **(small if tiny else {}))
    model = library.VitsModel(config)
    for parameter in model.decoder.parameters():
        parameter.data *= 6.0  # else it is too quiet to be heard, and trimmed away
    model.save_pretrained(folder)
    given = {"pad_token": "_", "unk_token": "_", "phonemize": False}
    library.VitsTokenizer(str(folder / "vocab.json"), **given).save_pretrained(folder)
    return folder
