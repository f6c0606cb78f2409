"""Values between two interpreters: the same to the bit, in both directions, and never pickled."""

from __future__ import annotations

from collections import OrderedDict, namedtuple
from collections.abc import Iterator
from enum import IntEnum
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from openenv_gym.conformance import same
from openenv_gym.interpreter.columns import column_of, values_of
from openenv_gym.interpreter.values import CannotTravelError, Untravelled, can_travel, pack, unpack
from openenv_gym.workers.interpreter_process import InterpreterProcess

DTYPES = st.one_of(
    hnp.boolean_dtypes(),
    hnp.integer_dtypes(endianness="?"),
    hnp.floating_dtypes(endianness="?"),
    hnp.complex_number_dtypes(endianness="?"),
    hnp.unicode_string_dtypes(endianness="="),
    hnp.datetime64_dtypes(endianness="="),
)
ARRAYS = hnp.arrays(DTYPES, hnp.array_shapes(min_dims=0, min_side=0))
LEAVES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.complex_numbers(),
    st.text(st.characters(codec=None)),
    st.binary(),
    ARRAYS,
    ARRAYS.filter(lambda array: array.size).map(lambda array: array.reshape(-1)[0]),
)
VALUES = st.recursive(
    LEAVES,
    lambda inner: st.one_of(
        st.lists(inner, max_size=4),
        st.lists(inner, max_size=4).map(tuple),
        st.dictionaries(st.text(max_size=4) | st.integers(), inner, max_size=4),
    ),
    max_leaves=12,
)
Point = namedtuple("Point", "x y")


class Colour(IntEnum):
    RED = 3


@given(VALUES)
def test_a_value_comes_back_with_its_type_and_its_bits(value: Any):
    assert same(unpack(pack(value, is_exact=True)), value)


@given(st.binary(max_size=60))
def test_malformed_bytes_are_a_value_or_a_value_error(data: bytes):
    try:
        unpack(data)
    except ValueError:
        return


@given(VALUES, st.data())
def test_cut_bytes_are_refused(value: Any, data: st.DataObject):
    body = pack(value)
    cut = data.draw(st.integers(0, len(body) - 1))
    with pytest.raises(ValueError):
        unpack(body[:cut])


def test_an_array_is_writable_and_owned():
    array = unpack(pack(np.zeros(3)))
    assert array.flags.writeable and array.flags.owndata


def test_a_long_array_in_fortran_order_comes_back():
    array = np.arange(60_000.0).reshape(200, 300).T
    assert same(unpack(pack(array)), np.ascontiguousarray(array))


def test_an_array_of_objects_comes_back():
    array = np.array([1, None, "text", (1,)], dtype=object)
    assert unpack(pack(array)).tolist() == [1, None, "text", (1,)]


def test_a_named_tuple_keeps_its_fields():
    assert unpack(pack(Point(1, [2]))).y == [2]


def test_a_member_of_an_enum_is_its_value():
    assert unpack(pack(Colour.RED)) == 3


def test_a_subclass_of_a_dict_is_a_dict():
    assert type(unpack(pack(OrderedDict(b=1, a=2)))) is dict


def test_what_cannot_travel_is_named():
    found = unpack(pack({"inner": object()}))["inner"]
    assert isinstance(found, Untravelled) and type(found).__name__ == "object"


def test_what_cannot_travel_is_refused_where_nothing_may_be_lost():
    with pytest.raises(CannotTravelError, match=r"got a value of type builtins\.object"):
        pack([object()], is_exact=True)


def test_a_value_without_end_is_refused():
    endless: list[Any] = []
    endless.append(endless)
    with pytest.raises(CannotTravelError, match="without end"):
        pack(endless)


@given(st.lists(VALUES, max_size=5) | st.lists(st.tuples(ARRAYS, st.floats(), st.booleans())))
def test_values_of_a_column_are_those_that_it_was_made_of(values: list[Any]):
    assert same(values_of(unpack(pack(column_of(values)))), values)


def test_what_is_alike_is_one_array():
    steps = [(np.full((2, 3), n, np.float32), float(n), False, {"n": n}) for n in range(4)]
    assert [column[0] for column in column_of(steps)[1]] == ["a", "f", "b", "d"]


def test_steps_come_back_from_their_columns():
    steps = [
        (np.full((2, 3), n, np.float32), -0.0, False, {"n": np.int16(n)}, {}) for n in range(4)
    ]
    assert same(values_of(unpack(pack(column_of(steps)))), steps)


def test_functions_cannot_travel():
    assert not can_travel(test_functions_cannot_travel)


@pytest.fixture(scope="module")
def echoing(gym026: str) -> Iterator[InterpreterProcess]:
    process = InterpreterProcess(gym026)
    process.ask("open", "tests.support.gym_envs:Faulty", {}, None, None)
    yield process
    process.end()


@given(value=VALUES)
def test_a_value_goes_to_another_interpreter_and_back(echoing: InterpreterProcess, value: Any):
    assert same(echoing.ask("call", 1, "echo", (value,), {}), value)
