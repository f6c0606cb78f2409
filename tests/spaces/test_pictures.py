"""Flat arrays and pictures in texts."""

from __future__ import annotations

import base64
import struct
import zlib
from typing import Any

import gymnasium.spaces as gs
import numpy as np
import pytest

from openenv_gym.codecs import json_codec
from openenv_gym.errors import InvalidRequestError
from openenv_gym.spaces.pictures import pictured, pixels_of, reshaped
from openenv_gym.spaces.schema_space import object_of

pytestmark = pytest.mark.single_env

BOX = gs.Box(0, 9, (2, 3), np.uint8)
VALUE = np.arange(6, dtype=np.uint8).reshape(2, 3)
BARE = base64.b64encode(VALUE.tobytes()).decode()


def test_a_flat_array_goes_there_and_back():
    codec = json_codec(reshaped(BOX))
    assert codec.to_json(VALUE) == [0, 1, 2, 3, 4, 5]
    for data in ([0, 1, 2, 3, 4, 5], [[0, 1, 2], [3, 4, 5]]):
        value = codec.from_json(data, "$")
        assert value.dtype == np.uint8 and np.array_equal(value, VALUE)


WRONG: list[tuple[Any, str]] = [
    ([1, 2, 3], r"^\$\.a: expected 6 values for shape \(2, 3\), got \(3,\)"),
    ([[1, 2], [3, 4], [5, 6]], r"^\$\.a: expected 6 values"),
    ([0, 1, 2, 3, 4, 256], r"^\$\.a: expected uint8 values"),
    ([0, 1, 2, 3, 4, 0.5], r"^\$\.a: expected uint8 values"),
    ("x", r"^\$\.a: expected uint8 values"),
]


@pytest.mark.parametrize(("data", "message"), WRONG, ids=str)
def test_another_size_or_kind_is_refused_by_path(data: Any, message: str):
    with pytest.raises(InvalidRequestError, match=message):
        json_codec(reshaped(BOX)).from_json(data, "$.a")


def test_bare_pixels_go_there_and_back_also_within_an_object():
    form = object_of({"p": pictured((2, 3)), "n": reshaped(gs.Box(0, 1, (1, 1)))}, {})
    codec = json_codec(form)
    data = {"p": BARE, "n": [1.0]}
    value = codec.from_json(data, "$")
    assert np.array_equal(value["p"], VALUE) and value["n"].shape == (1, 1)
    assert codec.to_json(value) == data


@pytest.mark.parametrize("data", [None, 5, "", "no base64!", BARE[:-4], "iVBORw0KGgo=", "ÿ"])
def test_what_is_no_picture_is_none(data: Any):
    assert pixels_of(data, (2, 3)) is None
    with pytest.raises(InvalidRequestError, match=r"^\$: expected a picture of shape \(2, 3\)"):
        json_codec(pictured((2, 3))).from_json(data, "$")


def test_a_picture_that_says_it_is_huge_is_none():
    pytest.importorskip("PIL", reason="without Pillow no picture is read")
    header = struct.pack(">IIBBBBB", 20000, 20000, 8, 2, 0, 0, 0)
    chunk = b"IHDR" + header
    png = b"\x89PNG\r\n\x1a\n" + struct.pack(">I", len(header)) + chunk
    png += struct.pack(">I", zlib.crc32(chunk))
    assert pixels_of(base64.b64encode(png).decode()) is None
