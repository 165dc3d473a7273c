"""The eye that reads: real recognition of pictures made here, and how it tells what it read."""

from __future__ import annotations

import builtins
import sys

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFont

import pictures
from agent.errors import MissingExtra
from agent.images import open_image, picture_of
from agent.vision.ocr import MOST, OCR, SHORT, Text, colour, in_order, readable, told


@pytest.fixture(scope="module")
def vision() -> OCR:
    return OCR(threads=1)


def look(vision: OCR, image, **options):
    return vision.look(open_image(pictures.encoded(image, **options)))


@pytest.mark.parametrize("tilt", [-10, 0, 10])
def test_it_reads_a_sign(vision: OCR, tilt: int):
    image = pictures.sign("NO PARKING", "Monday").rotate(tilt, expand=True, fillcolor="grey")
    sight = look(vision, image, kind="JPEG")
    assert 'It says: "NO PARKING, Monday".' in sight.says
    assert sight.short == 'I showed you this picture. It said: "NO PARKING, Monday".'


def test_a_picture_without_text_is_told_as_such(vision: OCR):
    for back in ("white", "grey", "#c02030"):
        assert "There is no text in it" in look(vision, pictures.sign("", back=back)).says
    sight = look(vision, pictures.sign("", back="#2040c0"))
    assert sight.says.startswith("I see it: 640 by 480 pixels, mostly blue. There is no text in it")
    assert sight.short == "I showed you this picture, without text."


def written(*lines: str):
    """A page in a typeface that has the letters of many scripts."""
    import matplotlib

    face = f"{matplotlib.get_data_path()}/fonts/ttf/DejaVuSans.ttf"
    image = Image.new("RGB", (640, 480), "white")
    font = ImageFont.truetype(face, 44)
    for number, line in enumerate(lines):
        ImageDraw.Draw(image).text((40, 60 + 120 * number), line, fill="black", font=font)
    return image


@pytest.mark.parametrize(
    "lines",
    [
        ["ВЫХОД"],
        ["Привет, как дела?", "Сегодня хорошая погода"],
        ["ΕΞΟΔΟΣ", "Καλημέρα σας"],
        ["שלום עולם"],
        ["مرحبا بالعالم"],
        ["Բարեւ աշխարհ"],
        ["გამარჯობა"],
    ],
)
def test_writing_that_it_cannot_read_is_not_told_as_none(vision: OCR, lines: list[str]):
    sight = look(vision, written(*lines))
    assert "no text that I can read" in sight.says
    assert sight.short == "I showed you this picture, with no text that you can read."
    assert 'It says: "EXIT, Good morning".' in look(vision, written("EXIT", "Good morning")).says


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (",  ?", False),
        ("EEOΔOΣ", False),
        ("Kαλημρα σα", False),
        ("071ν ロ17ν", False),
        ("", False),
        ("NO PARKING", True),
        ("Straße 5", True),
        ("42", True),
        ("Δt = 5 s", True),
        ("λ-Sonde", True),
        ("ΔT 5", True),
        ("東京ABC", True),
        ("カラオケ", True),
    ],
)
def test_what_comes_of_letters_that_it_does_not_know_is_not_text(text: str, expected: bool):
    assert readable(text) == expected


def test_a_line_without_end_and_a_picture_of_a_few_pixels_do_no_harm(vision: OCR):
    for size in ((1, 1), (3, 200), (900, 2)):
        assert "no text" in look(vision, pictures.noise(*size)).says


def test_lines_are_read_from_top_to_bottom_and_left_to_right_also_when_tilted():
    """Two columns of two rows, turned by 10 degrees, given in disorder."""
    words, places = ["one", "two", "three", "four"], [(100, 100), (500, 100), (100, 200), (500, 200)]
    angle = np.radians(10)
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    corners = np.array([(-60, -15), (60, -15), (60, 15), (-60, 15)])
    boxes = np.array([(np.array(place) + corners) @ turn.T for place in places])
    order = [3, 0, 2, 1]
    lines = in_order([words[i] for i in order], boxes[order], 640, 480)
    assert [line.text for line in lines] == words
    assert lines[0].height == pytest.approx(30 / 480)


def test_places_and_sizes_are_told_roughly():
    lines = [Text("A", 0.1, 0.1, 0.2), Text("B", 0.5, 0.5, 0.05), Text("C", 0.9, 0.9, 0.01)]
    assert [(line.size, line.place) for line in lines] == [
        ("large", "top left"),
        ("medium", "middle"),
        ("small", "bottom right"),
    ]
    says = told(picture_of(np.zeros((10, 10, 3), np.uint8), "screen"), lines).says
    assert '"A" (large, top left), "B" (medium, middle), "C" (small, bottom right)' in says


def test_a_page_of_text_is_cut():
    page = [Text("word " * 12, 0.5, i / 40, 0.02) for i in range(40)]
    sight = told(picture_of(np.zeros((10, 10, 3), np.uint8), "camera"), page)
    assert len(sight.says) < 3 * MOST
    assert len(sight.short) < SHORT + 60
    assert sight.note == "Look at what my camera shows."


@pytest.mark.parametrize(
    ("rgb", "name"),
    [
        ((200, 20, 30), "red"),
        ((230, 220, 40), "yellow"),
        ((20, 160, 40), "green"),
        ((20, 60, 200), "blue"),
        ((250, 250, 250), "white"),
        ((10, 12, 10), "black"),
        ((120, 125, 118), "grey"),
    ],
)
def test_colours_have_names(rgb: tuple[int, int, int], name: str):
    assert colour(np.full((50, 70, 3), rgb, np.uint8)) == f"mostly {name}"


def test_without_the_extra_it_says_what_to_type(monkeypatch: pytest.MonkeyPatch):
    real = builtins.__import__

    def without(name: str, *args, **options):
        if name.partition(".")[0] in ("rapidocr", "PIL"):
            raise ImportError(name)
        return real(name, *args, **options)

    picture = picture_of(np.zeros((40, 40, 3), np.uint8), "camera")
    data = pictures.encoded(pictures.sign("STOP"))
    monkeypatch.setattr(builtins, "__import__", without)
    for name in [name for name in sys.modules if name.partition(".")[0] == "rapidocr"]:
        monkeypatch.delitem(sys.modules, name)
    with pytest.raises(MissingExtra, match=r"scripts/setup vision"):
        OCR().look(picture)
    with pytest.raises(MissingExtra, match=r"scripts/setup vision"):
        open_image(data)
