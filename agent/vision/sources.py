"""Cameras and the screen as pictures. Knows no session; gives one picture when it is asked for one."""

from __future__ import annotations

import os
import sys
from typing import Any

import numpy as np

from agent.errors import DeviceError, MissingExtra
from agent.images import Picture, picture_of

STALE = 4
"""Frames that a camera's driver may have kept from before: they are thrown away, so that it is now."""


class Webcam:
    """A camera, by OpenCV. name: its number, from 0, or a file or address that OpenCV opens.

    Raises DeviceError when there is none, MissingExtra without OpenCV.
    """

    def __init__(self, name: str = "0") -> None:
        os.environ.setdefault("OPENCV_LOG_LEVEL", "SILENT")  # it would tell of each driver that it tries
        try:
            import cv2
        except ImportError as error:
            raise MissingExtra("cameras need more libraries", "vision") from error
        self._name = name
        library: Any = cv2
        self._camera: Any = library.VideoCapture(int(name) if name.isdecimal() else name)
        self._camera.set(library.CAP_PROP_BUFFERSIZE, 1)
        if not self._camera.isOpened():
            raise DeviceError(
                f"camera {name}: there is none, or it is in use; try --camera 1, or close other programs"
            )

    def grab(self) -> Picture:
        """What the camera sees now. Raises DeviceError when it gives nothing."""
        for _ in range(STALE):
            self._camera.grab()
        whole, frame = self._camera.retrieve()
        if not whole or frame is None:
            raise DeviceError(f"camera {self._name} gives no more pictures; connect it again and restart")
        return picture_of(np.ascontiguousarray(frame[:, :, ::-1]), "camera")

    def close(self) -> None:
        """Switch the camera off."""
        self._camera.release()


class Screen:
    """The whole screen, by Pillow. Raises DeviceError where there is none to be had."""

    def __init__(self) -> None:
        if sys.platform.startswith("linux") and not os.environ.get("DISPLAY"):
            raise DeviceError("no screen: DISPLAY is not set; start this in a graphical session (X11)")
        self.grab()

    def grab(self) -> Picture:
        """What the screen shows now. Raises DeviceError."""
        try:
            from PIL import ImageGrab
        except ImportError as error:
            raise MissingExtra("pictures need more libraries", "vision") from error
        try:
            shot = ImageGrab.grab().convert("RGB")
        except OSError as error:
            raise DeviceError(
                f"the screen cannot be read ({error}); allow it in the system's settings"
            ) from error
        return picture_of(np.asarray(shot, np.uint8), "screen")

    def close(self) -> None:
        """Nothing is held."""
