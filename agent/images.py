"""Pictures from a path, a data URL or bytes, checked before they are decoded. Knows no engine, no session."""

from __future__ import annotations

import base64
import binascii
import io
import re
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from agent.errors import ImageError, ImageTooLarge, MissingExtra

Pixels: TypeAlias = NDArray[np.uint8]
"""Height x width x 3: red, green, blue."""
Source: TypeAlias = "str | Path | bytes | Picture | Upload"
"""A path, a data URL, the bytes of a file, a picture that is decoded already, or what a stranger sent."""

LARGEST_FILE = 20_000_000
"""Most bytes of a picture's file."""
MOST_PIXELS = 60_000_000
"""Most pixels that a file may say it has; a telephone's photo has 12 to 50 million."""
LONGEST_SIDE = 1280
"""Pixels of the longer side that a picture is brought down to: enough for print in a photo."""

MOST_SCANS = 100
"""Passes over a JPEG that its file may ask for: each takes its time, and encoders make a dozen."""

ORIENTATION = 0x0112
"""EXIF's number for how the camera was held; from 5 on the picture lies on its side."""
UPRIGHT = {
    2: "FLIP_LEFT_RIGHT",
    3: "ROTATE_180",
    4: "FLIP_TOP_BOTTOM",
    5: "TRANSPOSE",
    6: "ROTATE_270",
    7: "TRANSVERSE",
    8: "ROTATE_90",
}
"""What turns it back, by Pillow's names."""

CURE = "give a PNG, JPEG or WebP"
DATA_URL = re.compile(r"data:([\w.+/-]*)((?:;[\w.+=-]+)*),", re.IGNORECASE)
OTHERS = {
    b"GIF8": "a GIF",
    b"BM": "a BMP",
    b"%PDF": "a PDF",
    b"<svg": "an SVG drawing",
    b"<?xml": "an XML file",
    b"II*\x00": "a TIFF",
    b"MM\x00*": "a TIFF",
}
"""What is often given instead, by its first bytes."""


@dataclass(frozen=True, slots=True, eq=False)
class Upload:
    """A picture that a client of the server sent: a data URL, or bytes; nothing else is opened.

    most: pixels that it may have, as `server.max_pixels` says.
    """

    data: str | bytes
    most: int


@dataclass(frozen=True, slots=True, eq=False)
class Picture:
    """A picture that is safe to work on. pixels: uint8, height x width x 3, at most `LONGEST_SIDE` long.

    width, height: what the file had, upright. kind: "PNG", "JPEG", "WEBP", "camera" or "screen".
    """

    pixels: Pixels
    width: int
    height: int
    kind: str

    def image(self) -> Any:
        """The picture as Pillow has it, for libraries that want that."""
        return _pillow().fromarray(self.pixels)

    def data_url(self) -> str:
        """The picture as a data URL, JPEG inside, for whoever takes pictures over a wire."""
        out = io.BytesIO()
        self.image().save(out, "JPEG", quality=90)
        return f"data:image/jpeg;base64,{base64.b64encode(out.getvalue()).decode()}"


def open_image(source: Source, name: str = "") -> Picture:
    """The picture in `source`, upright, on white, its first frame, brought down to `LONGEST_SIDE`.

    Size, type and number of pixels are checked before anything is decoded. A web address is never fetched.
    name: what errors call it; otherwise the path, or "the picture". Raises ImageError; ImageTooLarge for too
    many bytes, pixels or passes.
    """
    if isinstance(source, Picture):
        return source
    name = name or _name(source)
    data = _bytes(source, name)
    kind = _kind(data, name)
    library = _pillow()
    most, limit = (source.most, " (server.max_pixels)") if isinstance(source, Upload) else (MOST_PIXELS, "")
    if kind == "WEBP":
        _checked_size(_webp_size(data), most, limit, name)
    # No byte of a JPEG but a marker is followed by this one: a pass begins here, or one of a thumbnail.
    if kind == "JPEG" and (scans := data.count(b"\xff\xda")) > MOST_SCANS:
        raise ImageTooLarge(f"{name}: a JPEG in {scans} passes, more than {MOST_SCANS}; save it anew")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of the pixels' number, which is checked here
            opened = library.open(io.BytesIO(data), formats=[kind])
            _checked_size(opened.size, most, limit, name)
            return _decoded(opened, kind)
    except ImageError:
        raise
    except library.DecompressionBombError as error:
        raise ImageTooLarge(
            f"{name}: it says that it has hundreds of millions of pixels; {CURE} that is smaller"
        ) from error
    except Exception as error:  # decoders raise whatever a damaged file leads them to
        raise ImageError(f"{name}: damaged or cut off, it cannot be decoded; give a whole file") from error


def picture_of(pixels: Pixels, kind: str) -> Picture:
    """A frame of a camera or a screen as a picture. pixels: uint8, height x width x 3, red first."""
    height, width = pixels.shape[:2]
    return Picture(_pixels(_smaller(_pillow().fromarray(pixels))), width, height, kind)


def _checked_size(size: tuple[int, int], most: int, limit: str, name: str) -> None:
    if size[0] * size[1] > most:
        raise ImageTooLarge(
            f"{name}: {size[0]} x {size[1]} pixels are more than {most:,}{limit}; make it smaller"
        )


