"""Pictures in chat requests as what a language model takes. Knows no protocol and no session."""

from __future__ import annotations

from collections.abc import Sequence

from agent.errors import ImageError, ImageTooLarge, RequestError
from agent.images import Upload, open_image
from agent.messages import Message, joined
from agent.protocols import Description, VisionEngine
from agent.settings import Config
from agent.transports.disclosure import said
from agent.transports.slot import SessionSlot


def check(urls: Sequence[Sequence[str]], config: Config) -> None:
    """Raise RequestError where there are too many pictures, or one that is no data URL."""
    if sum(map(len, urls)) > (most := config.server.max_pictures):
        raise RequestError(f"messages: more than {most} pictures (server.max_pictures)")
    if not all(url.startswith("data:") for some in urls for url in some):
        raise RequestError("image_url: a data URL, data:image/png;base64,...; nothing is fetched")


async def looked(
    slot: SessionSlot, config: Config, messages: Sequence[Message], urls: Sequence[Sequence[str]]
) -> list[Message]:
    """The conversation with what is seen in the pictures of each message before its words.

    A picture is decoded when it is its turn to be looked at, so that there is one of them at a time. Raises
    RequestError for one that is no good and where there is no vision engine, EngineFault when it fails.
    """
    runner, vision = slot.runner(background=True), slot.engines.vision
    whole: list[Message] = []
    for message, shown in zip(messages, urls, strict=True):
        for url in shown:
            if vision is None:
                raise RequestError("messages: no vision engine is loaded here, so no pictures")
            upload = Upload(url, config.server.max_pixels)
            description = await runner.call(
                "vision", lambda e=vision, u=upload: _seen(e, u), config.limits.vision
            )
            said(f"{description.note} {description.says}")
            whole = joined(whole, description.asked(""))
        whole = joined(whole, [message]) if shown else [*whole, message]
    return whole


def _seen(vision: VisionEngine, upload: Upload) -> Description:
    try:
        return vision.look(open_image(upload))
    except ImageTooLarge as error:
        raise RequestError(f"image_url: {error}", 413, "too_large") from error
    except ImageError as error:
        raise RequestError(f"image_url: {error}") from error
