"""Pings: who is alive answers while he computes, who is gone is let go."""

from __future__ import annotations

import os
import socket
import time

import gymnasium as gym
import httpx
import pytest
from fastapi import FastAPI

from openenv_gym.server import run
from openenv_gym.testing import FaultProxy
from tests.support.waiting import wait_until

SCRIPTED = "tests.support.envs:Scripted-v0"


# A client, or this test, that stops for less than the timeout and the grace is not let go.
IMPATIENT = ("--ping-interval=0.2", "--ping-timeout=3", "--resume-grace=60")


def readiness(base_url: str) -> dict[str, int]:
    return httpx.get(f"{base_url}/readyz", trust_env=False, timeout=30).json()


@pytest.mark.slow
@pytest.mark.long
def test_a_trainer_that_computes_for_longer_than_a_ping_may_take_is_not_let_go(serve):
    # Idle sockets are looked after within ten seconds: the rest is for a client that is stopped.
    server = serve(SCRIPTED, "--ping-interval=0.5", "--ping-timeout=17", "--resume-grace=0")
    with FaultProxy(server.base_url) as proxy:
        env = gym.make("openenv/remote-v0", base_url=proxy.base_url)
        env.reset()
        accepted, passed = proxy.accepted, proxy.passed("to_server")
        end_s, count = time.monotonic() + 26, 0
        while time.monotonic() < end_s:  # as a gradient update in Python
            count += 1
        assert env.step(0)[0][0] == 1
        assert proxy.accepted == accepted
        assert proxy.passed("to_server") > passed + 50  # pongs, and a step
        env.close()


@pytest.mark.parametrize("codec", ["binary", "json"])
@pytest.mark.sample(1)
def test_who_is_gone_without_a_word_is_let_go(serve, codec: str):
    server = serve(SCRIPTED, "--ping-interval=0.2", "--ping-timeout=5", "--resume-grace=6")
    wait_until(lambda: readiness(server.base_url)["sessions"] == 0)
    with FaultProxy(server.base_url) as proxy:
        env = gym.make("openenv/remote-v0", base_url=proxy.base_url, codec=codec)
        env.reset()
        proxy.black_hole()
        if codec == "binary":
            wait_until(lambda: readiness(server.base_url)["disconnected"] == 1)
        wait_until(lambda: readiness(server.base_url)["sessions"] == 0)
        proxy.heal()
        env.close()


def test_who_is_let_go_for_a_late_pong_comes_back(serve):
    server = serve(SCRIPTED, *IMPATIENT)
    env = gym.make("openenv/remote-v0", base_url=server.base_url)
    env.reset()
    for number in range(1, 3):
        # One thread answers the pings of idle sockets, every five seconds.
        wait_until(lambda: readiness(server.base_url)["disconnected"] == 1)
        obs, *_, info = env.step(0)
        assert obs[0] == number and "openenv" not in info
    env.close()


@pytest.mark.filterwarnings("ignore:.*multi-threaded:DeprecationWarning")
def test_a_child_does_not_take_up_what_its_parent_has_lost(serve):
    server = serve(SCRIPTED, *IMPATIENT)
    env = gym.make("openenv/remote-v0", base_url=server.base_url).unwrapped
    env.reset()
    transport = env._connection._transport
    wait_until(lambda: transport._protocol.close_rcvd is not None)  # read while it was idle
    assert transport.can_resume
    pid = os.fork()
    if pid == 0:
        os._exit(int(transport.can_resume))
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    assert env.step(0)[0][0] == 1
    env.close()


def test_pings_can_be_left_out(serve):
    server = serve(SCRIPTED, "--ping-interval=0")
    with FaultProxy(server.base_url) as proxy:
        env = gym.make("openenv/remote-v0", base_url=proxy.base_url)
        env.reset()
        before = proxy.passed("to_client")
        time.sleep(1)
        assert proxy.passed("to_client") == before
        env.close()


@pytest.mark.parametrize(("given", "asked"), [(0, None), (None, None), (7.5, 7.5)])
def test_uvicorn_is_told_of_no_pings(given, asked, monkeypatch):
    told = []

    def note(server: run._Server, sockets: list[socket.socket]) -> None:
        told.append(server.config)
        sockets[0].close()

    monkeypatch.setattr(run._Server, "run", note)
    listener = run.Listener(port=0, ping_interval_s=given, ping_timeout_s=given)
    run.run(FastAPI(), listener, "nothing")
    (config,) = told
    assert (config.ws_ping_interval, config.ws_ping_timeout) == (asked, asked)
