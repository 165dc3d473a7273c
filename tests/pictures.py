"""Pictures made for tests, and files that are none. Needs Pillow."""

from __future__ import annotations

import base64
import io
import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageDraw, ImageFont

BAD = ["missing", "folder", "empty", "text", "gif", "truncated png", "truncated jpeg", "truncated webp"]
BAD += ["flipped bits", "bomb", "large file", "url", "base64", "data url of text", "plain data url"]


def sign(*lines: str, size: tuple[int, int] = (640, 480), back: str = "white", ink: str = "black") -> Any:
    """Lines of text in the middle of a plain ground."""
    image = Image.new("RGB", size, back)
    font = ImageFont.load_default(size[1] // (3 + 2 * len(lines)))
    ImageDraw.Draw(image).multiline_text(
        (size[0] / 2, size[1] / 2), "\n".join(lines), fill=ink, font=font, anchor="mm", align="center"
    )
    return image


def encoded(image: Any, kind: str = "PNG", **options: Any) -> bytes:
    out = io.BytesIO()
    image.save(out, kind, **options)
    return out.getvalue()


def noise(width: int = 200, height: int = 100) -> Any:
    return Image.fromarray(np.random.default_rng(0).integers(0, 255, (height, width, 3), np.uint8))


def bomb() -> bytes:
    """A PNG of a few hundred bytes that says it is 50,000 pixels square, with data that begins well."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = struct.pack(">IIBBBBB", 50_000, 50_000, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(bytes(100_000)))


def bad(folder: Path) -> dict[str, tuple[Any, str]]:
    """For each kind of bad picture what is given, and words that its error must have."""
    whole = encoded(noise())
    broken = bytearray(whole)
    broken[len(whole) // 2] ^= 0xFF
    (folder / "text.png").write_text("I am a letter.")
    (folder / "empty.jpg").write_bytes(b"")
    return {
        "missing": (folder / "none.png", "No such file"),
        "folder": (folder, "cannot be read"),
        "empty": (folder / "empty.jpg", "empty"),
        "text": (folder / "text.png", "no picture; give a PNG, JPEG or WebP"),
        "gif": (encoded(noise(), "GIF"), "a GIF"),
        "truncated png": (whole[: len(whole) // 2], "cut off"),
        "truncated jpeg": (encoded(noise(), "JPEG")[:-2000], "cut off"),
        "truncated webp": (encoded(noise(), "WEBP")[:-2000], "cut off"),
        "flipped bits": (bytes(broken), "damaged"),
        "bomb": (bomb(), "million"),
        "large file": (whole + bytes(20_000_000), "20 MB"),
        "url": ("https://example.org/sign.png", "not fetched"),
        "base64": ("data:image/png;base64,!!!!", "base64 is broken"),
        "data url of text": ("data:text/plain;base64," + base64.b64encode(b"hello").decode(), "text/plain"),
        "plain data url": ("data:image/svg+xml,<svg/>", "no data URL in base64"),
    }
