"""The fields of a request: each is honoured, or refused by its name. Knows no request and no wire."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, cast

from pydantic import BaseModel, ConfigDict, ValidationError, model_validator
from pydantic_core import PydanticCustomError

from agent.errors import RequestError


class Fields(BaseModel):
    """One object of a request. Null is as if the field were not there, and what is not known is refused.

    ELSEWHERE: fields that others honour and we do not, each with the values that ask for nothing: those are
    taken, all others refused. ABOUT: fields that say who asks, and ask for nothing whatever they hold.
    NULL: fields for which null is a choice of its own.
    """

    model_config = ConfigDict(extra="forbid")

    ELSEWHERE: ClassVar[Mapping[str, tuple[Any, ...]]] = {}
    ABOUT: ClassVar[frozenset[str]] = frozenset()
    NULL: ClassVar[frozenset[str]] = frozenset()

    @model_validator(mode="before")
    @classmethod
    def _sorted_out(cls, given: Any) -> Any:
        if not isinstance(given, dict):
            return given
        kept = dict[Any, Any]()
        for name, value in cast(dict[Any, Any], given).items():
            if name in cls.ELSEWHERE:
                if value is not None and not any(same(value, nothing) for nothing in cls.ELSEWHERE[name]):
                    raise PydanticCustomError("refused", "not to be had here; leave it out", {"field": name})
            elif name not in cls.ABOUT and (value is not None or name in cls.NULL):
                kept[name] = value
        return kept


def same(one: Any, other: Any) -> bool:
    """Whether two values of JSON are: 1 is 1.0 and not true."""
    return isinstance(one, bool) == isinstance(other, bool) and one == other


def refusal(error: ValidationError) -> RequestError:
    """What is wrong with a request, with the name of the first field that is."""
    first = error.errors(include_input=False, include_url=False)[0]
    named = first.get("ctx", {}).get("field") if first["type"] == "refused" else None
    path = [*first["loc"], *([named] if named is not None else [])]
    # Of a union pydantic names the kind that it tried, which is no part of the request.
    named = [str(p) for p in path if isinstance(p, int) or (p.isidentifier() and p != "str")]
    where = ".".join(named)[:100]
    what = "not known here; leave it out" if first["type"] == "extra_forbidden" else first["msg"]
    return RequestError(f"{where or 'the body'}: {what}"[:300], code="invalid_value", param=where or None)
