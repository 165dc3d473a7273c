#!/usr/bin/env bash
# RapidOCR says nothing of lines in letters that its model does not have: a Cyrillic page comes back as no text, or
# as one "line" of stray punctuation with a high score. It looks the same as an empty page. Whoever tells a blind
# user "there is no text in it", or files scans by whether they have text, is wrong with full confidence. Its own
# detector does find the lines: asked for boxes alone, it gives one for each.
#
# Seen: rapidocr 3.10.0 with onnxruntime 1.32.0 (PP-OCRv6 in the package), three lines in Russian: 0 letters
# recognised, 3 boxes found; the same page in English: 3 lines read.
set -euo pipefail
folder=$(mktemp -d); trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" -q install rapidocr==3.10.0 onnxruntime==1.32.0 pillow==13.0.0 matplotlib==3.11.2 \
    opencv-python-headless==5.0.0.93
"$folder/venv/bin/python" - <<'PY'
import logging

import matplotlib
import numpy as np
from PIL import Image, ImageDraw, ImageFont
from rapidocr import RapidOCR

logging.disable()
font = ImageFont.truetype(f"{matplotlib.get_data_path()}/fonts/ttf/DejaVuSans.ttf", 44)
engine = RapidOCR(params={"Det.limit_type": "max", "Det.limit_side_len": 960})


def page(lines):
    image = Image.new("RGB", (640, 480), "white")
    for row, text in enumerate(lines):
        ImageDraw.Draw(image).text((40, 60 + 120 * row), text, fill="black", font=font)
    return np.asarray(image)[:, :, ::-1].copy()


for lines in (["ВЫХОД", "Привет, как дела?", "Сегодня хорошая погода"], ["EXIT", "Hello, how are you?", "Fine weather"]):
    picture = page(lines)
    read = engine(picture, use_det=True, use_cls=True, use_rec=True)
    boxes = len(engine(picture, use_det=True, use_cls=False, use_rec=False).boxes)
    letters = sum(letter.isalpha() for text in read.txts or () for letter in text)
    print(f"{lines[0]}: read {read.txts} with scores {read.scores}; {letters} letters; boxes: {boxes}")
    assert boxes == 3 and (letters == 0 if lines[0] == "ВЫХОД" else letters > 25)
PY
