"""Numbers that plain JSON cannot write, or that its parsers round.

JSON has no NaN and no infinities, and many parsers read every number as a double, which holds
integers exactly up to 2**53 only. Both kinds travel as strings, so that the text stays valid
and exact for every parser.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from itertools import chain
from typing import Any

import numpy as np
from numpy.typing import NDArray

from openenv_gym.errors import shown

_NON_FINITE = {"NaN": math.nan, "Infinity": math.inf, "-Infinity": -math.inf}
EXACT_INTEGERS = 2**53
_INTEGER = re.compile(r"-?[1-9][0-9]{15,}")
_NATURAL_KINDS = {"b": "b", "i": "iu", "u": "iu", "f": "iuf"}


def to_json_number(value: float | int | bool) -> float | int | bool | str:
    """Return ``value`` as a JSON number, or as a string where JSON would lose it.

    >>> to_json_number(1.5), to_json_number(float("-inf")), to_json_number(2**60)
    (1.5, '-Infinity', '1152921504606846976')
    """
    if isinstance(value, bool):
        return value
    if isinstance(value, int):
        return value if -EXACT_INTEGERS <= value <= EXACT_INTEGERS else str(value)
    if math.isfinite(value):
        return value
    return "NaN" if math.isnan(value) else ("Infinity" if value > 0 else "-Infinity")


def from_json_number(value: object) -> float | int | bool:
    """Return the number that :func:`to_json_number` wrote.

    >>> from_json_number("Infinity"), from_json_number("1152921504606846976"), from_json_number(3)
    (inf, 1152921504606846976, 3)

    Raises:
        ValueError: ``value`` is neither a number nor one of these strings. A string of a
            number that JSON carries exactly, such as ``"1"``, is refused: it is text.
    """
    if isinstance(value, (bool, int, float)):
        return value
    if isinstance(value, str):
        if value in _NON_FINITE:
            return _NON_FINITE[value]
        if _INTEGER.fullmatch(value) and abs(number := int(value)) > EXACT_INTEGERS:
            return number
    raise ValueError(f"expected a number, got {shown(value)}")


def to_json_numbers(array: NDArray[Any]) -> Any:
    """Return ``array`` as nested lists of JSON numbers, see :func:`to_json_number`.

    An array of shape ``()`` gives one number.
    """
    plain = array.tolist()
    if _is_plain(array):
        return plain
    return map_nested(to_json_number, plain)


def from_json_numbers(value: Any, dtype: np.dtype[Any]) -> NDArray[Any]:
    """Return nested lists of JSON numbers as an array of ``dtype``, exactly.

    Integers become floats, and floats the nearest of ``dtype``. Nothing else is converted: a
    fraction, a boolean or a text in place of an integer is refused.

    Raises:
        ValueError: an element is no number or does not fit into ``dtype``, or the nesting is
            ragged.
    """
    kinds = _leaf_types(value)
    if bool in kinds and dtype.kind != "b":
        raise ValueError(f"expected {dtype} values, got a boolean")
    read = _from_json_float if dtype.kind == "f" else from_json_number
    plain = map_nested(read, value) if str in kinds else value
    natural = _wide_integers(plain) if dtype == np.uint64 else np.array(plain)
    if natural.dtype.kind == "O" and dtype.kind == "f" and kinds <= {int, float}:
        # JavaScript writes 1e20 with all its digits, of which numpy makes an object.
        natural = np.array(map_nested(_from_json_float, value))
    if natural.size and natural.dtype.kind not in _NATURAL_KINDS[dtype.kind]:
        raise ValueError(f"expected {dtype} values, got {natural.dtype}")
    with np.errstate(over="ignore"):
        array = natural.astype(dtype)
    if dtype.kind in "iu":
        fits = (array == natural).all()
    else:
        fits = dtype.kind == "b" or (np.isfinite(array) == np.isfinite(natural)).all()
    if not fits:
        raise ValueError(f"expected {dtype} values, got numbers that do not fit")
    return array


def _from_json_float(value: Any) -> float:
    if isinstance(value, str):
        if value not in _NON_FINITE:
            raise ValueError(f"expected a number, got {shown(value)}")
        return _NON_FINITE[value]
    try:
        return float(value)
    except (TypeError, OverflowError) as exc:  # null and objects; more than 308 digits
        raise ValueError("expected a number that fits") from exc


def _is_plain(array: NDArray[Any]) -> bool:
    if array.dtype.kind == "f":
        return bool(np.isfinite(array).all())
    if array.dtype.kind in "iu" and array.dtype.itemsize == 8:
        return bool(((array <= EXACT_INTEGERS) & (array >= -EXACT_INTEGERS)).all())
    return True


def _wide_integers(plain: Any) -> NDArray[Any]:
    """Return an array of integers, of which ``np.array`` may make floats if one is large."""
    natural = np.array(plain)
    if natural.dtype.kind == "f" and _leaf_types(plain) == {int}:
        wide = np.array(plain, dtype=object)
        if ((wide >= 0) & (wide < 2**64)).all():
            return wide.astype(np.uint64)
    return natural


def _leaf_types(value: Any) -> set[type[Any]]:
    """Return the types of the elements of nested lists."""
    if not isinstance(value, list):
        return {type(value)}
    kinds: set[type[Any]] = set()
    level = value
    while list in (found := set(map(type, level))):  # level by level, where the loops are in C
        kinds |= found - {list}
        lists = level if len(found) == 1 else [item for item in level if isinstance(item, list)]
        level = list(chain.from_iterable(lists))
    return kinds | found


def map_nested(function: Callable[[Any], Any], value: Any) -> Any:
    """Return ``value``, an item or nested lists of items, with ``function`` of each item."""
    if isinstance(value, list):
        return [map_nested(function, item) for item in value]
    return function(value)
