"""A connection over the memory: what is under way, and what is said when it is broken."""

from __future__ import annotations

import pytest

from openenv_gym.client import Connection
from openenv_gym.client.memory import MemoryTransport
from openenv_gym.errors import (
    ConcurrentCallError,
    ConnectionLostError,
    ProtocolError,
    RequestTimeoutError,
    ResetNeededError,
)
from openenv_gym.protocol import BinaryMessages, ClientSession, GetState, Open, Reset, Result, Step
from openenv_gym.workers.session import WorkerSession

SCRIPTED = "tests.support.envs:Scripted-v0"


class Late(MemoryTransport):
    """Ends each wait for a reply in an exception."""

    ends_in: BaseException | None = None
    killed = 0

    def receive(self, timeout_s: float | None) -> bytes:
        if self.ends_in is not None:
            raise self.ends_in
        return super().receive(timeout_s)

    def kill_peer(self) -> None:
        self.killed += 1


@pytest.fixture
def transport() -> Late:
    return Late(WorkerSession().handle)


@pytest.fixture
def connection(transport: Late) -> Connection:
    connection = Connection(ClientSession(BinaryMessages()), transport)
    connection.request(Open(SCRIPTED))
    connection.request(Reset(1))
    return connection


def test_a_request_is_under_way_until_its_reply_is_there(connection: Connection):
    assert not connection.is_under_way
    connection.begin(Step(0))
    assert connection.is_under_way
    with pytest.raises(ConcurrentCallError, match="'MainThread' called while 'MainThread' waits"):
        connection.request(GetState())
    assert isinstance(connection.finish(), Result)
    assert not connection.is_under_way
    assert connection.request(GetState()).state["step_count"] == 1


def test_a_request_that_is_refused_is_not_under_way(transport: Late):
    connection = Connection(ClientSession(BinaryMessages()), transport)
    connection.request(Open(SCRIPTED))
    with pytest.raises(ResetNeededError):
        connection.begin(Step(0))
    assert not (connection.is_under_way or connection.is_broken)
    assert isinstance(connection.request(Reset(1)), Result)


def test_what_is_given_up_is_not_under_way_and_its_connection_is_broken(connection: Connection):
    connection.begin(Step(0))
    connection.give_up()
    assert (connection.is_broken, connection.is_under_way) == (True, False)
    with pytest.raises(ConnectionLostError, match="its answer was not waited for") as told:
        connection.request(Step(0))
    assert told.value.fault is not None and told.value.fault.action_applied is False  # not sent


@pytest.mark.parametrize(
    ("ends_in", "kills"),
    [(KeyboardInterrupt(), 0), (RequestTimeoutError("late"), 1), (ProtocolError("odd"), 0)],
    ids=lambda value: type(value).__name__,
)
def test_whatever_ends_a_wait_breaks_the_connection(
    connection: Connection, transport: Late, ends_in: BaseException, kills: int
):
    transport.ends_in = ends_in
    with pytest.raises(type(ends_in)):
        connection.request(Step(0))
    assert (connection.is_broken, connection.is_under_way, transport.killed) == (True, False, kills)
    said = f"because the last request ended in {type(ends_in).__name__}; call reset"
    for _ in range(2):
        with pytest.raises(ConnectionLostError, match=said):
            connection.request(Step(0))
    connection.close()  # says no goodbye


def test_a_goodbye_that_is_late_kills_nobody(connection: Connection, transport: Late):
    transport.ends_in = RequestTimeoutError("late")
    connection.close()
    assert (connection.is_broken, transport.killed) == (True, 0)


def test_a_transport_of_three_methods_is_enough():
    plain = Connection(ClientSession(BinaryMessages()), MemoryTransport(WorkerSession().handle))
    plain.request(Open(SCRIPTED))
    plain.sleep_at_once()
    plain.kill_peer()
    assert plain.is_gone() is False
    with pytest.raises(ProtocolError, match="MemoryTransport has no socket"):
        plain.fileno()
    plain.close()
    assert plain.is_broken and plain.is_gone()
