"""Every value of every space comes back to the bit from its binary form."""

from __future__ import annotations

import inspect
import struct
from typing import Any

import gymnasium.spaces as gs
import numpy as np
import pytest

from openenv_gym.codecs import Misfit, binary_codec
from openenv_gym.errors import InvalidRequestError
from tests.support.rollouts import same
from tests.support.spaces import CATALOGUE, NAMES, float_corners, samples

pytestmark = pytest.mark.single_env


def round_trip(space: gs.Space[Any] | None, value: Any) -> Any:
    codec = binary_codec(space)
    body = codec.pack(value)
    again, end = codec.unpack(b"head" + body, 4)
    assert end == len(body) + 4
    return again


@pytest.mark.parametrize("name", NAMES)
def test_values_of_a_space_come_back_to_the_bit(name: str):
    for value in samples(CATALOGUE[name]):
        assert same(round_trip(CATALOGUE[name], value), value)


@pytest.mark.parametrize("name", NAMES)
def test_values_come_back_where_there_is_no_space(name: str):
    for value in samples(CATALOGUE[name]):
        assert same(round_trip(None, value), value)


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_every_float_comes_back_with_its_sign_and_payload(dtype: Any):
    array = float_corners(dtype)
    array.view(f"u{array.itemsize}")[2] |= 5  # a NaN that is not the usual one
    space = gs.Box(-np.inf, np.inf, array.shape, dtype)
    assert same(round_trip(space, array), array)


def test_arrays_are_writable_and_owned():
    space = gs.Box(0, 255, (2, 3), np.uint8)
    body = bytearray(binary_codec(space).pack(np.ones((2, 3), np.uint8)))
    array, _ = binary_codec(space).unpack(body, 0)
    body[:] = bytes(len(body))
    array += 1
    assert (array == 2).all()


def test_a_large_array_in_bytes_is_copied_because_bytes_do_not_change():
    space = gs.Box(0, 255, (64, 64, 3), np.uint8)
    body = bytes(binary_codec(space).pack(np.ones(space.shape, np.uint8)))
    array, _ = binary_codec(space).unpack(body, 0)
    array += 1
    assert (array == 2).all()
    assert body == b"\1" * len(body)


def test_the_form_is_the_same_on_every_machine():
    pack = binary_codec(gs.Box(-1, 1, (1,), np.float32)).pack
    assert pack(np.array([1.0], np.float32)) == bytes.fromhex("0000803f")
    assert binary_codec(gs.Discrete(3)).pack(2) == bytes.fromhex("00 0200000000000000")
    assert binary_codec(gs.Discrete(3)).pack(np.int64(2))[:1] == b"\1"
    assert binary_codec(gs.Text(3)).pack("ab") == bytes.fromhex("02000000 6162")
    assert binary_codec(gs.MultiBinary(2)).pack(np.array([1, 0], np.int8)) == b"\1\0"


def test_arrays_in_another_order_are_packed_in_c_order():
    space = gs.Box(0, 9, (2, 3), np.int32)
    array = np.asfortranarray(np.arange(6, dtype=np.int32).reshape(2, 3))
    assert same(round_trip(space, array), np.ascontiguousarray(array))
    reversed_rows = np.arange(6, dtype=np.int32).reshape(2, 3)[::-1]
    assert same(round_trip(space, reversed_rows), reversed_rows.copy())


BOX = gs.Box(-1, 1, (2,), np.float32)
MISFITS: list[tuple[gs.Space[Any], Any]] = [
    *((BOX, value) for value in ([0.0, 1.0], np.zeros(2), np.zeros(3, np.float32), 1.0, None)),
    *((gs.Discrete(3), value) for value in (True, 1.0, np.int32(1), "1", 2**63, None)),
    *((gs.Text(3), value) for value in (b"ab", 1, np.str_("ab"))),
    *((gs.Tuple((gs.Discrete(2),)), value) for value in ([1], (), (1, 1), (1.0,), 1)),
    *((gs.Dict(a=gs.Discrete(2)), value) for value in ({}, {"b": 1}, {"a": 1, "b": 1}, {"a": "x"})),
    (gs.Dict([("a", gs.Discrete(2)), ("b", gs.Discrete(2))]), {"b": 0, "a": 0}),
]


@pytest.mark.parametrize(("space", "value"), MISFITS, ids=str)
def test_what_would_not_come_back_is_no_fit_but_travels_in_free_form(space: Any, value: Any):
    with pytest.raises(Misfit):
        binary_codec(space).pack(value)
    assert same(round_trip(None, value), value)


@pytest.mark.parametrize("name", NAMES)
def test_a_body_that_ends_too_early_is_refused(name: str):
    codec = binary_codec(CATALOGUE[name])
    body = codec.pack(samples(CATALOGUE[name])[0])
    for end in range(len(body)):
        with pytest.raises(InvalidRequestError):
            codec.unpack(body[:end], 0)


def test_an_offset_behind_the_end_is_refused():
    for space in (BOX, gs.Discrete(3), gs.Text(3), None):
        with pytest.raises(InvalidRequestError, match="bytes of value, got 0"):
            binary_codec(space).unpack(b"", 9)


def test_a_length_that_no_memory_has_is_refused():
    space = gs.MultiBinary([2**31, 2**31, 2**31])
    with pytest.raises(InvalidRequestError, match=f"expected {2**93} bytes"):
        binary_codec(space).unpack(b"\0" * 64, 0)
    with pytest.raises(InvalidRequestError, match="expected 4294967295 bytes"):
        binary_codec(gs.Text(3)).unpack(b"\xff" * 8, 0)


def test_malformed_text_is_refused():
    with pytest.raises(InvalidRequestError, match="UTF-8"):
        binary_codec(gs.Text(3)).unpack(bytes.fromhex("02000000 fffe"), 0)


def test_booleans_are_booleans_whatever_the_byte_is():
    space = CATALOGUE["box of bool"]
    array, _ = binary_codec(space).unpack(b"\0\1\2\xff", 0)
    assert same(array, np.array([[False, True], [True, True]]))


HAS_DTYPE = "dtype" in inspect.signature(gs.Discrete).parameters
NARROW = [gs.Discrete(200, dtype=np.uint8)] if HAS_DTYPE else []


@pytest.mark.parametrize("space", NARROW or [gs.Discrete(200)])
def test_a_discrete_space_keeps_the_dtype_of_its_scalars(space: gs.Discrete):
    scalar = np.dtype(space.dtype).type(199)
    assert same(round_trip(space, scalar), scalar)
    assert same(round_trip(space, 199), 199)


def test_a_scalar_beyond_its_dtype_is_refused():
    for space in NARROW:
        with pytest.raises(InvalidRequestError, match="uint8"):
            binary_codec(space).unpack(struct.pack("<bq", 1, 256), 0)
