"""JSON form of values that no space describes, with their types beside them.

Readers in any language see plain JSON: arrays as lists, numpy numbers as numbers. A second object
maps the place of a value, as a JSON pointer, to a type that JSON cannot express: that a list was
an array of int8, or that a string stands for NaN.

>>> info_to_json({"mask": np.array([0, 1], np.int8), "p": 1.0})
({'mask': [0, 1], 'p': 1.0}, {'/mask': 'ndarray:int8:2'})
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

import gymnasium.spaces as gs
import numpy as np

from openenv_gym.codecs.freeform import object_array, pack_freeform, unpack_freeform, wire_dtype
from openenv_gym.errors import InvalidRequestError, shown
from openenv_gym.spaces.budget import SpaceBudget
from openenv_gym.spaces.numbers import (
    from_json_number,
    from_json_numbers,
    map_nested,
    to_json_number,
    to_json_numbers,
)

Types: TypeAlias = dict[str, str]

_NAME = re.compile(r"[A-Za-z]\w*(\[\w+\])?", re.ASCII)
"""What the name of a dtype looks like, such as ``float32`` and ``M8[ns]``."""


def info_to_json(value: Any) -> tuple[Any, Types]:
    """Return ``value`` as plain JSON, and by JSON pointer the types that JSON cannot express."""
    types: Types = {}
    # The free form decides what can travel, so that both forms carry the same values.
    return _out(unpack_freeform(pack_freeform(value)), "", types), types


def info_from_json(data: Any, types: Mapping[str, str]) -> Any:
    """Return the value that :func:`info_to_json` wrote.

    Raises:
        InvalidRequestError: ``types`` does not fit ``data``.
    """
    try:
        return _in(data, "", types, SpaceBudget()) if types else data
    except (LookupError, ValueError, TypeError, AttributeError, OverflowError) as exc:
        raise InvalidRequestError(f"the types {shown(types)} do not fit the info: {exc}") from exc


REWARD = "reward"
"""What begins the keys of an observation's types that are of its reward, and not of its info."""


def reward_to_json(reward: Any) -> tuple[Any, Types]:
    """Return a reward as plain JSON, and the types that JSON cannot express.

    >>> reward_to_json(np.array([0.5, 2], np.float32))
    ([0.5, 2.0], {'reward': 'ndarray:float32:2'})
    """
    if reward is None or type(reward) is float:  # that a text is NaN is known of a number
        return None if reward is None else to_json_number(reward), {}
    data, types = info_to_json(reward)
    if isinstance(reward, list):
        types[""] = "list"
    return data, {f"{REWARD}{path}": kind for path, kind in types.items()}


def reward_from_json(data: Any, types: Mapping[str, str]) -> Any:
    """Return the array, list or tuple that :func:`reward_to_json` wrote.

    Raises:
        InvalidRequestError: ``types`` does not fit ``data``.
    """
    own = {key.removeprefix(REWARD): kind for key, kind in types.items() if key.startswith(REWARD)}
    return info_from_json(data, own)


def _pointer(path: str, key: object) -> str:
    return f"{path}/{str(key).replace('~', '~0').replace('/', '~1')}"


def _out(value: Any, path: str, types: Types) -> Any:
    for kind, writer in _WRITERS:
        if isinstance(value, kind):
            return writer(value, path, types)
    return value


def _dict_out(value: dict[Any, Any], path: str, types: Types) -> Any:
    if not all(isinstance(key, str) for key in value):  # no JSON object, so a list of pairs
        types[path] = "dict"
        return _list_out([list(pair) for pair in value.items()], path, types)
    return {key: _out(item, _pointer(path, key), types) for key, item in value.items()}


def _list_out(value: list[Any] | tuple[Any, ...], path: str, types: Types) -> Any:
    return [_out(item, _pointer(path, i), types) for i, item in enumerate(value)]


def _tuple_out(value: tuple[Any, ...], path: str, types: Types) -> Any:
    types[path] = "tuple"
    return _list_out(value, path, types)


def _graph_out(value: gs.GraphInstance, path: str, types: Types) -> Any:
    types[path] = "graph"
    return _list_out(value, path, types)


