"""Replies are matched to their requests, and what fails leaves the session usable."""

from __future__ import annotations

from typing import Any

import gymnasium.spaces as gs
import numpy as np
import pytest

from openenv_gym.errors import (
    InvalidActionError,
    InvalidRequestError,
    NotOpenEnvError,
    ProtocolError,
)
from openenv_gym.protocol import (
    BinaryMessages,
    ClientSession,
    Failed,
    GetState,
    Open,
    Opened,
    Reset,
    Result,
    ServerSession,
    SessionState,
    StateReply,
    Step,
)
from openenv_gym.protocol.json_messages import JsonClientMessages, JsonServerMessages
from openenv_gym.spaces import infer, to_descriptor
from openenv_gym.wire.description import Description
from openenv_gym.wire.schema_view import SchemaView
from openenv_gym.wire.typed import GymnasiumView
from tests.support.rollouts import same
from tests.support.spaces import CATALOGUE, NAMES, samples

EPISODE = SessionState.EPISODE


def describe(space: gs.Space[Any]) -> Description:
    descriptor = to_descriptor(space)
    return Description(
        environment="E-v0", view="gymnasium", action=descriptor, observation=descriptor
    )


def binary_pair(space: gs.Space[Any]) -> tuple[ClientSession, ServerSession]:
    client, server = ClientSession(BinaryMessages()), ServerSession(BinaryMessages())
    server.receive(client.send(Open("E-v0")))
    client.receive(server.send(Opened(describe(space))))
    return client, server


def json_pair(space: gs.Space[Any]) -> tuple[ClientSession, ServerSession]:
    view = GymnasiumView(describe(space))
    schemas = view.action_schema, view.observation_schema
    theirs = JsonClientMessages(SchemaView(infer(*schemas), schemas[1]))
    ready = SessionState.READY
    return ClientSession(theirs, ready), ServerSession(JsonServerMessages(view), ready)


PAIRS = {"binary": binary_pair, "json": json_pair}


@pytest.mark.parametrize("wire", PAIRS)
@pytest.mark.parametrize("name", NAMES)
def test_an_episode_goes_through_to_the_bit(wire: str, name: str):
    space = CATALOGUE[name]
    client, server = PAIRS[wire](space)
    first, *others = samples(space, 3)
    request = server.receive(client.send(Reset(3, {"level": 1}, "e")))
    assert request == Reset(3, {"level": 1}, "e", {})
    reply = client.receive(server.send(Result(first, None, False, False, {})))
    assert reply.reward is None
    for value in others:
        action = server.receive(client.send(Step(value))).action
        info = {"n": np.int16(1), "t": (None, 2)}
        reply = client.receive(server.send(Result(action, -0.0, False, False, info)))
        assert same(reply.info, info)
        assert same(reply.reward, -0.0)
        if wire == "binary":
            assert same((action, reply.obs), (value, value))
        assert space.contains(reply.obs)


@pytest.mark.parametrize("reward", [float("nan"), float("inf"), -0.0, 5e-324, 1e308, None])
@pytest.mark.parametrize("wire", PAIRS)
def test_every_reward_comes_back(wire: str, reward: float | None):
    client, server = PAIRS[wire](gs.Discrete(2))
    server.receive(client.send(Reset()))
    assert same(client.receive(server.send(Result(1, reward, True, False, {}))).reward, reward)
    assert client.state is server.state is SessionState.ENDED


def test_sequence_numbers_count_up_and_begin_again():
    client = ClientSession(BinaryMessages(), EPISODE)
    server = ServerSession(BinaryMessages(), EPISODE)
    numbers = []
    client._seq = 2**32 - 3
    for _ in range(4):
        body = client.send(GetState())
        numbers.append(int.from_bytes(body[4:8], "little"))
        server.receive(body)
        client.receive(server.send(StateReply({})))
    assert numbers == [2**32 - 2, 2**32 - 1, 0, 1]


