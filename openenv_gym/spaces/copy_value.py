"""Copies of values of spaces, and of infos."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np


def copy_value(value: Any) -> Any:
    """Return a copy of an observation or action, which its owner may write to.

    It is as deep as ``copy.deepcopy``, and many times faster for what most spaces have.
    """
    kind = type(value)
    if kind is np.ndarray and value.dtype != object:
        return value.copy()
    if kind is dict:
        return {key: copy_value(item) for key, item in value.items()}
    if kind is tuple:
        return tuple(map(copy_value, value))
    return value if kind in _IMMUTABLE else copy.deepcopy(value)


def copy_info(info: Any) -> Any:
    """Return a copy of an info, as deep as its dicts, lists, tuples and arrays.

    Any other object stays the same one: live objects, which some environments tell of, can often
    not be copied.
    """
    if isinstance(info, np.ndarray):
        return info.copy()
    if isinstance(info, dict):
        return {key: copy_info(item) for key, item in info.items()}
    if isinstance(info, list):
        return list(map(copy_info, info))
    if isinstance(info, tuple):
        items = map(copy_info, info)
        return type(info)(*items) if hasattr(info, "_fields") else tuple(items)
    return info


_IMMUTABLE = frozenset({int, float, bool, str, bytes, type(None), np.int64, np.float32, np.float64})
