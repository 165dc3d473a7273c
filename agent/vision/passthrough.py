"""Does not look itself: hands the picture on to a language model that sees. Knows no model."""

from __future__ import annotations

from agent.images import Picture
from agent.protocols import Description


class Passthrough:
    """Gives the pixels to the language model; the history keeps no more than that there was a picture."""

    passes_pictures = True

    def look(self, picture: Picture) -> Description:
        """`picture` itself."""
        what = {"camera": "picture from my camera", "screen": "picture of my screen"}.get(
            picture.kind, "picture"
        )
        return Description("", "", f"(I showed you a {what}.)", picture)
