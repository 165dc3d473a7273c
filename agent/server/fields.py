"""The fields of a request: each is honoured, or refused by its name. Knows no request and no wire."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, cast, get_args

from pydantic import BaseModel, ConfigDict, ValidationError, model_validator
from pydantic_core import ErrorDetails, PydanticCustomError

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

    TYPES: ClassVar[set[str]] = set()
    """What a `type` may be, of all of them: by it the members of a union are told apart."""

    @classmethod
    def __pydantic_init_subclass__(cls, **_: Any) -> None:
        if "type" in cls.model_fields:
            Fields.TYPES.update(get_args(cls.model_fields["type"].annotation))

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
    found = [(_asked(one), one) for one in error.errors(include_input=False, include_url=False)]
    first = found[0][0]
    # Of a union each member says what is wrong; the one that was meant was read the furthest.
    within = [one for one in found if one[0][: len(first)] == first]
    path, wrong = max(within, key=lambda one: len(one[0]))
    where = ".".join(path)[:100]
    what = "not known here; leave it out" if wrong["type"] == "extra_forbidden" else wrong["msg"]
    return RequestError(f"{where or 'the body'}: {what}"[:300], code="invalid_value", param=where or None)


def _asked(error: ErrorDetails) -> list[str]:
    """Where in the request an error is. pydantic names the members of unions too, which are not in it."""
    named = error.get("ctx", {}).get("field") if error["type"] == "refused" else None
    path = [*error["loc"], *([named] if named is not None else [])]
    kept: list[str] = []
    member = False
    for place, part in enumerate(path):
        member = not member and part in Fields.TYPES and place + 1 < len(path)
        if isinstance(part, int) or (part.isidentifier() and part != "str" and not member):
            kept.append(str(part))
    return kept
