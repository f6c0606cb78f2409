"""Waiting for a peer: looking again pays, or is given up."""

from __future__ import annotations

import socket
import threading
import time

import pytest

from openenv_gym import sockets
from openenv_gym.errors import ConnectionLostError, RequestTimeoutError
from openenv_gym.interpreter import spin as spins
from openenv_gym.interpreter.spin import AdaptiveSpin
from openenv_gym.sockets import BlockingSocket


@pytest.fixture
def pair():
    ours, theirs = socket.socketpair()
    waiting = BlockingSocket(ours, "the peer")
    yield waiting, theirs
    waiting.close()
    theirs.close()


class Looks:
    """Finds something at the n-th look, counting from one."""

    def __init__(self, at: int | None) -> None:
        self.at, self.count = at, 0

    def __call__(self) -> bytes | None:
        self.count += 1
        return b"found" if self.count == self.at else None


def test_what_comes_soon_is_found_without_sleeping(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(spins, "SPIN_S", 60.0)
    looks = Looks(at=100)
    assert AdaptiveSpin().wait(looks) == b"found"
    assert looks.count == 100


def test_after_misses_most_waits_are_slept_through(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(spins, "SPIN_S", 0.0)
    spin, never = AdaptiveSpin(), Looks(at=None)
    looked = []
    for _ in range(400):
        before = never.count
        assert spin.wait(never) is None
        looked.append(never.count > before)
    assert [i for i, hit in enumerate(looked) if hit] == [
        0,
        2,
        6,
        14,
        30,
        62,
        126,
        190,
        254,
        318,
        382,
    ]


def test_a_find_makes_looking_worth_it_again(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(spins, "SPIN_S", 0.0)
    spin = AdaptiveSpin()
    for _ in range(200):
        spin.wait(Looks(at=None))
    while spin.wait(Looks(at=1)) is None:
        pass
    assert [spin.wait(Looks(at=1)) for _ in range(5)] == [b"found"] * 5


def test_the_time_to_receive_is_neither_shorter_nor_longer_than_the_kernels(pair, monkeypatch):
    monkeypatch.setattr(sockets, "_EARLY", 0.01)
    waiting, theirs = pair
    timer = threading.Timer(1, theirs.sendall, (b"after the kernel gave up",))
    timer.start()
    assert waiting.receive(20) == b"after the kernel gave up"
    timer.join()
    began_s = time.monotonic()
    with pytest.raises(RequestTimeoutError, match=r"within 0\.5 s"):
        waiting.receive(0.5)
    assert time.monotonic() - began_s >= 0.5
    timer = threading.Timer(0.5, theirs.close)
    timer.start()
    with pytest.raises(ConnectionLostError, match="closed the connection"):
        waiting.receive(20)
    timer.join()


def test_a_reply_that_takes_longer_than_the_looking(pair):
    waiting, theirs = pair
    timer = threading.Timer(0.05, theirs.sendall, (b"late",))
    timer.start()
    assert waiting.receive(20) == b"late"
    timer.join()


def test_the_deadline_holds_and_may_change(pair):
    waiting, theirs = pair
    for timeout_s in (0.05, 0.1):
        start = time.monotonic()
        with pytest.raises(RequestTimeoutError, match=rf"within {timeout_s:g} s"):
            waiting.receive(timeout_s)
        assert timeout_s <= time.monotonic() - start < 30  # and not for ever
    theirs.sendall(b"x")
    assert waiting.receive(None) == b"x"


def test_the_end_of_the_peer_is_said(pair):
    waiting, theirs = pair
    theirs.close()
    with pytest.raises(ConnectionLostError, match="the peer closed the connection"):
        waiting.receive(1)
    with pytest.raises(ConnectionLostError, match="the connection to the peer broke"):
        for _ in range(2):
            waiting.send(b"x")


def test_what_a_peer_said_before_it_left_is_read(pair):
    waiting, theirs = pair
    theirs.sendall(b"why")
    theirs.close()
    waiting.send(b"x")
    assert waiting.receive(1) == b"why"
    with pytest.raises(ConnectionLostError, match="the connection to the peer broke"):
        waiting.send(b"x")


def test_looking_without_waiting(pair):
    waiting, theirs = pair
    assert waiting.receive_nowait() == b""
    theirs.sendall(b"x")
    assert waiting.receive_nowait() == b"x"
    theirs.close()
    assert waiting.receive_nowait() == b""


def test_parts_that_trickle_in_do_not_move_the_deadline(pair):
    here, there = pair
    there.send(b"x")

    def take_in(data: bytes) -> bool:
        there.send(data)
        return False

    with pytest.raises(RequestTimeoutError, match=r"within 0\.05 s"):
        here.receive_until(take_in, 0.05)


def test_a_peer_that_takes_nothing_is_not_waited_for(pair):
    here, _ = pair
    with pytest.raises(RequestTimeoutError, match=r"took no request within 0\.05 s"):
        here.send(bytes(1 << 24), timeout_s=0.05)
