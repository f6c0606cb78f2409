"""The catalogue of spaces that all tests share: every kind of Gymnasium, and its odd corners."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator
from typing import Any

import gymnasium.spaces as gs
import numpy as np

INT64, UINT64 = np.iinfo(np.int64), np.iinfo(np.uint64)
ODD_KEYS = ("zulu", "alpha", "", "a/b~c", "é 漢", "class", "0", "$ref")
CHARSET = 'zaäß漢🙂\n"\\ '

BOUNDS = (np.array([-np.inf, 0, -np.inf, -1.5]), np.array([np.inf, np.inf, 3, 1.5]))

CATALOGUE: dict[str, gs.Space[Any]] = {
    "box": gs.Box(-1, 1, (4,), np.float32),
    "box of float16": gs.Box(-2, 2, (2, 3), np.float16),
    "box of float64 without bounds": gs.Box(-np.inf, np.inf, (2, 2, 2), np.float64),
    "box with bounds per element": gs.Box(*BOUNDS, dtype=np.float64),
    "box without axes": gs.Box(-2, 2, (), np.float32),
    "box of nothing": gs.Box(-2, 2, (0, 3), np.float32),
    "box of an image": gs.Box(0, 255, (6, 5, 3), np.uint8),
    "box of int8": gs.Box(-128, 127, (3,), np.int8),
    "box of int64": gs.Box(INT64.min, INT64.max, (2,), np.int64),
    "box of uint64": gs.Box(np.zeros(2, np.uint64), np.full(2, UINT64.max), dtype=np.uint64),
    "box of bool": gs.Box(np.zeros((2, 2), bool), np.ones((2, 2), bool), dtype=bool),
    "discrete": gs.Discrete(5),
    "discrete from below zero": gs.Discrete(3, start=-1),
    "discrete at the limit": gs.Discrete(2, start=INT64.max - 2),
    "multi discrete": gs.MultiDiscrete([2, 5, 3]),
    "multi discrete of two axes": gs.MultiDiscrete(
        np.array([[2, 3], [4, 5]]), start=np.array([[-1, 0], [5, 2]])
    ),
    "multi discrete of uint8": gs.MultiDiscrete([2, 200], dtype=np.uint8),
    "multi binary": gs.MultiBinary(4),
    "multi binary of two axes": gs.MultiBinary([2, 3]),
    "text": gs.Text(5),
    "text of unicode": gs.Text(6, min_length=0, charset=CHARSET),
    "tuple": gs.Tuple((gs.Discrete(2), gs.Box(-1, 1, (2,), np.float32), gs.Text(3))),
    "empty tuple": gs.Tuple(()),
    "dict": gs.Dict([(key, gs.Discrete(i + 2)) for i, key in enumerate(ODD_KEYS)]),
    "empty dict": gs.Dict(),
    "nested": gs.Dict(
        {
            "pair": gs.Tuple((gs.MultiBinary(2), gs.Dict({"deep": gs.Tuple((gs.Discrete(3),))}))),
            "list": gs.Sequence(gs.Tuple((gs.Discrete(3), gs.Box(0, 1, (1,), np.float64)))),
        }
    ),
    "sequence": gs.Sequence(gs.Box(-1, 1, (2,), np.float32)),
    "sequence of sequences": gs.Sequence(gs.Sequence(gs.Discrete(3))),
    "stacked sequence": gs.Sequence(gs.Box(-1, 1, (2,), np.float32), stack=True),
    "stacked sequence of discrete": gs.Sequence(gs.Discrete(3, start=4), stack=True),
    "stacked sequence of dicts": gs.Sequence(
        gs.Dict({"a": gs.Discrete(3), "b": gs.MultiBinary(2)}), stack=True
    ),
    "graph": gs.Graph(gs.Box(-1, 1, (3,), np.float32), gs.Discrete(4)),
    "graph with boxes": gs.Graph(gs.Box(0, 9, (2,), np.int16), gs.Box(0, 1, (2,), np.float64)),
    "graph without edges": gs.Graph(gs.Discrete(4), None),
    "sequence of graphs": gs.Sequence(gs.Graph(gs.Discrete(4), gs.Discrete(2))),
}
if hasattr(gs, "OneOf"):
    CATALOGUE["one of"] = gs.OneOf([gs.Discrete(2), gs.Box(-1, 1, (2,)), gs.Text(4)])
    CATALOGUE["one of within a dict"] = gs.Dict({"a": gs.OneOf([gs.Discrete(2)])})

NAMES = list(CATALOGUE)

FLOAT_CORNERS = (0.0, -0.0, np.nan, -np.nan, np.inf, -np.inf, 5e-324, 0.1, 1 / 3)


def samples(space: gs.Space[Any], count: int = 8) -> list[Any]:
    """Return values of ``space``: sampled ones, then those at its bounds.

    Gymnasium 0.29 samples ordered dicts where later versions sample dicts; dicts they are here.
    """
    space.seed(7)
    values = [plain_dicts(space.sample()) for _ in range(count)]
    if isinstance(space, gs.Box):
        values += [space.low.copy(), space.high.copy()]
    return values


def plain_dicts(value: Any) -> Any:
    if isinstance(value, OrderedDict):
        return {key: plain_dicts(item) for key, item in value.items()}
    if type(value) is tuple:
        return tuple(map(plain_dicts, value))
    return value


def float_corners(dtype: Any) -> np.ndarray[Any, Any]:
    """The floats that a careless codec loses."""
    limits = np.finfo(dtype)
    return np.array([*FLOAT_CORNERS, limits.max, limits.min, limits.tiny], dtype)


class ForeignArray:
    """An array of another package, as a tensor of torch is."""

    def __init__(self, values: Any) -> None:
        self._values = np.asarray(values)

    def __array__(self, dtype: Any = None, copy: Any = None) -> np.ndarray[Any, Any]:
        return self._values if dtype is None else self._values.astype(dtype)

    def __iter__(self) -> Iterator[ForeignArray]:
        return map(ForeignArray, self._values)

    def __len__(self) -> int:
        return len(self._values)

    def __int__(self) -> int:
        return int(self._values)

    def __float__(self) -> float:
        return float(self._values)

    def __repr__(self) -> str:
        return f"ForeignArray({self._values.tolist()})"
