"""Pictures: every way to give one, what is made of it, and what is said of a bad one."""

from __future__ import annotations

import base64
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import pictures
from agent import images as image
from agent.errors import ImageError, ImageTooLarge
from agent.images import Upload, open_image, picture_of


@pytest.mark.parametrize("kind", pictures.BAD)
def test_a_bad_picture_is_one_clear_line(kind: str, tmp_path: Path):
    given, words = pictures.bad(tmp_path)[kind]
    with pytest.raises(ImageError, match=words) as caught:
        open_image(given)
    text = str(caught.value)
    assert "\n" not in text
    assert len(text) < 300
    assert ";" in text, "it must say what to do"


def test_every_bad_kind_is_tried(tmp_path: Path):
    assert list(pictures.bad(tmp_path)) == pictures.BAD


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP"])
def test_a_path_bytes_and_a_data_url_give_the_same(kind: str, tmp_path: Path):
    data = pictures.encoded(pictures.sign("STOP"), kind)
    path = tmp_path / "wrongly.called"
    path.write_bytes(data)
    url = f"data:image/{kind.lower()};base64,{base64.b64encode(data).decode()}"
    found = [open_image(source) for source in (path, str(path), data, url)]
    for picture in found:
        assert (picture.width, picture.height, picture.kind) == (640, 480, kind)
        assert np.array_equal(picture.pixels, found[0].pixels)
        assert picture.pixels.dtype == np.uint8
        assert picture.pixels.shape == (480, 640, 3)


def test_a_picture_is_taken_as_it_is():
    picture = open_image(pictures.encoded(pictures.sign("STOP")))
    assert open_image(picture) is picture


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
@pytest.mark.parametrize("held", range(1, 9))
def test_it_stands_upright_however_the_camera_was_held(held: int, kind: str):
    """The corner that is red once it stands upright is the top left one."""
    upright = Image.new("RGB", (64, 32), "white")
    upright.paste("red", (0, 0, 32, 16))
    turn = Image.Transpose
    back = [None, turn.FLIP_LEFT_RIGHT, turn.ROTATE_180, turn.FLIP_TOP_BOTTOM, turn.TRANSPOSE]
    back += [turn.ROTATE_90, turn.TRANSVERSE, turn.ROTATE_270]
    stored = upright if held == 1 else upright.transpose(back[held - 1])
    exif = Image.Exif()
    exif[0x0112] = held
    picture = open_image(pictures.encoded(stored, kind, exif=exif))
    assert (picture.width, picture.height) == (64, 32)
    assert picture.pixels.shape == (32, 64, 3)
    red = picture.pixels[4, 8].astype(int)
    assert red[0] > 200
    assert red[1] < 80
    assert picture.pixels[28, 56].min() > 200


@pytest.mark.parametrize("mode", ["RGBA", "LA", "P"])
def test_what_is_transparent_is_white(mode: str):
    clear = Image.new("RGBA", (40, 40), (0, 0, 0, 0))
    clear.paste((0, 0, 0, 255), (0, 0, 20, 40))
    stored = clear.convert(mode) if mode != "P" else clear.quantize(4)
    picture = open_image(pictures.encoded(stored))
    assert picture.pixels[20, 30].min() > 240
    assert picture.pixels[20, 5].max() < 15


@pytest.mark.parametrize("kind", ["PNG", "WEBP"])
def test_of_an_animation_the_first_frame_is_taken(kind: str):
    first, second = Image.new("RGB", (32, 32), "blue"), Image.new("RGB", (32, 32), "red")
    data = pictures.encoded(first, kind, save_all=True, append_images=[second], duration=100)
    blue = open_image(data).pixels[16, 16].astype(int)
    assert blue[2] > 200
    assert blue[0] < 60


@pytest.mark.parametrize("kind", ["PNG", "JPEG"])
def test_a_large_photo_is_brought_down(kind: str):
    picture = open_image(pictures.encoded(pictures.sign("STOP", size=(4000, 2000)), kind))
    assert (picture.width, picture.height) == (4000, 2000)
    assert picture.pixels.shape == (640, 1280, 3)


def test_a_picture_of_one_row_survives():
    assert open_image(pictures.encoded(Image.new("RGB", (9000, 1)))).pixels.shape == (1, 1280, 3)


def test_16_bits_of_grey_keep_their_brightness():
    ramp = np.linspace(0, 65535, 64 * 64).reshape(64, 64).astype(np.uint16)
    pixels = open_image(pictures.encoded(Image.fromarray(ramp))).pixels
    assert pixels[0, 0].max() < 10
    assert pixels[-1, -1].min() > 245


