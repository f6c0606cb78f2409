"""Space → pydantic: a field type that accepts exactly what the space contains.

A field of this type holds the value itself (an array, a tuple, an integer); it is read from and
written as the JSON of the space's schema.
"""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import PlainSerializer, PlainValidator, WithJsonSchema
from pydantic_core import PydanticCustomError

from openenv_gym.codecs import json_codec
from openenv_gym.errors import InvalidRequestError
from openenv_gym.spaces import to_schema
from openenv_gym.spaces.descriptor import Space


def space_type(space: Space) -> Any:
    """Return the annotated type of a pydantic field that holds values of ``space``.

    Validation raises pydantic's own custom error, whose context is JSON-able: OpenEnv's server
    ends a session over an error that it cannot serialise, and a ``ValueError`` is one.
    """
    codec = json_codec(space)

    def validate(data: Any) -> Any:
        try:
            value = codec.from_json(data, "value")
        except InvalidRequestError as exc:
            if space.contains(data) and not isinstance(data, (list, str, bool)):
                return data
            raise _refusal(str(exc)) from exc
        if not space.contains(value):
            raise _refusal(f"expected a value in {space}, got {data!r}")
        return value

    return Annotated[
        Any,
        PlainValidator(validate),
        PlainSerializer(codec.to_json),
        WithJsonSchema(to_schema(space)),
    ]


def _refusal(text: str) -> PydanticCustomError:
    # The text goes in as context, because the template treats braces as fields.
    return PydanticCustomError("space", "{text}", {"text": text[:300]})
