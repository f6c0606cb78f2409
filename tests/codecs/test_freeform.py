"""Values that no space describes: what travels comes back, what cannot is named and left out."""

from __future__ import annotations

import enum
import json
import warnings
from collections import OrderedDict, namedtuple
from typing import Any

import gymnasium.spaces as gs
import numpy as np
import pytest

from openenv_gym.codecs import info_from_json, info_to_json, pack_freeform, unpack_freeform
from openenv_gym.errors import InvalidRequestError
from tests.support.rollouts import same
from tests.support.spaces import float_corners

pytestmark = pytest.mark.single_env

VALUES: list[Any] = [
    None,
    True,
    False,
    0,
    -1,
    2**53 + 1,
    2**63 - 1,
    -(2**63),
    2**64 - 1,
    2**64,
    -(2**200),
    0.0,
    -0.0,
    1.5,
    5e-324,
    float("inf"),
    float("-inf"),
    "",
    "text",
    "漢🙂\0\n",
    b"",
    b"\0\xff",
    (),
    (1, (2, [3, ()])),
    [],
    [[[]]],
    {},
    {"a": {"b": []}},
    {"": 1, "a/b~c": 2, "é": 3},
    {0: "zero", 1: "one", "1": "text"},
    {None: 1, 1.5: 2, True: 3, b"x": 4},
    {(1, "a"): (2,)},
    np.float32(0.1),
    np.int8(-5),
    np.uint64(2**64 - 1),
    np.bool_(True),
    np.float16(-0.0),
    np.str_("漢"),
    np.str_(""),
    np.bytes_(b"a\0b"),
    np.complex64(1 + 2j),
    np.datetime64("2020-01-02T03:04:05"),
    np.datetime64("NaT", "ns"),
    np.timedelta64(5, "h"),
    np.zeros(0),
    np.zeros((0, 3), np.int8),
    np.array(5),
    np.array(True),
    np.eye(2)[:, ::-1],
    np.array([2**63 - 1, -(2**63)]),
    np.array([2**64 - 1, 0], np.uint64),
    np.array([["a", "漢字"], ["", "b"]]),
    np.array([b"ab", b""]),
    np.array([1 + 2j, -0.0]),
    np.array(["2020-01-01", "NaT"], "M8[D]"),
    np.array([1, 2], "m8[25s]"),
    np.array(1j),
    float_corners(np.float64)[:2],
    np.array([np.inf, -0.0], np.float16),
    gs.GraphInstance(np.zeros((2, 1)), np.ones(1), np.array([[0, 1]], np.int32)),
    {"legal_actions": [0, 2], "mask": np.array([1, 0, 1], np.int8), "nested": ({"x": (1,)},)},
]


@pytest.mark.parametrize("value", VALUES, ids=repr)
def test_values_come_back_to_the_bit_from_bytes(value: Any):
    assert same(unpack_freeform(pack_freeform(value)), value)


@pytest.mark.parametrize("value", VALUES, ids=repr)
def test_values_come_back_to_the_bit_from_json(value: Any):
    text = json.dumps(info_to_json(value), allow_nan=False)
    assert same(info_from_json(*json.loads(text)), value)


@pytest.mark.parametrize("value", VALUES, ids=repr)
def test_values_come_back_from_inside_an_info(value: Any):
    info = {"key": [value, {"deep/~": (value,)}]}
    assert same(unpack_freeform(pack_freeform(info)), info)
    assert same(info_from_json(*json.loads(json.dumps(info_to_json(info)))), info)


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_every_float_comes_back(dtype: Any):
    array = float_corners(dtype)
    assert same(unpack_freeform(pack_freeform(array)), array)
    again = info_from_json(*info_to_json(array))
    nan = np.isnan(array)
    assert same(again[~nan], array[~nan])
    assert np.isnan(again[nan]).all()
    assert np.isnan(info_from_json(*info_to_json([array[2]]))[0])
    assert np.isnan(info_from_json(*info_to_json(float("nan"))))


class Color(str, enum.Enum):  # noqa: UP042 - `str` of it is not its value
    RED = "red"


class Kind(enum.IntEnum):
    WALL = 7


class Place(enum.Enum):
    DOOR = ("door", 2)
    WALL = 7


Pair = namedtuple("Pair", "left right")

