"""Which of Whisper's tokens a language is never written with."""

from __future__ import annotations

from audio.stt.tokens import BYTE_LEVEL, unwritten


def test_chinese_is_written_in_simplified_letters_alone() -> None:
    letters = ["国", "國", "这", "這个", "说", "說", "的", "好", "カ", "，", "Paris", "臺", "后"]
    back = {byte: character for character, byte in BYTE_LEVEL.items()}
    names = {"".join(back[byte] for byte in text.encode()): n for n, text in enumerate(letters)}
    assert [letters[n] for n in unwritten("zh", names)] == ["國", "這个", "說", "臺"]
    assert unwritten("ja", names) == unwritten("en", names) == []
