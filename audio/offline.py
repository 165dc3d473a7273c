"""Whether the network may be used for weights. Asked at each use: the user may say so for one command."""

from __future__ import annotations

import os

from audio.errors import ModelError

VARIABLES = ("BACKCHAT_OFFLINE", "HF_HUB_OFFLINE")
"""Ours, and the one that the model hubs' own library knows."""


def offline() -> str | None:
    """The variable that forbids the network; None when none does."""
    yes = {"1", "true", "yes", "on"}
    return next((name for name in VARIABLES if os.environ.get(name, "").lower() in yes), None)


def demand_network(name: str) -> None:
    """Raise ModelError where the network is forbidden, and with it the only way to the weights `name`."""
    if variable := offline():
        raise ModelError(f"{name} is not on this machine and {variable} is set; unset it to download")
