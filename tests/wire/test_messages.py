"""OpenEnv's JSON messages: what is one, and in which way the rest is none."""

from __future__ import annotations

import json
import pickle
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from openenv_gym.errors import InvalidRequestError, NotOpenEnvError
from openenv_gym.wire import error_codes
from openenv_gym.wire.messages import (
    MAX_NESTING,
    CloseMessage,
    MalformedMessageError,
    ResetMessage,
    StateMessage,
    StepMessage,
    check_count,
    error_message,
    observation_message,
    parse_message,
    parse_reply,
    state_message,
)
from tests.support.examples import examples

ACCEPTED = [
    ('{"type": "reset"}', ResetMessage({})),
    ('{"data": {"seed": 1}, "type": "reset"}', ResetMessage({"seed": 1})),
    (b'{"type": "step", "data": {"action": [1, 2]}}', StepMessage({"action": [1, 2]})),
    ('{"type": "state", "data": {}}', StateMessage({})),
    ('{"type": "close"}', CloseMessage({})),
]


@pytest.mark.parametrize(("text", "message"), ACCEPTED, ids=str)
def test_a_request_is_read(text: str | bytes, message: Any):
    assert parse_message(text) == message


def nested(depth: int) -> str:
    return '{"type": "step", "data": {"action": %s}}' % ("[" * depth + "]" * depth)


NO_JSON = ["", " ", "hello", "{", "[1", '{"type": "step", "data": NaN}', "{'type': 'reset'}"]
NO_JSON += ['{"type": "reset"} x', "\ud800", b"\xff\xfe", b'{"type": "\xff"}', "[" * 100_000]
UNKNOWN = ["{}", '{"type": "dance"}', '{"type": 5}', '{"type": null}', '{"type": ["reset"]}']
UNKNOWN += ['{"type": "Reset"}', '{"data": {}}', '{"type": {"reset": 1}, "data": {}}']
INVALID = ["[]", "5", '"reset"', "null", "true", '{"type": "step"}', '{"type": "step", "data": []}']
INVALID += ['{"type": "reset", "data": 5}', '{"type": "reset", "seed": 1}', nested(MAX_NESTING)]
INVALID += ['{"type": "step", "data": null}', nested(900)]


@pytest.mark.parametrize(
    ("texts", "code"),
    [
        (NO_JSON, error_codes.INVALID_JSON),
        (UNKNOWN, error_codes.UNKNOWN_TYPE),
        (INVALID, error_codes.VALIDATION_ERROR),
    ],
)
def test_what_is_no_request_is_refused_with_its_code(texts: list[str | bytes], code: str):
    for text in texts:
        with pytest.raises(MalformedMessageError) as caught:
            parse_message(text)
        assert caught.value.code == code, text
        assert "expected" in str(caught.value)
        assert "got" in str(caught.value)
        assert len(str(caught.value)) <= error_codes.MAX_MESSAGE_CHARS


def test_nesting_up_to_the_limit_is_read():
    message = parse_message(nested(MAX_NESTING - 2))
    assert isinstance(message, StepMessage)
    flat = json.dumps({"type": "step", "data": {"action": [[]] * 200}})
    assert len(parse_message(flat).data["action"]) == 200


def test_an_unknown_type_names_the_known_ones():
    with pytest.raises(
        MalformedMessageError, match=r"\$\.type: .*reset, step, state, render, close, got 'x"
    ):
        parse_message('{"type": "x"}')


def test_the_error_keeps_its_code_when_pickled():
    error = MalformedMessageError("text", error_codes.INVALID_JSON)
    again = pickle.loads(pickle.dumps(error))
    assert (str(again), again.code) == ("text", error_codes.INVALID_JSON)
    assert isinstance(again, InvalidRequestError)


@settings(max_examples=examples(500), deadline=None)
@given(st.binary(max_size=60) | st.text(max_size=60))
def test_any_text_is_read_or_refused(text: str | bytes):
    with pytest.raises(MalformedMessageError):
        parse_message(text)
    with pytest.raises(NotOpenEnvError):
        parse_reply(text)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=4),
    lambda child: st.lists(child, max_size=3) | st.dictionaries(st.text(max_size=4), child),
    max_leaves=6,
)


@settings(max_examples=examples(500), deadline=None)
@given(st.sampled_from(["reset", "step", "state", "close", "x", 5]), json_values)
def test_any_message_is_read_or_refused(kind: Any, data: Any):
    text = json.dumps({"type": kind, "data": data})
    try:
        message = parse_message(text)
    except MalformedMessageError:
        return
    assert kind in ("reset", "step", "state", "close")
    assert isinstance(message.data, dict)


def test_replies_are_openenvs():
    reply = observation_message({"obs": 1}, 0.5, True, {})
    assert json.loads(reply) == {
        "type": "observation",
        "data": {"observation": {"obs": 1}, "reward": 0.5, "done": True},
    }
    with_metadata = observation_message({}, None, False, {"a": 1})
    assert json.loads(with_metadata)["data"]["metadata"] == {"a": 1}
    assert parse_reply(state_message({"step_count": 1})) == ("state", {"step_count": 1})
    assert parse_reply(error_message("no", "RESET_NEEDED")) == (
        "error",
        {"message": "no", "code": "RESET_NEEDED", "path": "$", "expected": None, "got": None},
    )


def test_the_message_of_an_error_is_cut_and_always_text():
    _, data = parse_reply(error_message("x" * 10_000, "CODE"))
    assert data["message"] == "x" * 497 + "..."
    assert parse_reply(error_message("file \udcff", "CODE"))[1]["message"] == "file \\udcff"


NO_REPLY = ["", "<html>", "[]", "5", "{}", '{"type": 5}', b"\xff", "[" * 100_000, nested(900)]


@pytest.mark.parametrize("text", NO_REPLY, ids=lambda text: str(text)[:20])
def test_what_is_no_reply_comes_from_no_openenv_server(text: str | bytes):
    with pytest.raises(NotOpenEnvError, match="expected a"):
        parse_reply(text)


@pytest.mark.parametrize("data", ["null", "[]", "5"])
def test_data_that_is_no_object_is_none(data: str):
    assert parse_reply(f'{{"type": "observation", "data": {data}}}') == ("observation", {})


def test_values_are_counted_before_they_are_read():
    check_count("[" + ",".join("0" * 9) + "]", 10)
    for text in "[[0],{},0]", b"[[0],{},0]", memoryview(b"[[0],{},0]"):
        check_count(text, 6)
        with pytest.raises(MalformedMessageError, match="at most 5 values"):
            check_count(text, 5)


def test_a_long_text_is_counted_to_its_end():
    text = " " * (5 << 20) + "[0,0]"
    check_count(text, 3)
    with pytest.raises(MalformedMessageError, match="at most 2 values"):
        check_count(text, 2)