def test_too_many_pixels_are_refused_before_they_are_decoded(monkeypatch: pytest.MonkeyPatch):
    def decoded(*_: object) -> None:
        raise AssertionError("it was decoded")

    monkeypatch.setattr(image, "_decoded", decoded)
    with pytest.raises(ImageError, match="pixels"):
        open_image(pictures.bomb())
    with pytest.raises(ImageError, match="9000 x 9000 pixels are more than 60,000,000"):
        open_image(pictures.encoded(Image.new("1", (9000, 9000))))


def test_a_data_url_of_a_picture_is_that_picture():
    picture = picture_of(np.asarray(pictures.sign("STOP"), np.uint8), "camera")
    again = open_image(picture.data_url())
    assert again.kind == "JPEG"
    assert np.abs(again.pixels.astype(int) - picture.pixels).mean() < 2


@pytest.mark.parametrize(
    ("kind", "mode", "options"),
    [
        ("PNG", "RGB", {}),
        ("JPEG", "RGB", {}),
        ("WEBP", "RGB", {}),
        ("WEBP", "RGB", {"lossless": True}),
        ("WEBP", "RGBA", {}),
        ("WEBP", "RGB", {"save_all": True, "append_images": [Image.new("RGB", (300, 200), "red")]}),
    ],
)
def test_an_upload_has_the_server_s_limit_of_pixels(kind: str, mode: str, options: dict):
    made = Image.new(mode, (300, 200), "blue")
    if mode == "RGBA":
        made.putalpha(Image.linear_gradient("L").resize((300, 200)))
    data = pictures.encoded(made, kind, **options)
    assert open_image(Upload(data, 60_000)).width == 300
    with pytest.raises(ImageTooLarge, match=r"300 x 200 pixels are more than 59,999 \(server.max_pixels\)"):
        open_image(Upload(data, 59_999))


def test_a_large_webp_is_refused_before_its_decoder_takes_memory(monkeypatch: pytest.MonkeyPatch):
    files = [
        pictures.encoded(Image.new("RGB", (300, 200)), "WEBP"),
        pictures.encoded(Image.new("RGB", (300, 200)), "WEBP", lossless=True),
        pictures.encoded(Image.new("RGB", (300, 200)), "WEBP", exif=Image.Exif(), icc_profile=b"x"),
    ]
    assert {data[12:16] for data in files} == {b"VP8 ", b"VP8L", b"VP8X"}
    monkeypatch.setattr(Image, "open", None)
    for data in files:
        with pytest.raises(ImageTooLarge, match="300 x 200"):
            open_image(Upload(data, 1000))


@pytest.mark.parametrize("given", ["/etc/hostname", "a.png", "http://localhost/a.png", ""])
def test_an_upload_opens_nothing_else(given: str):
    with pytest.raises(ImageError, match="no data URL"):
        open_image(Upload(given, 1000))


def test_a_jpeg_that_asks_for_many_passes_is_refused():
    data = pictures.encoded(pictures.noise(16, 16), "JPEG", progressive=True)
    assert open_image(data).width == 16
    last = data[data.rindex(b"\xff\xda") : -2]
    with pytest.raises(ImageTooLarge, match=r"a JPEG in \d+ passes"):
        open_image(data[:-2] + 100 * last + data[-2:])


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "I;16"])
def test_a_large_picture_of_any_kind_is_what_it_is_when_small(mode: str):
    """Brought down before it is turned upright and put on white, it is the same picture."""
    ramp = Image.linear_gradient("L").resize((300, 150))
    clear = Image.merge("LA", (ramp, ramp.transpose(Image.Transpose.ROTATE_180)))
    made = clear.convert("RGBA") if mode in ("RGBA", "LA") else ramp.convert("RGB")
    if mode == "I;16":
        made = Image.fromarray(np.asarray(ramp).astype(np.uint16) * 257)
    made = made if made.mode == mode else made.convert(mode)
    exif = Image.Exif()
    exif[0x0112] = 6
    small, large = (
        open_image(pictures.encoded(made.resize((300 * by, 150 * by), Image.Resampling.NEAREST), exif=exif))
        for by in (4, 12)
    )
    assert small.pixels.shape == (1200, 600, 3)
    assert large.pixels.shape == (1280, 640, 3)
    one, other = (np.asarray(picture.image().resize((60, 120)), int) for picture in (small, large))
    assert np.abs(one - other).mean() < 2
