"""Values of many environments as columns: what is alike travels as one array.

A column is a tuple that says how its values are put together, and then has them::

    ("a", array)            arrays of one dtype and shape, along a new first axis
    ("x", array)            scalars of numpy of one dtype
    ("f", array)            floats            ("i", array)     integers of at most 64 bits
    ("b", bytes)            booleans          ("n", count)     None
    ("t", columns, count)   tuples of one length, as a column for each place
    ("d", keys, columns, count)   dicts with the same keys in the same order
    ("l", list)             anything else
"""

from __future__ import annotations

from typing import Any, Sequence

import numpy as np

_STACKED = "biufc"
"""The kinds of dtypes that numpy stacks without a change."""


def column_of(values: Sequence[Any]) -> tuple[Any, ...]:
    """Return values as a column, from which :func:`values_of` makes the same."""
    kind = type(values[0]) if values else None
    if any(type(value) is not kind for value in values):
        return "l", list(values)
    if kind in _MAKERS:
        column: tuple[Any, ...] = _MAKERS[kind](values)
        return column
    if kind is not None and issubclass(kind, np.generic) and values[0].dtype.kind in _STACKED:
        return "x", np.array(values)
    return "l", list(values)


def values_of(column: Sequence[Any]) -> list[Any]:
    """Return the values of a column; arrays among them are parts of one."""
    values: list[Any] = _READERS[column[0]](*column[1:])
    return values


def _arrays(values: Sequence[Any]) -> tuple[Any, ...]:
    dtype, shape = values[0].dtype, values[0].shape
    is_alike = all(value.dtype == dtype and value.shape == shape for value in values)
    if is_alike and shape and dtype.kind in _STACKED and dtype.isnative:
        return "a", np.stack(values)
    return "l", list(values)


def _ints(values: Sequence[int]) -> tuple[Any, ...]:
    try:
        return "i", np.array(values, np.int64)
    except OverflowError:
        return "l", list(values)


def _tuples(values: Sequence[tuple[Any, ...]]) -> tuple[Any, ...]:
    length = len(values[0])
    if any(len(value) != length for value in values):
        return "l", list(values)
    return "t", [column_of(each) for each in zip(*values)], len(values)


def _dicts(values: Sequence[dict[Any, Any]]) -> tuple[Any, ...]:
    keys = list(values[0])
    if any(list(value) != keys for value in values):
        return "l", list(values)
    return "d", keys, [column_of([value[key] for value in values]) for key in keys], len(values)


_MAKERS: dict[Any, Any] = {
    np.ndarray: _arrays,
    float: lambda values: ("f", np.array(values)),
    int: _ints,
    bool: lambda values: ("b", bytes(values)),
    type(None): lambda values: ("n", len(values)),
    tuple: _tuples,
    dict: _dicts,
}


def _read_tuples(columns: Sequence[Any], count: int) -> list[Any]:
    return list(zip(*map(values_of, columns))) if columns else [()] * count


def _read_dicts(keys: Sequence[Any], columns: Sequence[Any], count: int) -> list[Any]:
    if not keys:
        return [{} for _ in range(count)]
    return [dict(zip(keys, row)) for row in zip(*map(values_of, columns))]


_READERS: dict[str, Any] = {
    "a": list,
    "x": list,
    "f": lambda array: array.tolist(),
    "i": lambda array: array.tolist(),
    "b": lambda data: list(map(bool, data)),
    "n": lambda count: [None] * count,
    "t": _read_tuples,
    "d": _read_dicts,
    "l": lambda values: values,
}
