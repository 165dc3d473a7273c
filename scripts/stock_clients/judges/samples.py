"""What frameworks for agents are given: a tool, and a type to answer with. Needs pydantic."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel
from trial import BASE, KEY

AT: dict[str, Any] = {"base_url": BASE, "api_key": KEY}


class Person(BaseModel):
    """Somebody."""

    name: str
    age: int


def weather(city: str) -> str:
    """How the weather is."""
    return f"Rain in {city}."
