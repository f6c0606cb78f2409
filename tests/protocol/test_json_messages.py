"""Requests and replies as OpenEnv's JSON messages, at both ends."""

from __future__ import annotations

import json
from typing import Any

import gymnasium.spaces as gs
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from openenv_gym.errors import (
    InvalidActionError,
    InvalidRequestError,
    OpenEnvGymError,
    ProtocolError,
    RemoteEnvError,
)
from openenv_gym.faults import Fault, FaultKind
from openenv_gym.protocol import (
    Close,
    Closed,
    Failed,
    GetState,
    Open,
    Opened,
    Render,
    Reset,
    Result,
    StateReply,
    Step,
)
from openenv_gym.protocol.events import A_SEED
from openenv_gym.protocol.json_messages import (
    JsonClientMessages,
    JsonServerMessages,
    parse_reset,
)
from openenv_gym.spaces import infer, to_descriptor
from openenv_gym.wire.description import Description
from openenv_gym.wire.schema_view import SchemaView
from openenv_gym.wire.typed import GymnasiumView
from tests.support.examples import examples

BOX = gs.Box(-1, 1, (2,), np.float32)
DESCRIPTION = Description(
    environment="E-v0",
    view="gymnasium",
    action=to_descriptor(gs.Discrete(3)),
    observation=to_descriptor(BOX),
)
VIEW = GymnasiumView(DESCRIPTION)
SERVER = JsonServerMessages(VIEW)
CLIENT = JsonClientMessages(
    SchemaView(infer(VIEW.action_schema, VIEW.observation_schema), VIEW.observation_schema)
)

REQUESTS = [
    (Reset(), {"type": "reset", "data": {}}),
    (Reset(1, {"a": 2}, "e", {"b": 3}),
     {"type": "reset", "data": {"seed": 1, "options": {"a": 2}, "episode_id": "e", "b": 3}}),
    (Step(2), {"type": "step", "data": {"action": 2}}),
    (GetState(), {"type": "state"}),
    (Close(), {"type": "close"}),
]  # fmt: skip


@pytest.mark.parametrize(("request_", "message"), REQUESTS, ids=str)
def test_a_request_is_written_as_openenv_does_and_read_again(request_: Any, message: Any):
    text = CLIENT.encode_request(1, request_)
    assert json.loads(text) == message
    assert SERVER.decode_request(text) == (None, request_)
    assert SERVER.decode_request(text.decode()) == (None, request_)


@pytest.mark.parametrize("request_", [Open(), Render()])
def test_what_openenv_has_no_message_for_is_refused(request_: Any):
    with pytest.raises(InvalidRequestError, match=f"no message for {type(request_).__name__}"):
        CLIENT.encode_request(1, request_)


@pytest.mark.parametrize("reply", [Opened(DESCRIPTION), Closed()], ids=["opened", "closed"])
def test_a_reply_that_openenv_has_no_message_for_is_our_mistake(reply: Any):
    with pytest.raises(ProtocolError, match=f"stands for {type(reply).__name__}"):
        SERVER.encode_reply(None, reply)


def read(text: bytes) -> Any:
    return json.loads(text, parse_constant=pytest.fail)


def test_a_result_is_written_for_any_reader():
    obs = np.array([np.nan, 1], np.float32)
    text = SERVER.encode_reply(None, Result(obs, float("nan"), False, True, {}))
    assert read(text) == {
        "type": "observation",
        "data": {
            "observation": {
                "obs": ["NaN", 1.0],
                "terminated": False,
                "truncated": True,
                "info": {},
                "info_types": {},
            },
            "reward": "NaN",
            "done": True,
        },
    }


def test_a_state_is_written_for_any_reader():
    state = {"step_count": np.int64(3), "best": float("inf"), "board": np.zeros(2, np.int8)}
    assert read(SERVER.encode_reply(None, StateReply(state)))["data"] == {
        "step_count": 3,
        "best": "Infinity",
        "board": [0, 0],
    }


def test_a_failure_keeps_its_code_and_message():
    text = SERVER.encode_reply(None, Failed("RESET_NEEDED", "reset first", "traceback"))
    assert CLIENT.decode_reply(text) == (None, Failed("RESET_NEEDED", "reset first"))


@pytest.mark.parametrize("obs", [object(), None, "text", {"a": 1}, [["ragged"], 1]])
def test_an_observation_that_is_none_is_the_environments_fault(obs: Any):
    view = GymnasiumView(
        Description(
            environment="E",
            view="gymnasium",
            action=DESCRIPTION.action,
            observation=to_descriptor(gs.Dict(x=gs.Discrete(2))),
        )
    )
    with pytest.raises(RemoteEnvError, match="expected an observation of the environment's space"):
        JsonServerMessages(view).encode_reply(None, Result(obs, 0.0, False, False, {}))


RESETS: list[tuple[dict[str, Any], str]] = [
    *(({"seed": seed}, f"$.data.seed: {A_SEED}")
      for seed in ("1", -1, 1.5, True, [], {})),
    *(({"options": options}, "$.data.options: expected an object or null")
      for options in ([], 5, "a", True)),
    *(({"episode_id": name}, "$.data.episode_id: expected a string or null")
      for name in (5, [], {}, True)),
]  # fmt: skip


