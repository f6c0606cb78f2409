"""What a codec does not give back as it was."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np


def losses(value: Any, back: Any) -> list[str]:
    """Return what ``back`` has in place of what is in ``value``, such as ``list for ndarray``.

    Nothing is returned where both are equal to the bit: types, dtypes, shapes, signed zeros,
    and arrays that can be written to.
    """
    return sorted(set(_losses(value, back)))


def _losses(value: Any, back: Any) -> Iterator[str]:
    if type(back) is not type(value):
        yield f"{type(back).__name__} for {type(value).__name__}"
        if not (isinstance(value, (list, tuple)) and isinstance(back, (list, tuple))):
            return
    if isinstance(value, (np.ndarray, np.generic)):
        yield from _numpy_losses(value, back)
    elif isinstance(value, dict):
        yield from _items_losses(list(value), list(back))
        yield from _items_losses(list(value.values()), list(back.values()))
    elif isinstance(value, (list, tuple)):
        yield from _items_losses(value, back)
    elif repr(value) != repr(back):
        yield f"another {type(value).__name__}"


def _items_losses(items: Sequence[Any], back: Sequence[Any]) -> Iterator[str]:
    if len(items) != len(back):
        yield "another length"
    for item, other in zip(items, back, strict=False):
        yield from _losses(item, other)


def _numpy_losses(value: Any, back: Any) -> Iterator[str]:
    if back.dtype != value.dtype:
        yield f"{back.dtype} for {value.dtype}"
    elif back.shape != value.shape:
        yield "another shape"
    elif back.tobytes() != value.tobytes():
        yield "other numbers"
    if isinstance(value, np.ndarray) and value.flags.writeable and not back.flags.writeable:
        yield "read-only arrays"
