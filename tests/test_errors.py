"""The tree of errors, and what every one of them keeps."""

from __future__ import annotations

import copy
import pickle
import re

import pytest

from openenv_gym import errors
from openenv_gym.errors import OpenEnvGymError, shown

KINDS = [
    kind
    for kind in vars(errors).values()
    if isinstance(kind, type) and issubclass(kind, OpenEnvGymError)
]
LINE = re.compile(r"^[│├└─ ]*(\w+Error) *(?:\((\w+)\))?", re.MULTILINE)

by_kind = pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)


def drawn() -> dict[str, tuple[int, str]]:
    """The tree that the module's docstring draws: name to indentation and built-in base."""
    picture = (errors.__doc__ or "").partition("::")[2].partition("Each class")[0]
    return {
        found[1]: (found.start(1) - found.start(), found[2]) for found in LINE.finditer(picture)
    }


@by_kind
def test_an_error_stands_in_the_picture_below_its_base(kind: type[OpenEnvGymError]):
    tree = drawn()
    indentation, _ = tree[kind.__name__]
    if kind is OpenEnvGymError:
        return
    above = list(tree)[: list(tree).index(kind.__name__)]
    parent = next(name for name in reversed(above) if tree[name][0] < indentation)
    assert kind.__bases__[0].__name__ == parent


@by_kind
def test_an_error_is_the_built_in_that_the_picture_says(kind: type[OpenEnvGymError]):
    _, built_in = drawn()[kind.__name__]
    built_ins = [base.__name__ for base in kind.__bases__ if base.__module__ == "builtins"]
    assert built_ins == ([built_in] if built_in else []) or kind is OpenEnvGymError


def test_the_picture_shows_nothing_else():
    assert set(drawn()) == {kind.__name__ for kind in KINDS}


@by_kind
def test_an_error_takes_one_string_and_shows_it(kind: type[OpenEnvGymError]):
    error = kind("what was expected")
    assert error.args == ("what was expected",)
    assert str(error) == "what was expected"


@by_kind
def test_an_error_survives_pickle_and_copy(kind: type[OpenEnvGymError]):
    for again in (pickle.loads(pickle.dumps(kind("text"))), copy.deepcopy(kind("text"))):
        assert type(again) is kind
        assert again.args == ("text",)
        assert again.code == kind.code


@by_kind
def test_gymnasiums_vector_environment_can_rebuild_it(kind: type[OpenEnvGymError]):
    # `AsyncVectorEnv` sends the class and the value, and raises `exctype(value)` in the parent.
    for value in (kind("text"), str(kind("text"))):
        exctype, sent = pickle.loads(pickle.dumps((kind, value)))
        assert str(exctype(sent)) == "text"


@by_kind
def test_an_error_has_a_code_of_capitals(kind: type[OpenEnvGymError]):
    assert re.fullmatch(r"[A-Z]+(_[A-Z]+)*", kind.code)


def test_errors_are_caught_by_what_they_are():
    assert issubclass(errors.InvalidActionError, ValueError)
    assert issubclass(errors.UnsupportedRenderModeError, TypeError)
    assert issubclass(errors.RequestTimeoutError, (TimeoutError, ConnectionError))
    assert issubclass(errors.UnreachableError, OSError)


class Unread:
    """What must not be looked at."""

    def __repr__(self) -> str:
        raise AssertionError("it was looked at")


def test_what_is_behind_the_cut_of_a_value_is_not_looked_at():
    assert shown([1, 2, 3, Unread()], 6) == "[1,..."
    assert shown({"a": 1, "b": {"c": Unread()}}, 9) == "{'a': ..."


VALUES = ["a'b\n", b"\0", 1.5, None, True, [], {}, (), (1,), (1, 2), [[], {"a": (None,)}], 2**64]


@pytest.mark.parametrize("value", VALUES, ids=repr)
def test_a_value_that_is_short_is_shown_as_python_does(value: object):
    assert shown(value) == repr(value)


def test_a_text_is_cut_before_it_is_written():
    assert shown("\0" * 1_000_000, 20) == "'" + r"\x00" * 4 + "..."


def test_an_integer_that_python_does_not_write_is_told():
    assert shown(1 << 20_000) == "an integer of 20001 bits"
