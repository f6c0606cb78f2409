"""Values of other interfaces in the form that Gymnasium's spaces ask for.

Lists become arrays, and numbers get the dtype of their space where that changes no integer. What
does not fit its space in another way, such as an array of another shape, is passed on as it is.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

import gymnasium.spaces as gs
import numpy as np

Reader: TypeAlias = Callable[[Any], Any]


def reader_of(space: gs.Space[Any]) -> Reader:
    """Return a function that gives an observation the form that ``space`` asks for.

    It returns the object that it was given, where that has this form already.
    """
    if isinstance(space, (gs.Box, gs.MultiDiscrete, gs.MultiBinary)):
        return _array_reader(np.dtype(space.dtype), space.shape)
    if isinstance(space, gs.Discrete):
        return _number
    if isinstance(space, gs.Dict):
        return _dict_reader({key: reader_of(one) for key, one in space.spaces.items()})
    if isinstance(space, gs.Tuple):
        return _tuple_reader([reader_of(one) for one in space.spaces])
    return _as_it_is


def writer_of_spec(spec: Any) -> Reader:
    """Return a function that gives an action the nesting and the dtypes of a spec of dm_env."""
    if isinstance(spec, Mapping):
        items = {key: writer_of_spec(one) for key, one in spec.items()}
        return lambda action: {key: write(action[key]) for key, write in items.items()}
    if isinstance(spec, (list, tuple)):
        kind, parts = type(spec), [writer_of_spec(one) for one in spec]
        make = kind._make if hasattr(kind, "_make") else kind  # of a named tuple
        return lambda action: make([w(a) for w, a in zip(parts, action, strict=True)])
    if hasattr(spec, "string_type"):
        return _as_it_is
    dtype = spec.dtype
    return lambda action: np.asarray(action, dtype)


def number_of(reward: Any) -> Any:
    """Return a reward as Gymnasium has it.

    >>> number_of(None), number_of([1.5]), number_of(np.array([[2.0]]))
    (0.0, 1.5, 2.0)

    Returns:
        0.0 for None, the number for an array or a list of one, anything else as it is.
    """
    if type(reward) is float:
        return reward
    if reward is None:
        return 0.0
    if np.ndim(reward) and np.size(reward) == 1:
        return np.asarray(reward).item()
    return reward


def _array_reader(dtype: np.dtype[Any], shape: tuple[int, ...]) -> Reader:
    def read(value: Any) -> Any:
        if type(value) is np.ndarray and value.dtype == dtype:
            return value
        try:
            given = np.asarray(value)
        except ValueError:  # rows of unequal length
            return value
        if given.shape != shape or given.dtype.kind not in "biuf":
            return value
        with np.errstate(over="ignore", invalid="ignore"):
            made = given.astype(dtype)
        is_float = given.dtype.kind == "f" and dtype.kind == "f"
        return made if is_float or np.array_equal(made, given) else value

    return read


def _number(value: Any) -> Any:
    """An integer, also where an array or a list of one holds it."""
    if isinstance(value, (int, np.integer)) or np.ndim(value) == 0 or np.size(value) != 1:
        return value
    return np.asarray(value).reshape(())[()]


def _dict_reader(readers: Mapping[Any, Reader]) -> Reader:
    def read(value: Any) -> Any:
        if not isinstance(value, Mapping) or set(value) != set(readers):
            return value
        made = {key: one(value[key]) for key, one in readers.items()}
        is_same = isinstance(value, dict) and all(made[key] is value[key] for key in made)
        return value if is_same else made

    return read


def _tuple_reader(readers: list[Reader]) -> Reader:
    def read(value: Any) -> Any:
        if not isinstance(value, (list, tuple)) or len(value) != len(readers):
            return value
        made = tuple(one(part) for one, part in zip(readers, value, strict=True))
        is_same = isinstance(value, tuple) and all(a is b for a, b in zip(made, value, strict=True))
        return value if is_same else made

    return read


def _as_it_is(value: Any) -> Any:
    return value
