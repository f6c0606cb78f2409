"""Numbers that JSON cannot say travel as text, and nothing else is taken for a number."""

from __future__ import annotations

import json
import math
from typing import Any

import numpy as np
import pytest

from openenv_gym.spaces.numbers import (
    EXACT_INTEGERS,
    from_json_number,
    from_json_numbers,
    to_json_number,
    to_json_numbers,
)
from tests.support.rollouts import same
from tests.support.spaces import float_corners

pytestmark = pytest.mark.single_env

EXACT = [0, -1, True, 0.5, -0.0, 5e-324, EXACT_INTEGERS, -EXACT_INTEGERS]
AS_TEXT = [math.inf, -math.inf, EXACT_INTEGERS + 1, -EXACT_INTEGERS - 1, 2**63 - 1, 2**64, 10**40]


@pytest.mark.parametrize("number", [*EXACT, *AS_TEXT])
def test_a_number_comes_back_through_strict_json(number: Any):
    text = json.dumps(to_json_number(number), allow_nan=False)
    assert same(from_json_number(json.loads(text)), number)


@pytest.mark.parametrize("number", AS_TEXT)
def test_what_parsers_would_lose_is_text(number: Any):
    assert isinstance(to_json_number(number), str)


def test_nan_comes_back_as_nan():
    assert to_json_number(-math.nan) == "NaN"
    assert math.isnan(from_json_number("NaN"))


NO_NUMBERS = [
    "1",
    "-1",
    "9007199254740992",
    "1.5",
    "nan",
    "inf",
    "+Infinity",
    "",
    " 18446744073709551615",
    "18446744073709551615\n",
    "9_007_199_254_740_993",
    "٩٠٠٧١٩٩٢٥٤٧٤٠٩٩٣",
    "0x7fffffffffffffff",
    None,
    [],
    {},
    "1e400",
    "00018446744073709551615",
]


@pytest.mark.parametrize("value", NO_NUMBERS, ids=repr)
def test_text_that_no_number_needs_is_refused(value: object):
    with pytest.raises(ValueError, match="expected a number"):
        from_json_number(value)


def test_an_integer_without_end_is_refused():
    with pytest.raises(ValueError, match="integer string conversion"):
        from_json_number("9" * 5000)


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_every_float_comes_back(dtype: Any):
    array = float_corners(dtype)
    again = from_json_numbers(json.loads(json.dumps(to_json_numbers(array))), np.dtype(dtype))
    nan = np.isnan(array)
    assert same(again[~nan], array[~nan])
    assert np.isnan(again[nan]).all()


@pytest.mark.parametrize("name", ["int8", "uint8", "int32", "uint32", "int64", "uint64"])
def test_every_integer_comes_back(name: str):
    limits = np.iinfo(name)
    array = np.array([limits.min, limits.max, 0, 1, limits.max // 2 + 1], name)
    text = json.dumps(to_json_numbers(array), allow_nan=False)
    assert same(from_json_numbers(json.loads(text), array.dtype), array)


REFUSED: list[tuple[Any, str]] = [
    *((value, "int64") for value in ("1", 1.5, True, None, {}, [1, True], [1, "2"], [[1], [2, 3]])),
    *((value, "int64") for value in (1e3, [1, 2.0], 2**63, str(2**63), "Infinity", [1, "NaN"])),
    *((value, "uint8") for value in (256, -1, [0, 256], str(2**60))),
    *((value, "uint64") for value in (-1, 2**64, str(2**64), str(-(2**60)))),
    *((value, "bool") for value in (0, 1, [True, 1], "true", 1.0)),
    *((value, "float32") for value in ("1.5", True, [0.5, True], 1e39, [0, -1e300], [None], {})),
    *((value, "float16") for value in (70000, [1e6])),
]


@pytest.mark.parametrize(("value", "name"), REFUSED, ids=str)
def test_what_does_not_fit_is_refused(value: Any, name: str):
    with pytest.raises(ValueError, match=r"expected|inhomogeneous"):
        from_json_numbers(value, np.dtype(name))


def test_integers_are_read_as_floats_and_floats_rounded_to_the_dtype():
    array = from_json_numbers([1, 0.1], np.dtype(np.float32))
    assert same(array, np.array([1, 0.1], np.float32))
