"""What `talk` is told to show: a file, a camera or the screen. Knows only how a session is shown it."""

from __future__ import annotations

from types import TracebackType
from typing import Self

import click

from agent.conversation.session import Session
from agent.images import open_image
from agent.vision.sources import Screen, Webcam


class VisualInput:
    """At most one thing to show, opened and checked before anything else starts; closes its camera.

    Raises ImageError for a bad file, DeviceError for a camera or screen that gives no picture.
    """

    def __init__(self, image: str | None, camera: str | None, screen: bool) -> None:
        if sum((image is not None, camera is not None, screen)) > 1:
            raise click.UsageError("show one thing: --image, --camera or --screen")
        self._image = None if image is None else open_image(image)
        self._camera = Webcam(camera) if camera is not None else Screen() if screen else None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._camera is not None:
            self._camera.close()

    def show_to(self, session: Session) -> None:
        """Show it."""
        session.show(self._image)
        if self._camera is not None:
            session.follow(self._camera)
