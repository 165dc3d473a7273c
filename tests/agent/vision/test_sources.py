"""Cameras and screens: a film that stands in for a camera, and what is said where there is none."""

from __future__ import annotations

from pathlib import Path

import click
import numpy as np
import pytest

from agent.cli.parts.visual_input import VisualInput
from agent.errors import DeviceError, ImageError
from agent.vision.sources import STALE, Screen, Webcam


@pytest.fixture
def film(tmp_path: Path) -> Path:
    """Eleven red frames."""
    import cv2

    path = tmp_path / "film.avi"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), 10, (160, 120))
    for _ in range(11):
        writer.write(np.full((120, 160, 3), (0, 0, 230), np.uint8))  # OpenCV has blue first
    writer.release()
    return path


def test_a_camera_gives_pictures_until_it_vanishes(film: Path):
    camera = Webcam(str(film))
    for _ in range(11 // STALE):
        picture = camera.grab()
        assert (picture.width, picture.height, picture.kind) == (160, 120, "camera")
        red, green, blue = picture.pixels[60, 80]
        assert red > 200
        assert max(green, blue) < 40
    with pytest.raises(DeviceError, match="connect it again"):
        list(iter(camera.grab, None))
    camera.close()


def test_no_camera_is_one_line():
    with pytest.raises(DeviceError, match=r"camera 97: there is none.*--camera") as caught:
        Webcam("97")
    assert "\n" not in str(caught.value)


def test_no_screen_is_one_line(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("sys.platform", "linux")
    monkeypatch.delenv("DISPLAY", raising=False)
    with pytest.raises(DeviceError, match="DISPLAY"):
        Screen()


def test_talk_shows_one_thing(film: Path, tmp_path: Path):
    with pytest.raises(click.UsageError, match="one thing"):
        VisualInput("sign.png", "0", False)
    with pytest.raises(ImageError):
        VisualInput(str(tmp_path / "none.png"), None, False)
    with VisualInput(None, str(film), False) as shown:
        followed: list[object] = []

        class Session:
            def show(self, image: object) -> None:
                assert image is None

            def follow(self, camera: object) -> None:
                followed.append(camera)

        shown.show_to(Session())  # pyright: ignore[reportArgumentType]
        assert len(followed) == 1
