"""Space → pydantic: a field type that accepts exactly what the space contains.

A field of this type holds the value itself (an array, a tuple, an integer), or where it is asked
for, one that names its components; it is read from and written as the JSON of the space's schema.
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
        space: Any space.
        name: Of the classes in which labelled parts of the value are shown, named tuples and
            ``IntEnum``; unless given, the field holds values of the space as they are.

    Validation raises pydantic's own custom error, whose context is JSON-able: OpenEnv's server
    ends a session over an error that it cannot serialise, and a ``ValueError`` is one.
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
        return False  # Gymnasium cannot look into it, and raises instead


def _is_json(data: Any) -> bool:
    """Whether ``data`` can be from JSON, which the codec has read or refused for good."""
    if type(data) is dict:
        return all(map(_is_json, data.values()))
    if type(data) is list:
        return all(map(_is_json, data))
    return data is None or type(data) in (str, bool, int, float)


def _refusal(text: str) -> PydanticCustomError:
    # It begins with "value", for the place of which its reader puts the path of the field.
    # The text goes in as context, because the template treats braces as fields.
    return PydanticCustomError("space", "{text}", {"text": text[:300]})
