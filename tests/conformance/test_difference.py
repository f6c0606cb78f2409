"""Two values differ in one place, and the sentence says in which."""

from __future__ import annotations

import struct

import numpy as np
import pytest

from openenv_gym.conformance import first_difference, same

ODD_NAN = struct.unpack("<d", bytes.fromhex("010000000000f87f"))[0]
PICTURE = np.zeros((4, 4, 3), np.uint8)
MARKED = PICTURE.copy()
MARKED[1, 2] = 9
DIFFERENCES = {
    "dtype": (
        np.zeros(2, np.float32),
        np.zeros(2),
        "$: expected numpy.ndarray of float32, shape (2,), got numpy.ndarray of float64, "
        "shape (2,)",
    ),
    "shape": (
        np.zeros((2, 1)),
        np.zeros(2),
        "$: expected numpy.ndarray of float64, shape (2, 1), got numpy.ndarray of float64, "
        "shape (2,)",
    ),
    "byte order": (
        np.zeros(2, ">i2"),
        np.zeros(2, "<i2"),
        "$: expected numpy.ndarray of >i2, shape (2,), got numpy.ndarray of int16, shape (2,)",
    ),
    "element": (
        {"camera": PICTURE},
        {"camera": MARKED},
        '$["camera"][1][2][0]: expected numpy.uint8 0, got numpy.uint8 9 (and 2 more of 48)',
    ),
    "signed zero in an array": (
        np.array([1.0, 0.0]),
        np.array([1.0, -0.0]),
        "$[1]: expected numpy.float64 0.0, got numpy.float64 -0.0",
    ),
    "signed zero": (0.0, -0.0, "$: expected float 0.0, got float -0.0"),
    "payload of NaN in an array": (
        np.array([np.nan]),
        np.array([ODD_NAN]),
        "$[0]: expected numpy.float64 nan (bytes 000000000000f87f), "
        "got numpy.float64 nan (bytes 010000000000f87f)",
    ),
    "payload of NaN": (
        float("nan"),
        ODD_NAN,
        "$: expected float nan (bytes 000000000000f87f), got float nan (bytes 010000000000f87f)",
    ),
    "scalar and number": (np.float64(1), 1.0, "$: expected numpy.float64 1.0, got float 1.0"),
    "scalars": (np.int8(1), np.int16(1), "$: expected numpy.int8 1, got numpy.int16 1"),
    "array without dimensions": (
        np.array(1.0),
        np.array(2.0),
        "$: expected numpy.float64 1.0, got numpy.float64 2.0",
    ),
    "integer and boolean": (1, True, "$: expected int 1, got bool True"),
    "list and tuple": ([1], (1,), "$: expected list [1], got tuple (1,)"),
    "length": ([1, 2], [1], "$: expected 2 items, got 1"),
    "item": ((1, [2, 3]), (1, [2, 4]), "$[1][1]: expected int 3, got int 4"),
    "further key": ({"a": 1}, {"a": 1, "b": 2}, "$: expected the keys 'a', got the further key"),
    "lacking key": ({"a": 1}, {}, "$: expected the keys 'a', got no key str 'a'"),
    "type of a key": ({1: 2}, {True: 2}, "$: expected the keys 1, got no key int 1"),
    "order of keys": (
        {"a": 1, "b": 2},
        {"b": 2, "a": 1},
        "$: expected the keys in the order 'a', 'b', got 'b', 'a'",
    ),
    "value of a key that is no text": ({1: 2}, {1: 3}, "$[1]: expected int 2, got int 3"),
    "array of objects": (
        np.array([None, 1], object),
        np.array([None, 2], object),
        "$[1]: expected int 1, got int 2",
    ),
    "text": ("a", "b", "$: expected str 'a', got str 'b'"),
}


@pytest.mark.parametrize("case", DIFFERENCES)
def test_a_difference_is_found_and_named(case: str):
    expected, actual, sentence = DIFFERENCES[case]
    assert (first_difference(expected, actual) or "").startswith(sentence)
    assert not same(expected, actual)
    assert not same(actual, expected)


@pytest.mark.parametrize("case", DIFFERENCES)
def test_a_value_equals_a_copy_of_itself(case: str):
    for value in DIFFERENCES[case][:2]:
        again = value.copy() if isinstance(value, (np.ndarray, dict)) else value
        assert first_difference(value, again) is None


def test_a_long_value_is_cut():
    assert len(first_difference("a" * 1000, "b") or "") < 200
