"""A server that is killed and started anew ends all episodes, once, and training goes on."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Iterator
from typing import Any

import gymnasium as gym
import numpy as np
import psutil
import pytest

from openenv_gym.errors import EnvCrashLoopError
from openenv_gym.launchers import ServerProcess
from openenv_gym.recovery import FaultPolicy, seed_after_fault
from openenv_gym.testing import FaultEnv
from tests.faults.kinds import FAULT

NUM_ENVS, STEPS, SEED = 4, 7, 7
PATIENT = FaultPolicy(restarts=1000, max_backoff_s=0.2)
TIMES = [
    pytest.param(2, 0.5, marks=pytest.mark.timeout(180)),
    pytest.param(20, 3.0, marks=[pytest.mark.long, pytest.mark.timeout(900)]),
]


class Mortal:
    """A server that can be killed, and comes back at the same place."""

    def __init__(self) -> None:
        self._server = ServerProcess(FAULT)
        self.base_url = self._server.base_url

    def kill_for(self, seconds: float) -> threading.Thread:
        """Kill it, and start it again after a while, beside what goes on here."""
        server = psutil.Process(self._server.pid)
        workers = server.children(recursive=True)
        os.kill(server.pid, signal.SIGKILL)
        self._server.stop()
        assert psutil.wait_procs(workers, timeout=20)[1] == []  # nobody outlives it

        def come_back() -> None:
            time.sleep(seconds)
            port = self.base_url.rpartition(":")[2]
            self._server = ServerProcess(FAULT, "--port", port)

        thread = threading.Thread(target=come_back)
        thread.start()
        return thread

    def stop(self) -> None:
        """End it."""
        self._server.stop()


@pytest.fixture
def mortal() -> Iterator[Mortal]:
    server = Mortal()
    yield server
    server.stop()


@pytest.mark.parametrize(("times", "seconds"), TIMES)
@pytest.mark.parametrize("codec", ["binary", "json"])
@pytest.mark.sample(1)
def test_all_are_truncated_once_and_go_on(
    codec: str, times: int, seconds: float, mortal: Mortal, record_property: Any
):
    arguments: dict[str, Any] = {"codec": "json"} if codec == "json" else {"shards": 2}
    envs = gym.make_vec(
        "openenv/remote-v0",
        num_envs=NUM_ENVS,
        base_url=mortal.base_url,
        on_fault=PATIENT,
        **arguments,
    )
    local = [FaultEnv() for _ in range(NUM_ENVS)]
    obs, _ = envs.reset(seed=SEED)
    for number, env in enumerate(local):
        assert np.array_equal(obs[number], env.reset(seed=SEED + number)[0])
    for incarnation in range(times + 1):
        for _ in range(STEPS):
            obs, *_, truncated, info = envs.step(np.ones(NUM_ENVS, np.int64))
            assert not truncated.any() and "openenv" not in info
            assert all(
                np.array_equal(obs[number], env.step(1)[0]) for number, env in enumerate(local)
            )
        if incarnation == times:
            break
        back = mortal.kill_for(seconds)
        last, rewards, terminated, truncated, info = envs.step(np.ones(NUM_ENVS, np.int64))
        assert np.array_equal(last, obs) and not rewards.any()
        assert truncated.all() and not terminated.any()
        assert info["openenv"]["fault"].tolist() == ["connection_lost"] * NUM_ENVS
        assert info["openenv"]["incarnation"].tolist() == [incarnation] * NUM_ENVS
        obs, *_, truncated, _ = envs.step(np.ones(NUM_ENVS, np.int64))  # waits for the server
        assert not truncated.any()
        for number, env in enumerate(local):
            seed = seed_after_fault(SEED, number, incarnation + 1)
            assert np.array_equal(obs[number], env.reset(seed=seed)[0])
        back.join()
        record_property("restarts", 1)
    envs.close()


@pytest.mark.long
@pytest.mark.parametrize("codec", ["binary", "json"])
@pytest.mark.sample(1)
def test_a_reset_waits_for_a_server_too(codec: str, mortal: Mortal):
    envs = gym.make_vec("openenv/remote-v0", 2, base_url=mortal.base_url, codec=codec)
    envs.reset(seed=SEED)
    envs.step(np.ones(2, np.int64))
    back = mortal.kill_for(0.5)
    info = envs.reset()[1]
    seeds = [seed_after_fault(SEED, number, 1) for number in range(2)]
    assert info["openenv"]["seed"].tolist() == seeds
    assert not envs.step(np.ones(2, np.int64))[3].any()
    back.join()
    envs.close()


def test_a_server_that_does_not_come_back_is_named_with_the_seed(mortal: Mortal):
    policy = FaultPolicy(reconnect_timeout_s=0.2)
    arguments = {"base_url": mortal.base_url, "codec": "json", "on_fault": policy}
    envs = gym.make_vec("openenv/remote-v0", 2, **arguments)
    envs.reset(seed=SEED)
    envs.step(np.ones(2, np.int64))
    mortal.stop()
    envs.step(np.ones(2, np.int64))
    seed = seed_after_fault(SEED, 0, 1)
    with pytest.raises(EnvCrashLoopError, match=rf"not be made anew within 0.2 s; seed {seed},"):
        envs.step(np.ones(2, np.int64))
    envs.close()