def _array_out(array: np.ndarray[Any, Any], path: str, types: Types) -> Any:
    kind = array.dtype.kind
    if kind == "O":
        types[path] = f"objects:{','.join(map(str, array.shape))}"
        return _list_out(array.ravel().tolist(), path, types)
    name = array.dtype.str[1:] if kind in "SU" else array.dtype.name
    types[path] = f"ndarray:{name}:{','.join(map(str, array.shape))}"
    if kind == "U":
        return array.tolist()
    if kind == "S":
        return map_nested(bytes.hex, array.tolist())
    if kind == "c":
        parts = np.atleast_1d(array).view(f"f{array.itemsize // 2}")
        return to_json_numbers(parts.reshape(*array.shape, 2))
    return to_json_numbers(array.view(np.int64) if kind in "mM" else array)


def _scalar_out(value: np.generic, path: str, types: Types) -> Any:
    data = _array_out(np.asarray(value), path, types)
    types[path] = types[path].replace("ndarray", "scalar")
    return data


def _bytes_out(value: bytes, path: str, types: Types) -> Any:
    types[path] = "bytes"
    return value.hex()


def _number_out(value: float | int, path: str, types: Types) -> Any:
    number = to_json_number(value)
    if isinstance(number, str):
        types[path] = "number"
    return number


_WRITERS: tuple[tuple[Any, Callable[[Any, str, Types], Any]], ...] = (
    (dict, _dict_out),
    (gs.GraphInstance, _graph_out),
    (tuple, _tuple_out),
    (list, _list_out),
    (np.ndarray, _array_out),
    (np.generic, _scalar_out),  # before float, which np.float64 is too
    (bytes, _bytes_out),
    ((int, float), _number_out),
)


def _in(data: Any, path: str, types: Mapping[str, str], budget: SpaceBudget) -> Any:
    kind, _, rest = types.get(path, "").partition(":")
    if kind in _READERS:
        return _READERS[kind](data, rest, budget)
    if isinstance(data, dict):
        return {key: _in(item, _pointer(path, key), types, budget) for key, item in data.items()}
    if isinstance(data, list):
        items = [_in(item, _pointer(path, i), types, budget) for i, item in enumerate(data)]
        return _LISTS[kind](items, rest) if kind in _LISTS else items
    return data


def _array_in(data: Any, rest: str, budget: SpaceBudget) -> np.ndarray[Any, Any]:
    name, _, lengths = rest.partition(":")
    shape = tuple(int(length) for length in lengths.split(",") if length)
    if not _NAME.fullmatch(name):  # numpy evaluates what has commas or brackets in it
        raise ValueError(f"{name[:40]!r} is no name of a dtype")
    dtype = wire_dtype(np.dtype(name))
    if dtype is None:
        raise ValueError(f"the dtype {name} is not allowed")
    if dtype.kind in "SU":  # each text takes as much room as the longest one may
        nbytes = _count(data) * dtype.itemsize
        budget.spend(nbytes, "$.info_types", f"texts of {dtype}")
    return _elements_in(data, dtype).reshape(shape).astype(dtype.newbyteorder("="))


def _count(data: Any) -> int:
    return sum(map(_count, data)) if isinstance(data, list) else 1


def _elements_in(data: Any, dtype: np.dtype[Any]) -> np.ndarray[Any, Any]:
    if dtype.kind in "SU":
        native = map_nested(bytes.fromhex, data) if dtype.kind == "S" else data
        array = np.array(native, dtype)
        if array.tolist() != native:
            raise ValueError(f"expected values of {dtype}, got some that do not fit")
        return array
    if dtype.kind == "c":
        return from_json_numbers(data, np.dtype(f"f{dtype.itemsize // 2}")).ravel().view(dtype)
    if dtype.kind in "mM":
        return from_json_numbers(data, np.dtype(np.int64)).view(dtype)
    return from_json_numbers(data, dtype)


def _objects_in(items: list[Any], rest: str) -> np.ndarray[Any, Any]:
    return object_array(items, [int(length) for length in rest.split(",") if length])


_LISTS: dict[str, Callable[[list[Any], str], Any]] = {
    "tuple": lambda items, rest: tuple(items),
    "graph": lambda items, rest: gs.GraphInstance(*items),
    "dict": lambda items, rest: dict(items),
    "objects": _objects_in,
}
_READERS: dict[str, Callable[[Any, str, SpaceBudget], Any]] = {
    "ndarray": _array_in,
    "scalar": lambda data, rest, budget: _array_in(data, rest, budget)[()],
    "bytes": lambda data, rest, budget: bytes.fromhex(data),
    "number": lambda data, rest, budget: from_json_number(data),
}