@pytest.mark.parametrize("seq", [0, 1, 3, 2**32 - 1])
def test_a_late_or_foreign_reply_is_never_the_answer(seq: int):
    client = ClientSession(BinaryMessages(), EPISODE)
    server = ServerSession(BinaryMessages(), EPISODE)
    server.receive(client.send(GetState()))
    late = server.send(StateReply({"step_count": 1}))
    client.receive(late)
    client.send(GetState())
    foreign = BinaryMessages().encode_reply(seq, StateReply({}))
    for body in (late, foreign):
        with pytest.raises(ProtocolError, match="expected the reply to request 2"):
            client.receive(body)
    assert client.receive(BinaryMessages().encode_reply(2, StateReply({"a": 1}))).state == {"a": 1}


def test_a_reply_that_nobody_asked_for_is_refused():
    binary = ClientSession(BinaryMessages(), EPISODE)
    with pytest.raises(ProtocolError, match="a StateReply came that nobody asked for"):
        binary.receive(BinaryMessages().encode_reply(0, StateReply({})))
    client, _ = json_pair(gs.Discrete(2))
    with pytest.raises(ProtocolError, match="nobody asked for"):
        client.receive(
            b'{"type": "error", "data": {"message": "full", "code": "CAPACITY_REACHED"}}'
        )


UNENCODABLE = [object(), {"a": {1, 2}}, 1j, "half \ud800", 10**5000]


@pytest.mark.parametrize("wire", PAIRS)
@pytest.mark.parametrize("value", UNENCODABLE, ids=lambda value: type(value).__name__)
def test_a_request_that_cannot_be_encoded_leaves_the_session_as_it_was(wire: str, value: Any):
    client, server = PAIRS[wire](gs.Discrete(3))
    before = client.state
    with pytest.raises(InvalidRequestError, match="expected"):
        client.send(Reset(options={"key": value}))
    assert client.state is before
    server.receive(client.send(Reset()))
    client.receive(server.send(Result(1, None, False, False, {})))
    with pytest.raises(InvalidActionError, match="expected"):
        client.send(Step(value))
    assert server.receive(client.send(Step(2))).action == 2


@pytest.mark.parametrize("value", [float("nan"), [1, float("inf")], {"a": (1, float("nan"))}])
def test_json_refuses_a_number_that_it_would_turn_into_null(value: Any):
    client, _ = json_pair(gs.Discrete(3))
    with pytest.raises(InvalidRequestError, match=r"^\$\.data\.options\.low.*JSON can say"):
        client.send(Reset(options={"low": value}))


@pytest.mark.parametrize("wire", PAIRS)
def test_a_reply_that_cannot_be_encoded_can_be_replaced_by_a_failure(wire: str):
    client, server = PAIRS[wire](gs.Discrete(3))
    server.receive(client.send(Reset()))
    with pytest.raises(Exception, match="expected"):
        server.send(Result(object(), None, False, False, {}))
    reply = client.receive(server.send(Failed("EXECUTION_ERROR", "no observation")))
    assert reply == Failed("EXECUTION_ERROR", "no observation")
    assert client.state is server.state is SessionState.READY


def test_a_body_that_is_no_request_leaves_the_server_as_it_was():
    _, server = binary_pair(gs.Discrete(3))
    for body in (b"", b"\0" * 8, b"\3\1\0\0\1\0\0\0", b"\2\0\0\0\1\0\0\0\xff"):
        with pytest.raises((ProtocolError, InvalidRequestError)):
            server.receive(body)
        assert server.state is SessionState.READY
    assert server.receive(BinaryMessages().encode_request(5, Reset())) == Reset()


@pytest.mark.parametrize("text", ["", "[]", '{"type": "step"}', '{"type": "open"}'])
def test_a_text_that_is_no_request_leaves_the_server_as_it_was(text: str):
    client, server = json_pair(gs.Discrete(3))
    with pytest.raises(InvalidRequestError) as caught:
        server.receive(text)
    client.send(Reset())
    reply = client.receive(server.refuse(caught.value))
    assert type(reply) is Failed
    assert server.receive('{"type": "reset"}') == Reset()


def test_a_reply_that_is_none_breaks_the_session():
    client, _ = json_pair(gs.Discrete(3))
    client.send(Reset())
    with pytest.raises(NotOpenEnvError):
        client.receive(b"<html>")
