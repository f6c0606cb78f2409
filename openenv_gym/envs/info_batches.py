"""The infos of many sub-environments as one, in the form of Gymnasium's vector environments.

An info of a batch has a column for each key, and a mask under the key with an underscore before it.
The column is the array that Gymnasium's ``VectorEnv`` makes for the first value, if all others go
into it without loss: numbers and arrays of one shape, of a dtype that casts safely. Where they do
not, Gymnasium raises, or casts them in silence; here the column is an array of objects, with each
value as it was said. Everything here works on values alone.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from openenv_gym.errors import InvalidRequestError
from openenv_gym.wire.fault_info import FAULT_KEY

Records = list[tuple[int, dict[str, Any]]]
"""Infos that are not batched yet: the number of a sub-environment, and what it says."""

_PYTHON_NUMBERS = (int, float, bool)
_ALWAYS_OBJECTS = "final_obs"
_NOTHING = object()


def records_of(infos: Sequence[Any], counts: Sequence[int]) -> Records:
    """Return what each sub-environment said, by its number, in the order in which it was said.

    Args:
        infos: The infos of each shard as :data:`Records`; {} where it says nothing.
        counts: How many sub-environments each shard has.

    Raises:
        InvalidRequestError: The infos are batched already.
    """
    for info in infos:
        if info and isinstance(info, dict):
            raise InvalidRequestError(
                "the environment's own vector form has batched the infos; use vectorization='sync'"
            )
    starts = itertools.accumulate(counts, initial=0)
    of_shards = zip(starts, infos, strict=False)  # the last start is the end
    return [(start + number, info) for start, records in of_shards for number, info in records]


def joined_infos(infos: Sequence[Any], counts: Sequence[int]) -> dict[str, Any]:
    """Return the infos of some shards as Gymnasium batches those of all.

    Args:
        infos: The infos of each shard, batched already or as :data:`Records`.
        counts: How many sub-environments each shard has.
    """
    if not any(infos):
        return {}
    for info in infos:
        if info and isinstance(info, dict):
            break
    else:
        return batch_infos(records_of(infos, counts), sum(counts))
    batched = [
        info if isinstance(info, dict) else batch_infos(info, count)
        for info, count in zip(infos, counts, strict=True)
    ]
    return merge_infos(batched, counts)


def batch_infos(
    records: Iterable[tuple[int, dict[str, Any]]], count: int, *, is_objects: bool = False
) -> dict[str, Any]:
    """Return infos as Gymnasium batches them; what they say of faults in arrays of objects.

    >>> batch_infos([(0, {"moved": 4}), (1, {"moved": 2})], 3)["moved"]
    array([4, 2, 0])
    >>> batch_infos([(0, {"moved": 4}), (1, {"moved": None})], 3)["moved"]
    array([4, None, None], dtype=object)

    Args:
        records: The numbers of sub-environments, and what each says.
        count: How many sub-environments there are.
        is_objects: Whether every column is an array of objects.
    """
    said: dict[str, tuple[list[int], list[Any]]] = {}
    for number, info in records:
        for key, value in info.items():
            if key in said:
                numbers, values = said[key]
                numbers.append(number)
                values.append(value)
            else:
                said[key] = [number], [value]
    merged: dict[str, Any] = {}
    for key, (numbers, values) in said.items():
        mask = np.zeros(count, np.bool_)
        mask[numbers] = True
        if is_objects:
            merged[key] = _objects(numbers, values, count)
        else:
            merged[key] = _column(key, numbers, values, count)
        merged[f"_{key}"] = mask
    return merged


def _column(key: str, numbers: Sequence[int], values: Sequence[Any], count: int) -> Any:
    """Return the column of a key: an array, or an info within the info."""
    if key == _ALWAYS_OBJECTS:
        return _objects(numbers, values, count)
    kinds = set(map(type, values))
    if kinds == {dict}:
        nested = zip(numbers, values, strict=True)
        return batch_infos(nested, count, is_objects=key == FAULT_KEY)
    room = _room(values[0], count)
    if room is None or ((len(kinds) > 1 or np.ndarray in kinds) and not _has_place(room, values)):
        return _objects(numbers, values, count)
    try:
        for number, value in zip(numbers, values, strict=True):
            room[number] = value
    except OverflowError:  # an integer of more than 64 bits
        return _objects(numbers, values, count)
    return room


def _room(first: Any, count: int) -> NDArray[Any] | None:
    """Return the array that Gymnasium makes for the first value of a key, None for objects."""
    kind = type(first)
    if kind in _PYTHON_NUMBERS or issubclass(kind, np.number):
        return np.zeros(count, kind)
    return np.zeros((count, *first.shape), first.dtype) if kind is np.ndarray else None


def _has_place(room: NDArray[Any], values: Iterable[Any]) -> bool:
    """Whether all values are numbers or arrays that go into a column without loss."""
    for form in set(map(_form, values)):
        if form is None:
            return False
        dtype, shape = form
        if shape != room.shape[1:] or not np.can_cast(dtype, room.dtype, "safe"):
            return False
    return True


def _form(value: Any) -> tuple[Any, tuple[int, ...]] | None:
    if type(value) in _PYTHON_NUMBERS:
        return np.dtype(type(value)), ()
    return (value.dtype, value.shape) if isinstance(value, (np.ndarray, np.generic)) else None


def _objects(numbers: Sequence[int], values: Sequence[Any], count: int) -> NDArray[Any]:
    column = np.full(count, None, object)
    for number, value in zip(numbers, values, strict=True):
        column[number] = value
    return column


def merge_infos(infos: Sequence[dict[str, Any]], counts: Sequence[int]) -> dict[str, Any]:
    """Return infos that shards have batched as one, with the columns of all after each other.

    Args:
        infos: The infos of each shard, in the form of :func:`batch_infos`. A vector form of the
            environment's own may leave masks out, and say what has no row for each
            sub-environment; it is then said of each.
        counts: How many sub-environments each shard has.
    """
    if len(infos) == 1:
        return infos[0]
    merged: dict[str, Any] = {}
    for key in dict.fromkeys(key for info in infos for key in info):
        parts = [info.get(key) for info in infos]
        said = [part for part in parts if part is not None]
        if said and all(isinstance(part, dict) for part in said):
            merged[key] = merge_infos([part or {} for part in parts], counts)
            continue
        whole = _concatenated(parts, counts)
        if whole is None:
            of_shards = zip(infos, counts, strict=True)
            rows = [row for info, count in of_shards for row in _rows(info, key, count)]
            rows = [None if row is _NOTHING else row for row in rows]
            whole = _objects(range(len(rows)), rows, len(rows))
        merged[key] = whole
    return merged


def _concatenated(parts: Sequence[Any], counts: Sequence[int]) -> NDArray[Any] | None:
    """Return columns after each other; None where they are no arrays of one form."""
    forms = set()
    for part, count in zip(parts, counts, strict=True):
        if part is not None:
            if not isinstance(part, np.ndarray) or not _has_rows(part, count):
                return None
            forms.add((part.dtype, part.shape[1:]))
    if len(forms) != 1:
        return None
    ((dtype, shape),) = forms
    whole = np.full((sum(counts), *shape), None if dtype.kind == "O" else 0, dtype)
    start = 0
    for part, count in zip(parts, counts, strict=True):
        if part is not None:
            whole[start : start + count] = part
        start += count
    return whole


def _rows(info: dict[str, Any], key: str, count: int) -> list[Any]:
    """Return what each sub-environment of a shard says under a key, or :data:`_NOTHING`."""
    column: Any = info.get(key)
    if isinstance(column, dict):
        values: list[Any] = [{} for _ in range(count)]
        for name in column:
            if name[:1] != "_" or name[1:] not in column:  # else it is a mask
                for value, row in zip(values, _rows(column, name, count), strict=True):
                    value.update({} if row is _NOTHING else {name: row})
    elif _has_rows(column, count):
        values = list(column)
    else:
        values = [column] * count
    mask = info.get(f"_{key}")
    if isinstance(mask, np.ndarray) and mask.shape == (count,) and mask.dtype == np.bool_:
        said = zip(values, mask.tolist(), strict=True)
        return [value if is_said else _NOTHING for value, is_said in said]
    return values


def _has_rows(column: Any, count: int) -> bool:
    if isinstance(column, np.ndarray):
        return bool(column.shape[:1] == (count,))
    return isinstance(column, (list, tuple)) and len(column) == count
