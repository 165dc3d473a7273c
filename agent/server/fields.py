"""The fields of a request: each is honoured, or refused by its name. Knows no request and no wire."""

from __future__ import annotations

import copy
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from functools import reduce
from operator import getitem
from types import NoneType, UnionType
from typing import Annotated, Any, ClassVar, TypeVar, Union, cast, get_args, get_origin

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
            why, place = (
                refusal(error, model),
                _place(error.errors(include_input=False, include_url=False)[0], kept),
            )
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


_WORDS = {
    "extra_forbidden": "not known here; leave it out",
    "model_attributes_type": "Input should be an object",
    "model_type": "Input should be an object",
}
"""What pydantic says otherwise, or not in words that are the client's."""


def refusal(error: ValidationError, model: type[BaseModel]) -> RequestError:
    """What is wrong with a request that was read as `model`, with the name of the first field that is."""
    found = [(_asked(one, model), one) for one in error.errors(include_input=False, include_url=False)]
    first = found[0][0]
    # Of a union each member says what is wrong; the one that was meant was read the furthest.
    within = [one for one in found if one[0][: len(first)] == first]
    path, wrong = max(within, key=lambda one: len(one[0]))
    where = ".".join(path)[:100]
    what = _WORDS.get(wrong["type"], wrong["msg"])
    return RequestError(f"{where or 'the body'}: {what}"[:300], code="invalid_value", param=where or None)


def _asked(error: ErrorDetails, model: type[BaseModel]) -> list[str]:
    """Where in the request an error is. pydantic names the members of unions too, which are not in it."""
    named = error.get("ctx", {}).get("field") if error["type"] == "refused" else None
    kept: list[str] = []
    here: Any = model
    for part in (*error["loc"], *([named] if named is not None else [])):
        members = _members(here)
        if isinstance(part, str) and len(members) > 1:
            here = next((member for member in members if _called(member, part)), None)
            continue
        here = members[0] if members else None
        last = error["type"] == "extra_forbidden" and part == error["loc"][-1]
        if isinstance(part, int) or part.isidentifier() or last:
            kept.append(str(part))
        here = _within(here, part)
    return kept


def _members(kind: Any) -> list[Any]:
    """The types of which a value of that type is one, without null."""
    while get_origin(kind) is Annotated:
        kind = get_args(kind)[0]
    if get_origin(kind) not in (Union, UnionType):
        return [] if kind in (None, NoneType) else [kind]
    return [inner for member in get_args(kind) for inner in _members(member)]


def _called(kind: Any, label: str) -> bool:
    """Whether pydantic may call that member of a union so: by its name, or by what its `type` says."""
    if not _is_model(kind):
        return get_origin(kind) is list and label.startswith("list[")
    tag = kind.model_fields.get("type")
    return kind.__name__ in label or (tag is not None and label in get_args(tag.annotation))


def _within(kind: Any, part: str | int) -> Any:
    """The type of one part of a value of that type; None where it is of none."""
    if isinstance(part, int):
        return next(iter(get_args(kind)), None)
    if not _is_model(kind):
        return None
    named = (field for name, field in kind.model_fields.items() if part in (name, field.alias))
    return next((field.annotation for field in named), None)


def _is_model(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, BaseModel)