SUBCLASSES = [
    (OrderedDict(b=1, a=2), {"b": 1, "a": 2}),
    (Pair(1, [2]), (1, [2])),
    (Kind.WALL, 7),
    (Color.RED, "red"),
    ({"at": Place.DOOR, Place.WALL: [Place.WALL]}, {"at": ("door", 2), 7: [7]}),
    (bytearray(b"ab"), b"ab"),
    ({np.int8(3): 1, np.str_("a"): 2}, {3: 1, "a": 2}),
    (np.array([1, 2], ">i4"), np.array([1, 2], "<i4")),
]


@pytest.mark.parametrize(("value", "expected"), SUBCLASSES, ids=repr)
def test_subclasses_travel_as_what_they_are_made_of(value: Any, expected: Any):
    assert same(unpack_freeform(pack_freeform(value)), expected)
    assert same(info_from_json(*info_to_json(value)), expected)


def test_a_member_of_an_enum_is_refused_where_nothing_may_be_lost():
    with pytest.raises(
        InvalidRequestError, match=r"\$\.at: expected .*, got a value of type .*Place"
    ):
        pack_freeform({"at": Place.DOOR}, is_exact=True)


def objects(*items: Any, shape: tuple[int, ...]) -> np.ndarray:
    array = np.empty(len(items), dtype=object)
    for i, item in enumerate(items):
        array[i] = item
    return array.reshape(shape)


OBJECTS = [
    objects({"a": 1}, None, (1, 2), shape=(3,)),
    objects([1], [2, 3], np.zeros(2), np.int8(1), shape=(2, 2)),
    objects({"a": 1}, shape=()),
    objects(shape=(0, 3)),
    objects(objects("x", None, shape=(2,)), float("nan"), shape=(2,)),
]


@pytest.mark.parametrize("value", OBJECTS, ids=repr)
def test_arrays_of_objects_come_back(value: Any):
    assert same(unpack_freeform(pack_freeform([value])), [value])
    data, types = info_to_json({"final_obs": value})
    assert same(info_from_json(*json.loads(json.dumps([data, types]))), {"final_obs": value})


def test_what_cannot_travel_is_none_in_an_array_of_objects():
    array = objects(1, Odd(), shape=(2,))
    with pytest.warns(UserWarning, match=r"Odd at \$\[1\] cannot travel"):
        assert same(unpack_freeform(pack_freeform(array)), objects(1, None, shape=(2,)))


def test_arrays_are_writable_and_owned():
    body = bytearray(pack_freeform(np.zeros(2)))
    array = unpack_freeform(memoryview(body))
    body[:] = bytes(len(body))
    array += 1
    assert array.tolist() == [1, 1]
    assert info_from_json(*info_to_json(np.zeros(2))).flags.writeable


class Odd:
    """Of no kind that travels."""


UNSUPPORTED = [
    Odd(),
    {1, 2},
    1j,
    "half \ud800",
    10**5000,
    np.longdouble(1),
    np.array(["\ud800"]),
    np.zeros(1, [("a", "i4")]),
]


@pytest.mark.parametrize("value", UNSUPPORTED, ids=lambda value: type(value).__name__)
def test_what_cannot_travel_is_left_out_and_named_once(value: Any, request: Any):
    place = f"place {request.node.name}"
    info = {place: value, "kept": [1, value, 2]}
    with pytest.warns(UserWarning, match="cannot travel and is left out") as caught:
        body = pack_freeform(info)
    assert any(place in str(warning.message) for warning in caught)
    assert unpack_freeform(body) == {"kept": [1, 2]}
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert pack_freeform(info) == body
        assert info_to_json(info) == ({"kept": [1, 2]}, {})


@pytest.mark.parametrize("value", UNSUPPORTED, ids=lambda value: type(value).__name__)
def test_what_may_not_be_left_out_is_refused_by_path(value: Any):
    with pytest.raises(InvalidRequestError, match=r"^\$\.a\[1\]: expected numbers"):
        pack_freeform({"a": [0, value]}, is_exact=True)


@pytest.mark.parametrize("key", [frozenset({1}), "half \ud800", np.datetime64("NaT"), 2**70])
def test_a_key_that_cannot_travel_is_left_out(key: Any):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert unpack_freeform(pack_freeform({key: 1, "kept": 2})) == {"kept": 2}
    with pytest.raises(InvalidRequestError, match="a key"):
        pack_freeform({key: 1}, is_exact=True)


def test_a_value_without_end_is_refused():
    endless: list[Any] = []
    endless.append(endless)
    with pytest.raises(InvalidRequestError, match="without end"):
        pack_freeform(endless)


