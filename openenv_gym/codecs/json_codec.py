"""JSON form of the values of a space, as its JSON schema says; exact in both directions.

``to_json(value)`` gives lists, dicts, numbers and strings; ``from_json`` gives the canonical
value of the space back: arrays of its dtype, Python integers for ``Discrete``, tuples, dicts.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable
from functools import singledispatch
from typing import Any, NamedTuple

import gymnasium.spaces as gs
import numpy as np

from openenv_gym.codecs.json_info import info_to_json
from openenv_gym.errors import InvalidRequestError, shown
from openenv_gym.spaces.numbers import (
    from_json_number,
    from_json_numbers,
    to_json_number,
    to_json_numbers,
)
from openenv_gym.spaces.schema_space import SchemaSpace


class JsonCodec(NamedTuple):
    """The compiled JSON codec of one space.

    Attributes:
        to_json: ``to_json(value)`` returns a value that JSON can write.
        from_json: ``from_json(data, path)`` returns the value. It raises ``InvalidRequestError``,
            which names the path, if ``data`` has another form.
    """

    to_json: Callable[[Any], Any]
    from_json: Callable[[Any, str], Any]


def _wrong(path: str, expected: str, got: object) -> InvalidRequestError:
    return InvalidRequestError(f"{path}: expected {expected}, got {shown(got)}")


@singledispatch
def json_codec(space: gs.Space[Any] | SchemaSpace | None) -> JsonCodec:
    """Return the JSON codec of ``space``; None stands for values that no space describes.

    The codec of a ``SchemaSpace`` writes and reads the form that its schema asks for.

    >>> json_codec(gs.Box(0, 1, (2,))).to_json(np.array([0.5, np.nan], np.float32))
    [0.5, 'NaN']
    """
    return JsonCodec(lambda value: info_to_json(value)[0], lambda data, path: data)


@json_codec.register
def _(space: SchemaSpace) -> JsonCodec:
    codec, write, read = json_codec(space.space), space.to_json, space.from_json
    if space.is_plain:
        return codec
    if space.read is not None:
        return JsonCodec(lambda value: write(codec.to_json(value)), space.read)
    if any(child.read is not None for child in space.fields.values()):
        return _dict_codec({name: json_codec(child) for name, child in space.fields.items()})
    return JsonCodec(
        lambda value: write(codec.to_json(value)),
        lambda data, path: codec.from_json(read(data, path), path),
    )


@json_codec.register(gs.Box)
@json_codec.register(gs.MultiDiscrete)
@json_codec.register(gs.MultiBinary)
def _(space: gs.Box | gs.MultiDiscrete | gs.MultiBinary) -> JsonCodec:
    return _array_codec(np.dtype(space.dtype), tuple(space.shape))


def _is_nested(data: Any, shape: tuple[int, ...]) -> bool:
    """Return whether the lengths of nested lists agree with ``shape``."""
    if not shape or not isinstance(data, list):
        return not shape and not isinstance(data, list)
    return len(data) == shape[0] and all(_is_nested(item, shape[1:]) for item in data)


def _array_codec(dtype: np.dtype[Any], shape: tuple[int, ...]) -> JsonCodec:
    def to_json(value: Any) -> Any:
        array = np.asarray(value)
        if array.dtype.kind not in "biuf":
            raise ValueError(f"expected {dtype} values of shape {shape}")
        if dtype.kind in "iu" and array.dtype.kind in "bf":  # a MultiBinary contains them too
            with np.errstate(invalid="ignore", over="ignore"):
                cast = array.astype(dtype)
            array = cast if (cast == array).all() else array
        return to_json_numbers(array)

    def from_json(data: Any, path: str) -> Any:
        try:
            array = from_json_numbers(data, dtype)
        except ValueError as exc:
            raise _wrong(path, f"{dtype} values of shape {shape}", data) from exc
        if array.size == 0 and math.prod(shape) == 0 and _is_nested(data, shape):
            return array.reshape(shape)  # empty lists do not show all lengths
        if array.shape != shape:
            raise _wrong(path, f"shape {shape}", array.shape)
        return array

    return JsonCodec(to_json, from_json)


@json_codec.register
def _(space: gs.Discrete) -> JsonCodec:
    limits = np.iinfo(space.dtype)
    lowest, highest = int(limits.min), int(limits.max)

    def to_json(value: Any) -> Any:
        return to_json_number(int(operator.index(value)))

    def from_json(data: Any, path: str) -> Any:
        try:
            number = from_json_number(data)
        except ValueError as exc:
            raise _wrong(path, "an integer", data) from exc
        if type(number) is not int or not lowest <= number <= highest:
            raise _wrong(path, f"an integer of {space.dtype}", data)
        return number

    return JsonCodec(to_json, from_json)


@json_codec.register
def _(space: gs.Text) -> JsonCodec:
    def from_json(data: Any, path: str) -> Any:
        if type(data) is not str:
            raise _wrong(path, "a string", data)
        return data

    return JsonCodec(str, from_json)


@json_codec.register
def _(space: gs.Dict) -> JsonCodec:
    return _dict_codec({key: json_codec(child) for key, child in space.spaces.items()})


def _dict_codec(codecs: dict[str, JsonCodec]) -> JsonCodec:
    # The value keeps its order: `gs.Dict` sorts its keys, and environments often do not.
    def to_json(value: Any) -> Any:
        if value.keys() != codecs.keys():
            raise KeyError(f"expected the keys {', '.join(codecs)}, got {', '.join(value)}")
        return {key: codecs[key].to_json(item) for key, item in value.items()}

    def from_json(data: Any, path: str) -> Any:
        if type(data) is not dict or set(data) != set(codecs):
            raise _wrong(path, f"an object with the keys {', '.join(codecs)}", data)
        return {key: codecs[key].from_json(item, f"{path}.{key}") for key, item in data.items()}

    return JsonCodec(to_json, from_json)


@json_codec.register(gs.Tuple)
def _(space: gs.Tuple[Any]) -> JsonCodec:
    return _tuple_codec([json_codec(child) for child in space.spaces])


def _tuple_codec(codecs: list[JsonCodec]) -> JsonCodec:
    def to_json(value: Any) -> Any:
        return [codec.to_json(item) for codec, item in zip(codecs, value, strict=True)]

    def from_json(data: Any, path: str) -> Any:
        if type(data) is not list or len(data) != len(codecs):
            raise _wrong(path, f"an array of {len(codecs)} items", data)
        return tuple(codec.from_json(data[i], f"{path}[{i}]") for i, codec in enumerate(codecs))

    return JsonCodec(to_json, from_json)


@json_codec.register
def _(space: gs.Sequence) -> JsonCodec:
    child = json_codec(space.feature_space)

    def to_json(value: Any) -> Any:
        return [child.to_json(item) for item in value]

    def from_json(data: Any, path: str) -> Any:
        if type(data) is not list:
            raise _wrong(path, "an array", data)
        return tuple(child.from_json(item, f"{path}[{i}]") for i, item in enumerate(data))

    return _stacked(space.feature_space) if space.stack else JsonCodec(to_json, from_json)


def _stacked(feature: gs.Space[Any]) -> JsonCodec:
    """Return the codec of stacked values of ``feature``, as a vector environment has them."""

    def to_json(value: Any) -> Any:
        return _batch(feature, _length(feature, value)).to_json(value)

    def from_json(data: Any, path: str) -> Any:
        try:
            length = _length(feature, data)
        except (LookupError, TypeError) as exc:
            raise _wrong(path, f"stacked values of {feature}", data) from exc
        return _batch(feature, length).from_json(data, path)

    return JsonCodec(to_json, from_json)


def _batch(feature: gs.Space[Any], length: int) -> JsonCodec:
    """Return the codec of ``length`` stacked values, made from the parts of the space.

    It builds no batched space: a peer chooses the length, so its bounds could fill the memory, and
    a ``Dict`` would sort its keys.
    """
    if isinstance(feature, gs.Dict):
        items = {key: _batch(child, length) for key, child in feature.spaces.items()}
        return _dict_codec(items)
    if isinstance(feature, gs.Tuple):
        return _tuple_codec([_batch(child, length) for child in feature.spaces])
    if isinstance(feature, (gs.Box, gs.Discrete, gs.MultiDiscrete, gs.MultiBinary)):
        return _array_codec(np.dtype(feature.dtype), (length, *(feature.shape or ())))
    return _tuple_codec([json_codec(feature)] * length)


def _length(feature: gs.Space[Any], stacked: Any) -> int:
    """Return how many values of ``feature`` are stacked, from the length of their arrays."""
    if isinstance(feature, gs.Dict):
        return max((_length(s, stacked[key]) for key, s in feature.spaces.items()), default=0)
    if isinstance(feature, gs.Tuple):
        return max((_length(s, stacked[i]) for i, s in enumerate(feature.spaces)), default=0)
    if isinstance(stacked, (dict, str)):
        raise TypeError("not stacked")
    return len(stacked)


@json_codec.register
def _(space: gs.Graph) -> JsonCodec:
    limits = np.iinfo(np.int32)
    link = gs.Box(limits.min, limits.max, (2,), np.int32)
    features = {"nodes": space.node_space, "edges": space.edge_space, "edge_links": link}
    codecs = {name: _stacked(child) for name, child in features.items() if child is not None}

    def to_json(value: Any) -> Any:
        parts = {name: getattr(value, name) for name in features}
        return {
            name: None if part is None else codecs[name].to_json(part)
            for name, part in parts.items()
        }

    def from_json(data: Any, path: str) -> Any:
        if type(data) is not dict or set(data) != set(features):
            raise _wrong(path, f"an object with the keys {', '.join(features)}", data)
        parts = []
        for name, part in data.items():
            if part is not None and name not in codecs:
                raise _wrong(f"{path}.{name}", "null, because the graph has no edges", part)
            parts.append(None if part is None else codecs[name].from_json(part, f"{path}.{name}"))
        return gs.GraphInstance(**dict(zip(data, parts, strict=True)))

    return JsonCodec(to_json, from_json)


if hasattr(gs, "OneOf"):  # since Gymnasium 1.0

    @json_codec.register(gs.OneOf)
    def _(space: gs.OneOf[Any]) -> JsonCodec:
        codecs = [json_codec(child) for child in space.spaces]

        def to_json(value: Any) -> Any:
            index, item = value
            return [int(operator.index(index)), codecs[index].to_json(item)]

        def from_json(data: Any, path: str) -> Any:
            if type(data) is not list or len(data) != 2:
                raise _wrong(path, "an array of an index and a value", data)
            index = data[0]
            if type(index) is not int or not 0 <= index < len(codecs):
                raise _wrong(f"{path}[0]", f"an index below {len(codecs)}", index)
            return np.int64(index), codecs[index].from_json(data[1], f"{path}[1]")

        return JsonCodec(to_json, from_json)
