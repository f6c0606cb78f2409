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

_LEAST = 3
"""Fewer values are told one by one, which is shorter."""


def column_of(values: Sequence[Any]) -> tuple[Any, ...]:
    """Return values as a column, from which :func:`values_of` makes the same."""
    kinds = set(map(type, values))
    if len(kinds) != 1 or len(values) < _LEAST:
        return "l", list(values)
    (kind,) = kinds
    if kind in _MAKERS:
        column: tuple[Any, ...] = _MAKERS[kind](values)
        return column
    if issubclass(kind, np.generic) and values[0].dtype.kind in _STACKED:
        return "x", np.array(values)
    return "l", list(values)


def values_of(column: Sequence[Any]) -> list[Any]:
    """Return the values of a column; arrays among them are parts of one."""
    values: list[Any] = _READERS[column[0]](*column[1:])
    return values


def _arrays(values: Sequence[Any]) -> tuple[Any, ...]:
    dtypes, shapes = {value.dtype for value in values}, {value.shape for value in values}
    if len(dtypes) == len(shapes) == 1:
        (dtype,), (shape,) = dtypes, shapes
        if shape and dtype.kind in _STACKED and dtype.isnative:
            return "a", np.array(values)
    return "l", list(values)


def _ints(values: Sequence[int]) -> tuple[Any, ...]:
    try:
        return "i", np.array(values, np.int64)
    except OverflowError:
        return "l", list(values)


def _tuples(values: Sequence[tuple[Any, ...]]) -> tuple[Any, ...]:
    if len(set(map(len, values))) != 1:
        return "l", list(values)
    return "t", [column_of(each) for each in zip(*values)], len(values)


def _dicts(values: Sequence[dict[Any, Any]]) -> tuple[Any, ...]:
    if not any(values):
        return "d", [], [], len(values)
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