def test_every_name_of_a_type_is_plain_json():
    data, types = info_to_json({"mask": np.array([0, 1], np.int8), "x": np.float32(0.5), "n": 1})
    assert data == {"mask": [0, 1], "x": 0.5, "n": 1}
    assert types == {"/mask": "ndarray:int8:2", "/x": "scalar:float32:"}


def test_places_are_json_pointers():
    _, types = info_to_json({"a/b": {"c~d": [None, (1,)]}})
    assert types == {"/a~1b/c~0d/1": "tuple"}


FALSE_TYPES: list[tuple[Any, Any]] = [
    *(([1], {"": kind}) for kind in ("objects:2", "objects:x", "objects:0")),
    *(([1], {"": kind}) for kind in ("ndarray:object:1", "ndarray:int8:5", "ndarray:f4,f4:1")),
    *(([1], {"": kind}) for kind in ("ndarray:int8:x", "ndarray", "scalar:O:", "bytes", "number")),
    *(([1], {"": kind}) for kind in ("ndarray:f4,,:1", "ndarray:(1,:1", "ndarray::1")),
    *(([300], {"": kind}) for kind in ("ndarray:int8:1", "ndarray:bool:1", "ndarray:M8[x]:1")),
    *((data, {"": "ndarray:int8:1"}) for data in (["1"], [True], [1.5], None, {}, "ab", [[1], 2])),
    *((["abcd"], {"": kind}) for kind in ("ndarray:U1:1", "ndarray:S1:1", "ndarray:U99999999:1")),
    ("zz", {"": "bytes"}),
    ("1", {"": "number"}),
    ([1], {"": "dict"}),
    ([1], {"": "graph"}),
    ([1], {"": 5}),
    ([1], [""]),
    ([1], "types"),
    ([1], 5),
    ({"a": 1}, {"/a": None}),
    ([[], []], {"": "ndarray:int8:4294967296,4294967296"}),
]


@pytest.mark.parametrize(("data", "types"), FALSE_TYPES, ids=repr)
def test_types_that_do_not_fit_are_refused(data: Any, types: Any):
    with pytest.raises(InvalidRequestError, match="do not fit the info"):
        info_from_json(data, types)


def ext(code: int, payload: bytes) -> bytes:
    return b"\xc7" + bytes([len(payload), code]) + payload


MALFORMED = {
    "nothing": b"",
    "a length without end": b"\xdd\xff\xff\xff\xff",
    "a map without end": b"\xdf\xff\xff\xff\xff\x01",
    "bytes without end": b"\xc6\xff\xff\xff\xff",
    "text that is no UTF-8": b"\xa1\xff",
    "more than one value": b"\x01\x01",
    "depth without end": b"\x91" * 100_000,
    "an unknown extension": ext(99, b""),
    "an array of nothing": ext(2, b""),
    "an array without axes": ext(2, b"<f4\0"),
    "an array of objects": ext(2, b"|O8\0\0" + b"\0" * 8),
    "an array of records": ext(2, b"f4,f4\0\0" + b"\0" * 8),
    "an array of a deprecated name": ext(2, b"a5\0\0" + b"\0" * 5),
    "an array of long doubles": ext(2, b"<f16\0\0" + b"\0" * 16),
    "an array with too many axes": ext(2, b"<f4\0\xff"),
    "an array with false lengths": ext(2, b"<f4\0\1\xff\xff\xff\xff" + b"\0" * 8),
    "objects with false lengths": ext(6, b"\x92\x91\x02\x91\x01"),
    "objects without lengths": ext(6, b"\x91\x01"),
    "an array with a rest": ext(2, b"<f4\0\1\1\0\0\0" + b"\0" * 7),
    "a text beyond unicode": ext(2, b"<U1\0\0\xff\xff\xff\xff"),
    "a tuple of a number": ext(1, b"\x01"),
    "a tuple of a map": ext(1, b"\x80"),
    "a big integer of letters": ext(4, b"abc"),
    "a big integer without end": ext(4, b"9" * 255) and b"\xc9\0\0\x20\0\4" + b"9" * 0x2000,
    "a graph of two parts": ext(5, b"\x92\xc0\xc0"),
    "an array as a key": b"\x81" + ext(2, b"<f4\0\0" + b"\0" * 4) + b"\x01",
    "a time that there is not": b"\xd7\xff" + b"\xff" * 8,
}


@pytest.mark.parametrize("payload", MALFORMED.values(), ids=MALFORMED.keys())
def test_malformed_bytes_are_refused(payload: bytes):
    with pytest.raises(InvalidRequestError, match="malformed"):
        unpack_freeform(payload)
