"""How much the values of a space are: the fewest bytes in binary, and the most text in JSON."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Iterator
from functools import singledispatch
from typing import Any, NamedTuple

import gymnasium.spaces as gs
import numpy as np

from openenv_gym.spaces.descriptor import Space


def least_bytes(space: Space) -> int:
    """Return how many bytes every value of ``space`` takes at least, in the binary protocol.

    >>> least_bytes(gs.Dict(image=gs.Box(0, 255, (4, 4), np.uint8), text=gs.Text(9)))
    16
    """
    return sum(count * itemsize for count, itemsize in _arrays(space))


def numbers_in(space: Space) -> int:
    """Return how many numbers the arrays of every value of ``space`` have.

    >>> numbers_in(gs.Dict(image=gs.Box(0, 1, (4, 4)), speed=gs.Box(0, 1, (2,))))
    18
    """
    return sum(count for count, _ in _arrays(space))


@singledispatch
def _arrays(space: Space) -> Iterator[tuple[int, int]]:
    """Yield the number of items of each array, and the bytes of an item."""
    return iter(())


@_arrays.register(gs.Box)
@_arrays.register(gs.MultiDiscrete)
@_arrays.register(gs.MultiBinary)
def _(space: Any) -> Iterator[tuple[int, int]]:
    yield math.prod(space.shape), int(np.dtype(space.dtype).itemsize)


@_arrays.register
def _(space: gs.Dict) -> Iterator[tuple[int, int]]:
    for child in space.spaces.values():
        yield from _arrays(child)


@_arrays.register(gs.Tuple)
def _(space: Any) -> Iterator[tuple[int, int]]:
    for child in space.spaces:
        yield from _arrays(child)


class JsonSize(NamedTuple):
    """The most that a value may be in compact JSON.

    Attributes:
        bytes: The length of its text.
        values: The number of numbers, texts, arrays and objects in it.
    """

    bytes: int
    values: int


@singledispatch
def json_size(space: Space) -> JsonSize | None:
    """Return the most that a value of ``space`` is in JSON; None where there is no most.

    >>> json_size(gs.Box(-1, 1, (2,), np.int8)), json_size(gs.Sequence(gs.Discrete(3)))
    (JsonSize(bytes=13, values=3), None)
    """
    return None


@json_size.register(gs.Box)
@json_size.register(gs.MultiDiscrete)
@json_size.register(gs.MultiBinary)
def _(space: Any) -> JsonSize:
    shape = tuple(space.shape)
    count: int = math.prod(shape)
    lists: int = sum(math.prod(shape[:axis]) for axis in range(len(shape)))
    return JsonSize(count * _number_bytes(np.dtype(space.dtype)) + 3 * lists, count + lists)


@json_size.register
def _(space: gs.Discrete) -> JsonSize:
    return JsonSize(_number_bytes(np.dtype(np.int64)), 1)


@json_size.register
def _(space: gs.Text) -> JsonSize:
    return JsonSize(_CHARACTER_BYTES * int(space.max_length) + 3, 1)


@json_size.register
def _(space: gs.Dict) -> JsonSize | None:
    names = sum(len(json.dumps(str(name))) + 1 for name in space.spaces)
    return _together(space.spaces.values(), names)


@json_size.register(gs.Tuple)
def _(space: Any) -> JsonSize | None:
    return _together(space.spaces, 0)


def _together(spaces: Iterable[Space], names: int) -> JsonSize | None:
    """The size of a value of each of some spaces, in an array or object around them."""
    sizes = [size for size in map(json_size, spaces) if size is not None]
    if len(sizes) < len(list(spaces)):
        return None
    text, values = (sum(size[part] for size in sizes) for part in range(2))
    return JsonSize(text + names + 3, values + 1)


def _number_bytes(dtype: np.dtype[Any]) -> int:
    """The most characters of a number and the comma behind it.

    A 64-bit integer may stand between quotation marks, and so may what is not finite.
    """
    if dtype.kind == "f":
        return len("-1.7976931348623157e+308,")
    if dtype.kind in "iu":
        limits = np.iinfo(dtype)
        return max(len(str(limits.min)), len(str(limits.max))) + (3 if dtype.itemsize == 8 else 1)
    return len("false,")


_CHARACTER_BYTES = len(r"\ud83d\ude00")
