"""Bodies of the binary protocol: every message comes back, and the rest is refused."""

from __future__ import annotations

import tracemalloc
from typing import Any

import gymnasium.spaces as gs
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from openenv_gym.codecs import pack_freeform
from openenv_gym.errors import InvalidRequestError, OpenEnvGymError, ProtocolError
from openenv_gym.faults import Fault, FaultKind
from openenv_gym.protocol import (
    BinaryMessages,
    Close,
    Closed,
    Failed,
    GetState,
    Open,
    Opened,
    Render,
    Rendered,
    Reset,
    Result,
    StateReply,
    Step,
)
from openenv_gym.protocol.binary_messages import sequence_of
from openenv_gym.spaces import to_descriptor
from openenv_gym.wire.description import Description
from tests.support.examples import examples
from tests.support.rollouts import same

BOX = gs.Box(-1, 1, (2,), np.float32)
DESCRIPTION = Description(
    environment="E-v0",
    view="gymnasium",
    action=to_descriptor(gs.Discrete(3)),
    observation=to_descriptor(BOX),
)
OBS = np.array([0.5, -0.0], np.float32)


def learned() -> BinaryMessages:
    """A codec that knows the spaces."""
    messages = BinaryMessages()
    messages.encode_reply(1, Opened(DESCRIPTION))
    return messages


REQUESTS = [
    Open(),
    Open("openspiel:catch", {"rows": 5, "t": (1, 2)}, "rgb_array", -1),
    Reset(),
    Reset(2**63 - 1, {"low": np.float32(0.1)}, "episode", {"level": [1]}),
    *(Step(action) for action in (2, np.int64(2), 7.5, None, {"words": ["a"]}, OBS)),
    *(GetState(), Render(), Close()),
]
REPLIES = [
    Opened(DESCRIPTION),
    Result(OBS, None, False, False, {}),
    Result(OBS, -0.0, True, False, {"legal_actions": [1], "mask": np.ones(2, np.int8)}),
    Result([0.5, 1], float("inf"), False, True, {}),
    Result({"x": None}, 5e-324, True, True, {"t": (1,)}),
    *(StateReply({}), StateReply({"step_count": 3})),
    *(Rendered(frame) for frame in (None, "text", np.zeros((2, 3, 3), np.uint8), [OBS, "a"])),
    *(Closed(), Failed("CODE", "message"), Failed("CODE", "message", "traceback")),
    Failed("CODE", "message", fault=Fault(kind=FaultKind.OOM, signal=9, stderr_tail="häß")),
]


def parts(message: Any) -> tuple[Any, ...]:
    return tuple(getattr(message, name) for name in message.__struct_fields__)


@pytest.mark.parametrize("request_", REQUESTS, ids=str)
def test_a_request_comes_back(request_: Any):
    seq, again = learned().decode_request(learned().encode_request(2**32 - 1, request_))
    assert (seq, type(again)) == (2**32 - 1, type(request_))
    assert same(parts(again), parts(request_))


@pytest.mark.parametrize("reply", REPLIES, ids=str)
def test_a_reply_comes_back(reply: Any):
    seq, again = learned().decode_reply(learned().encode_reply(7, reply))
    assert (seq, type(again)) == (7, type(reply))
    assert same(parts(again), parts(reply)) or again == reply


def failed(fault: Any) -> Any:
    return header(255) + pack_freeform(["CODE", "message", "", fault, ""])


@pytest.mark.parametrize(
    ("said", "read"),
    [
        (None, None),
        ({"signal": 11}, None),
        ({"kind": "new", "signal": True, "colour": "red"}, Fault(kind=FaultKind.CONNECTION_LOST)),
        ({"kind": "oom", "signal": 9, "exitcode": None}, Fault(kind=FaultKind.OOM, signal=9)),
    ],
)
def test_a_fault_of_another_version_is_read_as_far_as_it_is_known(said: Any, read: Any):
    assert learned().decode_reply(failed(said))[1] == Failed("CODE", "message", fault=read)


def test_a_fault_that_is_no_map_is_refused():
    with pytest.raises(InvalidRequestError, match="fault"):
        learned().decode_reply(failed("it broke"))


def test_both_ends_learn_the_spaces_from_the_reply_to_open():
    server, client = BinaryMessages(), BinaryMessages()
    client.decode_reply(server.encode_reply(1, Opened(DESCRIPTION)))
    body = server.encode_reply(2, Result(OBS, 1.0, False, False, {}))
    assert len(body) == 16 + 8
    assert same(client.decode_reply(body)[1].obs, OBS)
    assert len(client.encode_request(3, Step(2))) == 8 + 9


def test_what_the_space_does_not_hold_travels_in_free_form():
    careless = [0.5, 1]
    body = learned().encode_reply(2, Result(careless, 1.0, False, False, {}))
    assert body[1] & 1 == 0
    assert same(learned().decode_reply(body)[1].obs, careless)


