"""What is heard, without the agent's own voice in it; says when that does not succeed. Knows no device."""

from __future__ import annotations

from collections.abc import AsyncIterable, AsyncIterator, Sequence

from agent.events import EchoGone, EchoHeard, Watcher
from audio.echo.front_end import FrontEnd
from audio.frame import Frame


async def without_echo(
    frames: AsyncIterable[Frame], front: FrontEnd | None, watchers: Sequence[Watcher]
) -> AsyncIterator[Frame]:
    """`frames` (16 kHz, contiguous) cleaned by `front`; as they are without one.

    watchers: are told when the echo is heard for all that is done about it, and when no more.
    """
    told = False
    async for frame in frames:
        if front is None:
            yield frame
            continue
        yield front.cleaned(frame)
        if front.leaking != told:
            told = front.leaking
            for watch in watchers:
                watch((EchoHeard if told else EchoGone)(frame.end))