def _webp_size(data: bytes) -> tuple[int, int]:
    """Width and height in the header of a WebP (RFC 9649, sections 2.5 to 2.7).

    Pillow's decoder takes the memory for a whole picture, twice, when it is opened: that is too late.
    """
    if data[12:16] == b"VP8X":
        return 1 + int.from_bytes(data[24:27], "little"), 1 + int.from_bytes(data[27:30], "little")
    if data[12:16] == b"VP8L":
        bits = int.from_bytes(data[21:25], "little")
        return 1 + (bits & 0x3FFF), 1 + (bits >> 14 & 0x3FFF)
    width, height = (int.from_bytes(data[at : at + 2], "little") & 0x3FFF for at in (26, 28))
    return width, height


def _decoded(opened: Any, kind: str) -> Picture:
    """The picture in an opened file. It is made smaller before anything else: that is where the memory is."""
    size = opened.size
    if kind == "JPEG":  # decodes at a half, a quarter or an eighth where that is enough
        opened.draft("RGB", (LONGEST_SIDE, LONGEST_SIDE))
    opened.load()
    held = opened.getexif().get(ORIENTATION, 1)
    if opened.mode in ("I;16", "I", "F"):
        grey = np.asarray(opened)
        brightest = max(256.0, float(grey.max()) / 255)
        image = _pillow().fromarray(
            np.divide(grey, brightest, dtype=np.float32).clip(0, 255).astype(np.uint8)
        )
    elif opened.mode in ("1", "P", "PA") or "transparency" in opened.info:  # of indices there is no mean
        image = opened.convert("RGBA" if opened.mode == "PA" or "transparency" in opened.info else "RGB")
    else:
        image = opened
    image = _smaller(image)
    if held in UPRIGHT:
        image = image.transpose(_pillow().Transpose[UPRIGHT[held]])
    if image.mode in ("RGBA", "LA", "La", "RGBa"):
        layer = image.convert("RGBA")
        image = _pillow().alpha_composite(_pillow().new("RGBA", layer.size, "white"), layer)
    width, height = size[::-1] if held in range(5, 9) else size
    return Picture(_pixels(image), width, height, kind)


def _smaller(image: Any) -> Any:
    """The picture, `LONGEST_SIDE` long at most."""
    scale = LONGEST_SIDE / max(image.size)
    if scale >= 1:
        return image
    size = tuple(max(1, round(side * scale)) for side in image.size)
    return image.resize(size, _pillow().Resampling.BICUBIC, reducing_gap=2.0)


def _pixels(image: Any) -> Pixels:
    return np.ascontiguousarray(np.asarray(image.convert("RGB"), np.uint8))


def _name(source: str | Path | bytes | Upload) -> str:
    if isinstance(source, bytes | Upload) or (isinstance(source, str) and source[:5].lower() == "data:"):
        return "the picture"
    return str(source)[:200]


def _bytes(source: str | Path | bytes | Upload, name: str) -> bytes:
    if isinstance(source, Upload):
        data = source.data if isinstance(source.data, bytes) else _from_url(source.data, name)
    elif isinstance(source, bytes):
        data = source
    elif isinstance(source, str) and source[:5].lower() == "data:":
        data = _from_url(source, name)
    elif re.match(r"https?://", str(source), re.IGNORECASE):
        raise ImageError(f"{name}: web addresses are not fetched; save the picture and {CURE} file")
    else:
        data = _from_file(Path(source), name)
    if not data:
        raise ImageError(f"{name}: empty; {CURE}")
    if len(data) > LARGEST_FILE:
        raise _too_large(name, len(data))
    return data


def _from_file(path: Path, name: str) -> bytes:
    try:
        if (size := path.stat().st_size) > LARGEST_FILE:
            raise _too_large(name, size)
        return path.read_bytes()
    except (OSError, ValueError) as error:  # a path with a null byte is a ValueError
        why = getattr(error, "strerror", None) or error
        raise ImageError(f"{name}: cannot be read ({why}); {CURE} file") from error


def _from_url(url: str, name: str) -> bytes:
    match = DATA_URL.match(url)
    if match is None or ";base64" not in match[2].lower():
        raise ImageError(f"{name}: no data URL in base64; write data:image/png;base64,...")
    if match[1] and not match[1].lower().startswith("image/"):
        raise ImageError(f"{name}: a data URL of {match[1]}, not of a picture; {CURE}")
    if (size := (len(url) - match.end()) * 3 // 4) > LARGEST_FILE:
        raise _too_large(name, size)
    try:
        return base64.b64decode(url[match.end() :], validate=True)
    except (binascii.Error, ValueError) as error:
        raise ImageError(f"{name}: its base64 is broken ({error}); send it anew") from error


def _too_large(name: str, size: int) -> ImageTooLarge:
    return ImageTooLarge(
        f"{name}: {size / 1e6:.0f} MB are more than {LARGEST_FILE // 1_000_000} MB; make it smaller"
    )


def _kind(data: bytes, name: str) -> str:
    """Pillow's name of the format, by the first bytes and whatever the file is called."""
    if data.startswith(b"\x89PNG\r\n\x1a\n"):
        return "PNG"
    if data.startswith(b"\xff\xd8\xff"):
        return "JPEG"
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "WEBP"
    if data[4:8] == b"ftyp":
        raise ImageError(f"{name}: a HEIC, AVIF or film; {CURE}")
    known = next((what for first, what in OTHERS.items() if data.startswith(first)), "no picture")
    raise ImageError(f"{name}: {known}; {CURE}")


def _pillow() -> Any:
    try:
        from PIL import Image
    except ImportError as error:
        raise MissingExtra("pictures need more libraries", "vision") from error
    return Image