def header(kind: int, flags: int = 0) -> bytes:
    return bytes([kind, flags, 0, 0, 1, 0, 0, 0])


BAD_REQUESTS = {
    "nothing": b"",
    "half a header": b"\1\0\0",
    "kind 0": header(0),
    "kind 7": header(7),
    "a reply": header(130),
    "a step without an action": header(3),
    "a compact step cut short": header(3, 1) + b"\0\1",
    "a compact step with a rest": header(3, 1) + bytes(9) + b"\0",
    "a free step with a rest": header(3) + b"\1\0\0\0\1\1",
    "an open of nothing": header(1),
    "an open of a map": header(1) + b"\x80",
    "an open of three fields": header(1) + pack_freeform(["a", {}, None]),
    "an open of a number": header(1) + pack_freeform([5, {}, None, None]),
    "an open of keyed numbers": header(1) + pack_freeform([None, {1: 2}, None, None]),
    "an open with a limit of text": header(1) + pack_freeform([None, {}, None, "5"]),
    "a reset with a seed of text": header(2) + pack_freeform(["1", None, None, {}]),
    "a reset with a true seed": header(2) + pack_freeform([True, None, None, {}]),
    "a reset with a list of options": header(2) + pack_freeform([1, [], None, {}]),
    "a reset with a numbered episode": header(2) + pack_freeform([1, None, 5, {}]),
}


@pytest.mark.parametrize("body", BAD_REQUESTS.values(), ids=BAD_REQUESTS.keys())
def test_a_malformed_request_is_refused(body: bytes):
    with pytest.raises((ProtocolError, InvalidRequestError), match="xpected"):
        learned().decode_request(body)


BAD_REPLIES = {
    "nothing": b"",
    "a request": header(1),
    "kind 128": header(128),
    "a result without a reward": header(130),
    "a result without an observation": header(130) + bytes(8),
    "a compact result cut short": header(130, 1) + bytes(8) + bytes(7),
    "a compact result with a rest": header(130, 1) + bytes(8) + bytes(9),
    "an info that is a list": header(130, 17) + bytes(8) + bytes(8) + b"\x90",
    "rewards of no bytes and too long axes": header(134, 41) + bytes(9) + b"\3" + b"\xff" * 12,
    "an info that is cut": header(130, 17) + bytes(8) + bytes(8) + b"\x81",
    "a state that is a list": header(131) + b"\x90",
    "a picture of nothing": header(132),
    "a failure of two fields": header(255) + pack_freeform(["CODE", "text"]),
    "a failure with a list for a code": header(255) + pack_freeform([["CODE"], "text", ""]),
    "a failure without a message": header(255) + pack_freeform(["CODE", None, ""]),
    "a description of nothing": header(129),
    "a description of a cube": header(129)
    + b'{"environment":"E","view":"gymnasium","action":{"type":"Cube"}}',
}


@pytest.mark.parametrize("body", BAD_REPLIES.values(), ids=BAD_REPLIES.keys())
def test_a_malformed_reply_is_refused(body: bytes):
    with pytest.raises(OpenEnvGymError, match="xpected"):
        learned().decode_reply(body)


def read_or_refuse(read: Any, body: bytes) -> None:
    tracemalloc.start()
    try:
        read(body)
    except OpenEnvGymError:
        return
    finally:
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak < 2**20


ENCODED = [learned().encode_request(1, request) for request in REQUESTS]
ENCODED += [learned().encode_reply(1, reply) for reply in REPLIES]


@settings(max_examples=examples(1000), deadline=None)
@given(st.sampled_from([1, 2, 3, 129, 130, 131, 132, 255]), st.integers(0, 31), st.binary())
def test_any_body_is_read_or_refused(kind: int, flags: int, payload: bytes):
    for read in (learned().decode_request, learned().decode_reply):
        read_or_refuse(read, header(kind, flags) + payload)
        read_or_refuse(read, payload)


@settings(max_examples=examples(1000), deadline=None)
@given(st.sampled_from(ENCODED), st.data())
def test_a_body_with_a_fault_is_read_or_refused(encoded: bytes, data: st.DataObject):
    body = bytearray(encoded)
    place = data.draw(st.integers(0, len(body) - 1))
    body[place] = data.draw(st.integers(0, 255))
    for read in (learned().decode_request, learned().decode_reply):
        read_or_refuse(read, bytes(body))
        read_or_refuse(read, bytes(body[:place]))


def test_a_number_is_read_where_there_is_one():
    assert sequence_of(learned().encode_request(2**32 - 1, Close())) == 2**32 - 1
    assert sequence_of(b"\1\0\0\0\5\0\0") == 0
