"""Every error that crosses the wire comes back as itself."""

from __future__ import annotations

import pytest

from openenv_gym import errors
from openenv_gym.errors import OpenEnvGymError
from openenv_gym.protocol import Failed, failure
from openenv_gym.wire.error_codes import MAX_MESSAGE_CHARS, brief, error_for, printable

# Raised only by a client, about what it reached or did not reach.
LOCAL = {
    errors.AddressError,
    errors.NotOpenEnvError,
    errors.TransportError,
    errors.UnreachableError,
    OpenEnvGymError,
}


def tree(kind: type[OpenEnvGymError]) -> list[type[OpenEnvGymError]]:
    here = [kind] if kind.__module__ == errors.__name__ else []
    return here + [each for child in kind.__subclasses__() for each in tree(child)]


CROSSING = [kind for kind in tree(OpenEnvGymError) if kind not in LOCAL]


@pytest.mark.parametrize("kind", CROSSING, ids=lambda kind: kind.__name__)
def test_an_error_comes_back_as_itself(kind: type[OpenEnvGymError]):
    again = failure(kind("what was expected")).to_exception()
    assert type(again) is kind
    assert str(again) == "what was expected"


def test_no_two_of_them_share_a_code():
    assert len({kind.code for kind in CROSSING}) == len(CROSSING)


OPENENV = {
    "INVALID_JSON": errors.InvalidRequestError,
    "UNKNOWN_TYPE": errors.InvalidRequestError,
    "VALIDATION_ERROR": errors.InvalidRequestError,
    "EXECUTION_ERROR": errors.RemoteEnvError,
    "CAPACITY_REACHED": errors.CapacityError,
    "FACTORY_ERROR": errors.EnvStartError,
    "SESSION_ERROR": errors.ServerError,
}


@pytest.mark.parametrize("code", OPENENV)
def test_openenvs_codes_keep_their_meaning(code: str):
    assert type(error_for(code, "text")) is OPENENV[code]


@pytest.mark.parametrize("code", ["SOMETHING_NEW", "", "SERVER_ERROR"])
def test_an_unknown_code_is_a_server_error_that_names_it(code: str):
    error = error_for(code, "text")
    assert type(error) is errors.ServerError
    assert str(error) == f"text (code {code})"


def test_a_traceback_stands_below_the_message():
    error = Failed("EXECUTION_ERROR", "it raised", "Traceback: ...").to_exception()
    assert str(error) == "it raised\n\nIn the environment's process:\nTraceback: ..."


def test_messages_are_cut_and_printable():
    assert len(failure(errors.ServerError("x" * 9999)).message) == MAX_MESSAGE_CHARS
    assert brief("abcdef", 5) == "ab..."
    assert brief("abcde", 5) == "abcde"
    assert failure(errors.ServerError("\udcff"), "in \ud800").traceback == "in \\ud800"
    assert printable("漢\udcff") == "漢\\udcff"
