#!/usr/bin/env bash
# transformers' TextStreamer and TextIteratorStreamer, which are there to show text while a model writes it, stop at the
# first comma of a Japanese answer. Letters come at once; a mark waits for a blank or a Chinese character, and all that
# is behind the mark waits with it. Japanese has no blanks (a comment there says that Hiragana and Katakana "are used
# to write space-separated words"), so an answer in kana comes as a whole when it is done, and any full stop, Chinese
# ones too, comes with the sentence after it. Hurt: voices that speak sentence by sentence: the first is heard as late
# as if nothing were streamed. Decode the tokens yourself, up to the last U+FFFD.
#
# Seen: transformers 5.24.0 with tokenizers 0.23.3, a token for each byte; up to 5.23 Thai and all kana are held back.
set -euo pipefail
folder=$(mktemp -d); trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" -q install transformers==5.24.0 tokenizers==0.23.3 numpy==2.4.6
HF_HUB_OFFLINE=1 "$folder/venv/bin/python" - 2> "$folder/log" <<'PY' || { cat "$folder/log"; exit 1; }
import numpy as np
import transformers
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers.generation.streamers import TextStreamer

print("transformers", transformers.__version__)
letters = sorted(pre_tokenizers.ByteLevel.alphabet())
bytewise = Tokenizer(models.BPE(vocab={letter: i for i, letter in enumerate(letters)}, merges=[]))
bytewise.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
bytewise.decoder = decoders.ByteLevel()
tokenizer = transformers.PreTrainedTokenizerFast(tokenizer_object=bytewise)


class Collected(TextStreamer):
    text = ""

    def on_finalized_text(self, text: str, stream_end: bool = False) -> None:
        self.text += text


def behind(answer: str) -> list[int]:
    """After each character that the model has written: how many of them the streamer has not yet given out."""
    streamer, held = Collected(tokenizer), []
    for written, character in enumerate(answer, 1):
        for token in tokenizer.encode(character, add_special_tokens=False):
            streamer.put(np.array([token]))
        held.append(written - len(streamer.text))
    streamer.end()
    assert streamer.text == answer
    return held


for name, answer, expected in (
    ("English", "Hello there. How are you? I am well.", 1),
    ("Chinese", "你好。今天天气很好。明天见。", 1),
    ("Thai", "สวัสดีครับยินดีที่ได้รู้จัก", 0),
    ("Japanese, no mark", "コーヒーをください", 0),
    ("Japanese", "はい、わかりました。すぐにやります。", 16),
):
    held = behind(answer)
    print(f"{name}: before its end {max(held)} of {len(answer)} characters are held back")
    assert max(held) == expected
PY
