"""The table of what may be asked when, at both ends of a session over the memory."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from openenv_gym.errors import (
    ConnectionLostError,
    OpenEnvGymError,
    ProtocolError,
    ResetNeededError,
)
from openenv_gym.faults import Fault, FaultKind
from openenv_gym.protocol import (
    BinaryMessages,
    ClientSession,
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
    ServerSession,
    SessionState,
    StateReply,
    Step,
    Use,
    Used,
)
from openenv_gym.protocol.binary_messages import sequence_of
from openenv_gym.wire.description import Description

OPENING, READY, EPISODE, ENDED, CLOSED, BROKEN = SessionState

REQUESTS: dict[type[Any], Any] = {
    Open: Open(),
    Reset: Reset(seed=1),
    Step: Step(0),
    GetState: GetState(),
    Render: Render(),
    Use: Use("length"),
    Close: Close(),
}
GOES_ON = Result(0, 0.0, False, False, {})
TERMINATED = Result(0, 0.0, True, False, {})
TRUNCATED = Result(0, 0.0, False, True, {})
FAILED = Failed("EXECUTION_ERROR", "it raised")
DONE: dict[type[Any], Any] = {
    Open: Opened(Description(environment="E-v0", view="model")),
    Reset: GOES_ON,
    Step: GOES_ON,
    GetState: StateReply({}),
    Render: Rendered(None),
    Use: Used([0.5]),
    Close: Closed(),
}

# Written out again, so that the table of the code is compared with one that was thought about.
LEGAL: list[tuple[SessionState, type[Any], Any, SessionState]] = [
    (OPENING, Open, DONE[Open], READY),
    (OPENING, Open, FAILED, OPENING),
    *((state, Reset, GOES_ON, EPISODE) for state in (READY, EPISODE, ENDED)),
    *((state, Reset, TERMINATED, ENDED) for state in (READY, EPISODE, ENDED)),
    *((state, Reset, FAILED, READY) for state in (READY, EPISODE, ENDED)),
    (EPISODE, Step, GOES_ON, EPISODE),
    (EPISODE, Step, TERMINATED, ENDED),
    (EPISODE, Step, TRUNCATED, ENDED),
    (EPISODE, Step, FAILED, EPISODE),
    *((state, kind, DONE[kind], state) for state in (READY, EPISODE, ENDED)
      for kind in (GetState, Render, Use)),
    *((state, kind, FAILED, state) for state in (READY, EPISODE, ENDED)
      for kind in (GetState, Render, Use)),
    *((state, Close, reply, CLOSED) for state in (OPENING, READY, EPISODE, ENDED)
      for reply in (Closed(), FAILED)),
]  # fmt: skip
LEGAL_PAIRS = {(state, kind) for state, kind, _, _ in LEGAL}
ILLEGAL = [pair for pair in itertools.product(SessionState, REQUESTS) if pair not in LEGAL_PAIRS]


class Pair:
    """Both ends of a session, joined by the memory."""

    def __init__(self, state: SessionState = OPENING) -> None:
        self.client = ClientSession(BinaryMessages(), state)
        self.server = ServerSession(BinaryMessages(), state)

    def ask(self, request: Any, reply: Any) -> Any:
        assert type(self.server.receive(self.client.send(request))) is type(request)
        return self.client.receive(self.server.send(reply))

    @property
    def states(self) -> tuple[SessionState, SessionState]:
        return self.client.state, self.server.state


@pytest.mark.parametrize(("state", "kind", "reply", "after"), LEGAL, ids=str)
def test_a_legal_request_moves_both_ends_alike(state: Any, kind: Any, reply: Any, after: Any):
    pair = Pair(state)
    assert pair.ask(REQUESTS[kind], reply) == reply
    assert pair.states == (after, after)


@pytest.mark.parametrize(("state", "kind"), ILLEGAL, ids=str)
def test_an_illegal_request_is_not_sent_and_changes_nothing(state: SessionState, kind: type[Any]):
    session = ClientSession(BinaryMessages(), state)
    with pytest.raises(refusal_of(state, kind)):
        session.send(REQUESTS[kind])
    assert session.state is state


# Only a client's end can be broken: a server whose connection fails ends the session.
FOR_SERVERS = [pair for pair in ILLEGAL if pair[0] is not BROKEN]


@pytest.mark.parametrize(("state", "kind"), FOR_SERVERS, ids=str)
def test_an_illegal_request_is_refused_by_the_server_and_changes_nothing(state: Any, kind: Any):
    server = ServerSession(BinaryMessages(), state)
    body = BinaryMessages().encode_request(7, REQUESTS[kind])
    with pytest.raises(refusal_of(state, kind)) as caught:
        server.receive(body)
    assert server.state is state
    seq, reply = BinaryMessages().decode_reply(server.refuse(caught.value, sequence_of(body)))
    assert (seq, type(reply)) == (7, Failed)
    assert type(reply.to_exception()) is type(caught.value)


def refusal_of(state: SessionState, kind: type[Any]) -> type[OpenEnvGymError]:
    if state is BROKEN:
        return ConnectionLostError
    return ResetNeededError if kind is Step and state in (READY, ENDED) else ProtocolError


def test_a_step_without_an_episode_says_what_to_do():
    for state, when in ((READY, "before the first reset"), (ENDED, "after the end")):
        with pytest.raises(ResetNeededError, match=rf"{when}.*call reset\(\)"):
            ClientSession(BinaryMessages(), state).send(Step(0))


def test_one_request_is_under_way_at_a_time():
    pair = Pair(READY)
    body = pair.client.send(Reset())
    with pytest.raises(ProtocolError, match="still under way"):
        pair.client.send(GetState())
    pair.server.receive(body)
    with pytest.raises(ProtocolError, match="still under way"):
        pair.server.receive(BinaryMessages().encode_request(2, GetState()))


@pytest.mark.parametrize("state", [state for state in SessionState if state is not BROKEN])
def test_a_failed_connection_breaks_the_session_in_any_state(state: SessionState):
    session = ClientSession(BinaryMessages(), state)
    session.fail("the cable was cut")
    session.fail("of another reason")  # the first one is told
    assert (session.state, session.under_way) == (BROKEN, None)
    for request in REQUESTS.values():
        with pytest.raises(
            ConnectionLostError, match=r"because the cable was cut; call reset\(\)"
        ) as told:
            session.send(request)
        assert told.value.fault == Fault(kind=FaultKind.CONNECTION_LOST, action_applied=False)
    assert session.state is BROKEN


def test_a_reply_that_comes_when_the_session_is_broken_changes_nothing():
    pair = Pair(EPISODE)
    pair.server.receive(pair.client.send(Step(0)))
    assert pair.client.under_way is Step
    pair.client.fail("it was closed")
    with pytest.raises(ConnectionLostError, match="because it was closed") as told:
        pair.client.receive(pair.server.send(GOES_ON))
    assert told.value.fault is None  # the step was sent: whether it has acted, nobody knows
    assert pair.client.state is BROKEN


def test_the_refusal_of_a_second_request_leaves_the_first_to_be_answered():
    pair = Pair(READY)
    pair.server.receive(pair.client.send(Reset()))
    second = BinaryMessages().encode_request(9, GetState())
    with pytest.raises(ProtocolError) as caught:
        pair.server.receive(second)
    refusal = pair.server.refuse(caught.value, sequence_of(second))
    assert sequence_of(refusal) == 9


def choices(state: SessionState) -> list[tuple[type[Any], Any]]:
    return [(kind, reply) for before, kind, reply, _ in LEGAL if before is state]


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_both_ends_agree_after_any_legal_order(data: st.DataObject):
    pair = Pair()
    for _ in range(data.draw(st.integers(0, 30))):
        legal = choices(pair.client.state)
        if not legal:
            return
        kind, reply = data.draw(st.sampled_from(legal))
        pair.ask(REQUESTS[kind], reply)
        assert pair.client.state is pair.server.state
