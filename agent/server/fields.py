"""The fields of a request: each is honoured, or refused by its name. Knows no request and no wire."""

from __future__ import annotations

import copy
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from functools import reduce
from operator import getitem
from typing import Any, ClassVar, TypeVar, cast, get_args

from pydantic import BaseModel, ConfigDict, ValidationError, model_validator
from pydantic_core import ErrorDetails, PydanticCustomError

from agent.errors import RequestError

MANY = 16
"""Fields of one object that are left out and told of one by one; with more it is refused as a whole."""


class Fields(BaseModel):
    """One object of a request. Null is as if the field were not there, and what is not known is refused.

    ELSEWHERE: fields that others honour and we do not, each with the values that ask for nothing: those are
    taken, all others refused. ABOUT: fields that say who asks, and ask for nothing whatever they hold.
    NULL: fields for which null is a choice of its own. ESSENTIAL: fields without all of which the rest would
    mean something else: see `granted`.
    """

    model_config = ConfigDict(extra="forbid")

    ELSEWHERE: ClassVar[Mapping[str, tuple[Any, ...]]] = {}
    ABOUT: ClassVar[frozenset[str]] = frozenset()
    NULL: ClassVar[frozenset[str]] = frozenset()
    ESSENTIAL: ClassVar[frozenset[str]] = frozenset()

    TYPES: ClassVar[set[str]] = set()
    """What a `type` may be, of all of them: by it the members of a union are told apart."""
    NAMES: ClassVar[set[str]] = set()
    """What they are called here, which is nobody else's concern."""

    @classmethod
    def __pydantic_init_subclass__(cls, **_: Any) -> None:
        Fields.NAMES.add(cls.__name__)
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


F = TypeVar("F", bound=Fields)


def granted(model: type[F], given: Any) -> tuple[F, list[RequestError]]:
    """`given` as `model` without what cannot be granted of it, and what to tell of each such field.

    In a list it is the one entry that is left out. Raises RequestError where what is wrong is essential.
    """
    kept, refused = copy.deepcopy(given), list[RequestError]()
    while True:
        try:
            return model.model_validate(kept), refused
        except ValidationError as error:
            why, place = refusal(error), _place(error.errors(include_input=False, include_url=False)[0], kept)
            if not place or place[0] in model.ESSENTIAL or len(refused) == MANY:
                raise why from error
            _take_out(kept, place)
            refused.append(why)


@contextmanager
def told_of(refused: list[RequestError]) -> Generator[None]:
    """What is refused within is added to the list, and nothing more is done within."""
    try:
        yield
    except RequestError as error:
        refused.append(error)


def _place(error: ErrorDetails, given: Any) -> list[str | int]:
    """The keys that lead to what is wrong in `given`; to what has it, where it is missing."""
    place: list[str | int] = []
    named: list[str] = [error.get("ctx", {})["field"]] if error["type"] == "refused" else []
    for part in (*error["loc"], *named):
        here = part in cast(dict[Any, Any], given) if isinstance(given, dict) else False
        if here or (isinstance(given, list) and isinstance(part, int)):
            place.append(part)
            given = cast(Any, given)[part]
    return place


def _take_out(given: Any, place: list[str | int]) -> None:
    """Remove what is there: an object of a wrong type whole, an entry of a list, a list with its last."""
    place = place[:-1] if place[-1] == "type" and len(place) > 1 else place
    entry = next((depth for depth, part in enumerate(place) if isinstance(part, int)), None)
    place = place if entry is None else place[: entry + 1]
    holder = reduce(getitem, place[:-1], given)
    del holder[place[-1]]
    if entry is not None and not holder:
        del reduce(getitem, place[:-2], given)[place[-2]]


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
        if error["type"] == "extra_forbidden" and place + 1 == len(path):
            return [*kept, str(part)]
        member = not member and part in Fields.TYPES and place + 1 < len(path)
        ours = member or part == "str" or part in Fields.NAMES
        if isinstance(part, int) or (part.isidentifier() and not ours):
            kept.append(str(part))
    return kept