@pytest.mark.parametrize(("data", "expected"), RESETS, ids=str)
def test_a_malformed_reset_is_refused_by_path(data: dict[str, Any], expected: str):
    with pytest.raises(InvalidRequestError) as caught:
        parse_reset(data)
    assert str(caught.value).startswith(expected)
    assert "got" in str(caught.value)


def test_null_is_as_good_as_nothing():
    assert parse_reset({"seed": None, "options": None, "episode_id": None}) == Reset()
    assert parse_reset({"level": 3, "seed": 5}) == Reset(5, None, None, {"level": 3})


def test_an_action_is_read_strictly():
    for action in ("1", True, 1.0, 1.5, 3, None, [1]):
        with pytest.raises(InvalidActionError, match=r"^\$\.action\.action: expected"):
            SERVER.decode_request(json.dumps({"type": "step", "data": {"action": action}}))


REPLIES = [
    (b'{"type": "error"}', Failed("UNKNOWN", "the server gave no reason")),
    (b'{"type": "error", "data": {"message": 5, "code": ["a"]}}', Failed("['a']", "5")),
    (b'{"type": "state", "data": {"a": 1}}', StateReply({"a": 1})),
    (b'{"type": "state"}', StateReply({})),
]


@pytest.mark.parametrize(("text", "reply"), REPLIES, ids=str)
def test_a_reply_of_another_server_is_read(text: bytes, reply: Any):
    assert CLIENT.decode_reply(text) == (None, reply)


def test_a_reply_of_an_unknown_type_is_a_failure():
    _, reply = CLIENT.decode_reply(b'{"type": "dance", "data": {}}')
    assert reply == Failed("PROTOCOL_ERROR", "expected an observation, got a 'dance' message")


documents = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=4),
    lambda child: st.lists(child, max_size=3) | st.dictionaries(st.text(max_size=4), child),
    max_leaves=8,
)
fields = st.dictionaries(
    st.sampled_from(["action", "metadata", "seed", "options", "episode_id", "x"]), documents
)


@settings(max_examples=examples(500), deadline=None)
@given(st.sampled_from(["reset", "step", "state", "close"]), documents | fields)
def test_any_request_is_read_or_refused(kind: str, data: Any):
    try:
        SERVER.decode_request(json.dumps({"type": kind, "data": data}))
    except OpenEnvGymError as exc:
        assert "expected" in str(exc) or "got" in str(exc)


@settings(max_examples=examples(500), deadline=None)
@given(
    st.fixed_dictionaries(
        {"obs": documents | st.just([0.5, 1])},
        optional={"info": documents, "info_types": documents, "truncated": documents},
    ),
    documents,
)
def test_any_reply_is_read_or_refused(observation: Any, reward: Any):
    data = {"observation": observation, "reward": reward, "done": True}
    try:
        _, reply = CLIENT.decode_reply(json.dumps({"type": "observation", "data": data}))
    except OpenEnvGymError:
        return
    assert BOX.shape == reply.obs.shape


def test_the_wrong_fields_beside_an_invalid_message_reach_the_user():
    wrong = [{"loc": ["where", 1], "msg": "Field required"}, {"loc": "x", "msg": "odd"}, 5]
    said = {"message": "Invalid message", "code": "VALIDATION_ERROR", "errors": wrong}
    text = json.dumps({"type": "error", "data": said})
    _, reply = CLIENT.decode_reply(text)
    expected = "Invalid message: where.1: Field required; x: odd"
    assert reply == Failed("VALIDATION_ERROR", expected)


def test_what_is_known_of_a_lost_session_is_a_further_key():
    lost = Failed(
        "CONNECTION_LOST",
        "gone",
        fault=Fault(kind=FaultKind.WORKER_DIED, signal=11, stderr_tail="häß"),
    )
    text = SERVER.encode_reply(None, lost)
    fault = {"kind": "worker_died", "signal": 11, "exitcode": None, "stderr_tail": "häß"}
    data = {"message": "gone", "code": "CONNECTION_LOST", "fault": fault}
    assert json.loads(text) == {"type": "error", "data": data}
    assert CLIENT.decode_reply(text)[1] == lost
    assert b"fault" not in SERVER.encode_reply(None, Failed("RESET_NEEDED", "reset first"))


@pytest.mark.parametrize(
    ("said", "read"),
    [
        ("it broke", None),
        ({"kind": 5}, None),
        ({"signal": 11}, None),
        (
            {"kind": "new", "signal": True, "stderr_tail": [1]},
            Fault(kind=FaultKind.CONNECTION_LOST),
        ),
    ],
)
def test_a_fault_of_another_form_is_left_alone(said: Any, read: Any):
    data = {"message": "gone", "code": "CONNECTION_LOST", "fault": said}
    _, reply = CLIENT.decode_reply(json.dumps({"type": "error", "data": data}))
    assert reply == Failed("CONNECTION_LOST", "gone", fault=read)
