"""Space → pydantic: a field type that accepts exactly the values of the space.

A field of this type holds the value itself: an array, a tuple, an integer. On request it holds a
named tuple or an enum with the labels of the components. It is read from, and written as, the JSON
of the space's schema.
"""

from __future__ import annotations

from typing import Annotated, Any

from gymnasium.error import CustomSpaceError
from pydantic import PlainSerializer, PlainValidator, WithJsonSchema
from pydantic_core import PydanticCustomError

from openenv_gym.codecs import json_codec
from openenv_gym.errors import InvalidRequestError
from openenv_gym.spaces import to_schema
from openenv_gym.spaces.descriptor import Space
from openenv_gym.wire.named import Named, named


def space_type(space: Space, name: str | None = None) -> Any:
    """Return the annotated type of a pydantic field that holds values of ``space``.

    Args:
        space: The space, of any kind.
        name: The name of the classes (named tuples and ``IntEnum``) that show labelled parts of
            the value. With None, the field holds plain values of the space.

    Validation raises pydantic's custom error, whose context JSON can write. A ``ValueError`` in its
    place cannot be serialised, and OpenEnv's server would end the session over it.
    """
    codec = json_codec(space)
    names = named(space, name) if name is not None else Named()

    def validate(data: Any) -> Any:
        try:
            value = codec.from_json(data, "value")
        except InvalidRequestError as exc:
            if not _is_json(data) and _contains(space, data):
                return data
            raise _refusal(str(exc)) from exc
        if not _contains(space, value):
            raise _refusal(f"value: expected one in {space}, got {data!r}")
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


def _contains(space: Space, value: Any) -> bool:
    try:
        return bool(space.contains(value))
    except (TypeError, ValueError, LookupError, CustomSpaceError):
        return False  # Gymnasium raises if it cannot compare the value


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
