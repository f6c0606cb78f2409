"""Errors that are ours and of the class that the environment raised."""

from __future__ import annotations

import copy
import itertools
import pickle

import pytest
from gymnasium import error

from openenv_gym import errors
from openenv_gym.errors import EnvStartError, InvalidRequestError, UnknownEnvironmentError
from openenv_gym.faults import Fault, FaultKind
from openenv_gym.protocol import failure
from openenv_gym.wire import raised
from openenv_gym.wire.error_codes import error_for
from openenv_gym.wire.raised import RAISED, named_pair, raised_as

OURS = (
    errors.EnvStartError,
    errors.InvalidRequestError,
    errors.RemoteEnvError,
    errors.SpaceError,
    errors.UnknownEnvironmentError,
    errors.UnsupportedRenderModeError,
)


def test_every_pair_is_both_takes_one_string_and_pickles():
    for ours, other in itertools.product(OURS, RAISED.values()):
        kind = raised_as(ours, other)
        assert issubclass(kind, ours), kind
        assert issubclass(kind, other), kind
        assert pickle.loads(pickle.dumps(kind)) is kind  # AsyncVectorEnv sends the class alone
        exc = kind("what was expected", fault=Fault(kind=FaultKind.OOM))
        for copied in (pickle.loads(pickle.dumps(exc)), copy.deepcopy(exc)):
            assert type(copied) is kind
            assert (str(copied), copied.args) == ("what was expected", ("what was expected",))
            assert (copied.fault, copied.code) == (exc.fault, ours.code)


def test_a_class_that_is_not_in_the_table_counts_as_its_nearest_base():
    class TooSlow(TimeoutError):
        pass

    class KeyError(Exception):  # its name alone does not make it one
        pass

    class NameNotFound(error.NameNotFound):
        pass

    assert raised_as(EnvStartError, TooSlow).raised == "TimeoutError"
    assert raised_as(EnvStartError, KeyError) is EnvStartError
    assert raised_as(EnvStartError, UnicodeDecodeError).raised == "UnicodeError"
    assert raised_as(UnknownEnvironmentError, NameNotFound).raised == "NameNotFound"


def test_a_class_that_one_of_ours_has_already_makes_no_new_one():
    assert raised_as(InvalidRequestError, ValueError) is InvalidRequestError
    assert raised_as(EnvStartError, RuntimeError) is EnvStartError


@pytest.mark.parametrize("name", ["", "os.system", "SystemExit", "Exception", "__class__"])
def test_a_name_that_is_not_in_the_table_is_ignored(name: str):
    assert named_pair(EnvStartError, name) is EnvStartError
    assert error_for("FACTORY_ERROR", "text", raised=name).raised == ""
    with pytest.raises(AttributeError, match="has no attribute"):
        getattr(raised, f"EnvStartError_{name}")


def test_the_class_travels_with_the_failure():
    exc = raised_as(EnvStartError, FileNotFoundError)("no map")
    again = failure(exc, "the traceback").to_exception()
    assert type(again) is type(exc)
    assert again.remote_traceback == "the traceback"
