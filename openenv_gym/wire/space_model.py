"""Space → pydantic: a field type that accepts exactly the values of the space.

A field of this type holds the value itself: an array, a tuple, an integer. On request it holds a
named tuple or an enum with the labels of the components. It is read from, and written as, the JSON
of the space's schema.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any, Final

from gymnasium.error import CustomSpaceError
from pydantic import PlainSerializer, PlainValidator, WithJsonSchema
from pydantic_core import PydanticCustomError

from openenv_gym.codecs import json_codec
from openenv_gym.errors import InvalidActionError, InvalidRequestError, shown
from openenv_gym.spaces import to_schema
from openenv_gym.spaces.check import action_check
from openenv_gym.spaces.descriptor import Space
from openenv_gym.wire.named import Named, named

_REFUSED: Final = object()


def space_type(space: Space, name: str | None = None, *, is_action: bool = False) -> Any:
    """Return the annotated type of a pydantic field that holds values of ``space``.

    Args:
        space: The space, of any kind.
        name: The name of the classes (named tuples and ``IntEnum``) that show labelled parts of
            the value. With None, the field holds plain values of the space.
        is_action: Whether the values are actions: floats may lie as far beyond a bound as they are
            rounded, and Python objects may have any form that ``Env.step`` takes.

    Validation raises pydantic's custom error, whose context JSON can write. A ``ValueError`` in its
    place cannot be serialised, and OpenEnv's server would end the session over it.
    """
    codec = json_codec(space)
    names = named(space, name) if name is not None else Named()
    taken = _taken_as_action(space) if is_action else _taken_as_it_is(space)

    def validate(data: Any) -> Any:
        try:
            value = codec.from_json(data, "value")
        except InvalidRequestError as exc:
            if not _is_json(data) and (value := taken(data)) is not _REFUSED:
                return codec.from_json(codec.to_json(value), "value") if is_action else value
            raise _refusal(str(exc)) from exc
        if (value := taken(value)) is _REFUSED:
            raise _refusal(f"value: expected one in {space}, got {shown(data)}")
        return value

    def show(data: Any) -> Any:
        value = validate(names.value(data))
        return value if names.show is None else names.show(value)

    return Annotated[
        names.kind,
        PlainValidator(show),
        PlainSerializer(codec.to_json),
        WithJsonSchema(to_schema(space)),
    ]


def _taken_as_it_is(space: Space) -> Callable[[Any], Any]:
    def taken(value: Any) -> Any:
        try:
            return value if space.contains(value) else _REFUSED
        except (TypeError, ValueError, LookupError, CustomSpaceError):
            return _REFUSED  # Gymnasium raises if it cannot compare the value

    return taken


def _taken_as_action(space: Space) -> Callable[[Any], Any]:
    check = action_check(space, keeps_bounds=True)

    def taken(value: Any) -> Any:
        try:
            return check(value)
        except InvalidActionError:
            return _REFUSED

    return taken


def _is_json(data: Any) -> bool:
    """Return whether ``data`` is JSON, for which the verdict of the codec is final."""
    if type(data) is dict:
        return all(map(_is_json, data.values()))
    if type(data) is list:
        return all(map(_is_json, data))
    return data is None or type(data) in (str, bool, int, float)


def _refusal(text: str) -> PydanticCustomError:
    # The text begins with "value", which its reader replaces by the path of the field.
    # It goes in as context, because the template treats braces as fields.
    return PydanticCustomError("space", "{text}", {"text": text[:300]})
