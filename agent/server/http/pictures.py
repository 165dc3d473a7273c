"""Pictures in chat requests as what a language model takes. Knows no protocol and no session."""

from __future__ import annotations

from collections.abc import Sequence

from agent.errors import ImageError, RequestError
from agent.images import Picture, open_image
from agent.messages import Message, joined
from agent.runner import Bridge
from agent.settings import Config
from agent.transports.slot import Seat

MOST = 8
"""Pictures that one request may hold."""


async def opened(urls: Sequence[Sequence[str]], config: Config) -> list[list[Picture]]:
    """The pictures of each message, decoded in a worker. Raises RequestError for one that is no good."""
    if sum(map(len, urls)) > MOST:
        raise RequestError(f"messages: more than {MOST} pictures")
    bridge = Bridge()
    found: list[list[Picture]] = []
    for some in urls:
        found.append([])
        for url in some:
            if not url.startswith("data:"):
                raise RequestError("image_url: a data URL, data:image/png;base64,...; nothing is fetched")
            try:
                picture = await bridge.call("eye", lambda url=url: open_image(url), config.limits.eye)
            except ImageError as error:
                raise RequestError(f"image_url: {error}") from error
            found[-1].append(picture)
    return found


async def looked(
    seat: Seat, config: Config, messages: Sequence[Message], pictures: Sequence[Sequence[Picture]]
) -> list[Message]:
    """The conversation with what is seen in the pictures of each message before its words.

    Raises RequestError where there is no eye, EngineFault when it fails.
    """
    whole: list[Message] = []
    for message, shown in zip(messages, pictures, strict=True):
        for picture in shown:
            eye = seat.engines.eye
            if eye is None:
                raise RequestError("messages: no eye is loaded here, so no pictures")
            sight = await seat.bridge().call("eye", lambda p=picture, e=eye: e.look(p), config.limits.eye)
            whole = joined(whole, sight.asked(""))
        whole = joined(whole, [message]) if shown else [*whole, message]
    return whole
