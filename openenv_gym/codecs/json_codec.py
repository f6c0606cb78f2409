"""JSON form of the values of a space: what its JSON schema says, exact in both directions.

``to_json(value)`` gives lists, dicts, numbers and strings; ``from_json`` gives the canonical
value of the space back: arrays of its dtype, Python integers for ``Discrete``, tuples, dicts.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import singledispatch
from typing import Any, NamedTuple

import gymnasium.spaces as gs
import numpy as np

from openenv_gym.codecs.json_info import info_to_json
from openenv_gym.errors import InvalidRequestError
from openenv_gym.spaces.numbers import from_json_number, from_json_numbers, to_json_numbers


class JsonCodec(NamedTuple):
    """The compiled JSON codec of one space.

    Attributes:
        to_json: ``to_json(value)`` gives a JSON-able value.
        from_json: ``from_json(data, path)`` gives the value back; raises
            ``InvalidRequestError`` naming the path where ``data`` has another form.
    """

    to_json: Callable[[Any], Any]
    from_json: Callable[[Any, str], Any]


def _wrong(path: str, expected: str, got: object) -> InvalidRequestError:
    text = repr(got)
    text = text if len(text) <= 80 else text[:77] + "..."
    return InvalidRequestError(f"{path}: expected {expected}, got {text}")


@singledispatch
def json_codec(space: gs.Space[Any] | None) -> JsonCodec:
    """Return the JSON codec of ``space``; None stands for values that no space describes.

    >>> json_codec(gs.Box(0, 1, (2,))).to_json(np.array([0.5, np.nan], np.float32))
    [0.5, 'NaN']
    """
    return JsonCodec(lambda value: info_to_json(value)[0], lambda data, path: data)


@json_codec.register(gs.Box)
@json_codec.register(gs.MultiDiscrete)
@json_codec.register(gs.MultiBinary)
def _(space: gs.Box | gs.MultiDiscrete | gs.MultiBinary) -> JsonCodec:
    dtype, shape = np.dtype(space.dtype), tuple(space.shape)

    def to_json(value: Any) -> Any:
        return to_json_numbers(np.asarray(value))

    def from_json(data: Any, path: str) -> Any:
        try:
            array = from_json_numbers(data, dtype)
        except ValueError as exc:
            raise _wrong(path, f"{dtype} values of shape {shape}", data) from exc
        if array.shape != shape:
            raise _wrong(path, f"shape {shape}", array.shape)
        return array

    return JsonCodec(to_json, from_json)


@json_codec.register
def _(space: gs.Discrete) -> JsonCodec:
    def from_json(data: Any, path: str) -> Any:
        try:
            number = from_json_number(data)
        except ValueError as exc:
            raise _wrong(path, "an integer", data) from exc
        if type(number) is not int:
            raise _wrong(path, "an integer", data)
        return number

    return JsonCodec(int, from_json)


@json_codec.register
def _(space: gs.Text) -> JsonCodec:
    def from_json(data: Any, path: str) -> Any:
        if type(data) is not str:
            raise _wrong(path, "a string", data)
        return data

    return JsonCodec(str, from_json)


@json_codec.register
def _(space: gs.Dict) -> JsonCodec:
    codecs = {key: json_codec(child) for key, child in space.spaces.items()}

    def to_json(value: Any) -> Any:
        return {key: codec.to_json(value[key]) for key, codec in codecs.items()}

    def from_json(data: Any, path: str) -> Any:
        if type(data) is not dict or set(data) != set(codecs):
            raise _wrong(path, f"an object with the keys {', '.join(codecs)}", data)
        return {key: codec.from_json(data[key], f"{path}.{key}") for key, codec in codecs.items()}

    return JsonCodec(to_json, from_json)


@json_codec.register(gs.Tuple)
def _(space: gs.Tuple[Any]) -> JsonCodec:
    codecs = [json_codec(child) for child in space.spaces]

    def to_json(value: Any) -> Any:
        return [codec.to_json(item) for codec, item in zip(codecs, value, strict=True)]

    def from_json(data: Any, path: str) -> Any:
        if type(data) is not list or len(data) != len(codecs):
            raise _wrong(path, f"an array of {len(codecs)} items", data)
        return tuple(codec.from_json(data[i], f"{path}[{i}]") for i, codec in enumerate(codecs))

    return JsonCodec(to_json, from_json)
