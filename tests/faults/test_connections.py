"""From end to end: late replies answer no other request, and a cut ends no run and loses no step.

Each action is a number of its own. The observation repeats it, beside how many steps the episode
has had.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing
from itertools import count
from typing import Any

import gymnasium as gym
import pytest

from benchmarks.faults.cases import PLAIN
from benchmarks.faults.target_env import ENV_ID
from openenv_gym.launchers import ServerProcess
from openenv_gym.recovery import FaultPolicy
from openenv_gym.testing import FaultProxy

ENDLESS = '--kwargs={"episode_steps": 1048576}'
CODECS = pytest.mark.parametrize("codec", ["binary", "json"])
LATE_S = 2.0  # so long a client waits where replies come late


@pytest.fixture(scope="module")
def server(serve: Callable[..., ServerProcess]) -> ServerProcess:
    return serve(ENV_ID, ENDLESS)


@pytest.fixture
def proxy(server: ServerProcess) -> Iterator[FaultProxy]:
    with FaultProxy(server.base_url) as proxy:
        yield proxy


class Numbered:
    """An environment whose steps have numbers."""

    def __init__(self, proxy: FaultProxy, codec: str, timeout_s: float) -> None:
        policy = FaultPolicy(restarts=1000, backoff_s=0.0)
        where: dict[str, Any] = {"base_url": proxy.base_url, "codec": codec, "on_fault": policy}
        self._env = gym.make("openenv/remote-v0", timeout_s=timeout_s, **where)
        self._numbers, self._steps = count(PLAIN), 0
        self.close = self._env.close
        self.reset()

    def reset(self) -> None:
        self._env.reset()
        self._steps = 0

    def step(self) -> str:
        """Take a step that is answered, or return which fault ended the episode instead."""
        number = next(self._numbers)
        obs, _, terminated, truncated, info = self._env.step(number)
        assert not terminated and truncated == ("openenv" in info)
        if truncated:
            return str(info["openenv"]["fault"])
        self._steps += 1
        assert (obs[0], obs[1]) == (number, self._steps)
        return ""


@CODECS
@pytest.mark.sample(1)
def test_a_reply_that_comes_after_the_timeout_answers_no_other_request(
    codec: str, proxy: FaultProxy
):
    with closing(Numbered(proxy, codec, LATE_S)) as env:
        assert env.step() == ""
        for _ in range(2):
            proxy.delay(2 * LATE_S, "to_client")
            assert env.step() != ""
            proxy.heal()  # what is late comes now
            env.reset()
            assert [env.step() for _ in range(3)] == ["", "", ""]


@CODECS
@pytest.mark.parametrize("direction", ["to_server", "to_client"])
@pytest.mark.sample(2)
def test_a_run_goes_on_after_a_cut_at_many_bytes_of_a_step(
    codec: str, direction: Any, proxy: FaultProxy
):
    with closing(Numbered(proxy, codec, 60.0)) as env:
        before = proxy.passed(direction)
        assert env.step() == ""
        length = proxy.passed(direction) - before
        faults = 0
        for number, at in enumerate(range(0, length, max(1, length // 12))):
            proxy.cut_after(at, direction, ("close", "reset")[number % 2])
            if env.step():
                faults += 1
                proxy.heal()
                env.reset()
            proxy.heal()
            assert [env.step() for _ in range(3)] == ["", "", ""]
    if codec == "binary":  # a session in JSON ends with its connection
        assert faults == 0
