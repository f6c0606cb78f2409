"""Plain sessions, one for each sub-environment: a fault is that of one of them alone."""

from __future__ import annotations

import time
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.vector import AutoresetMode

from openenv_gym.conformance import same
from openenv_gym.errors import EnvCrashLoopError, RemoteEnvError, ResetNeededError, TransportError
from openenv_gym.recovery import FaultPolicy, seed_after_fault
from tests.faults.conftest import FAULTY
from tests.faults.envs import Faulty

HURRY_S = 3
PATIENT = FaultPolicy(restarts=1000, max_backoff_s=0)


@pytest.fixture
def make(serve: Any) -> Any:
    url = serve(FAULTY).base_url
    made: list[Any] = []

    def one(mode: AutoresetMode = AutoresetMode.NEXT_STEP, on_fault: Any = PATIENT) -> Any:
        envs = gym.make_vec(
            "openenv/remote-v0",
            num_envs=3,
            base_url=url,
            codec="json",
            autoreset_mode=mode,
            on_fault=on_fault,
        )
        made.append(envs)
        return envs

    yield one
    for envs in made:
        envs.close()


@pytest.mark.parametrize("mode", AutoresetMode)
@pytest.mark.parametrize("action", [Faulty.RAISE, Faulty.KILL])
@pytest.mark.sample(3)
def test_bystanders_play_as_without_the_fault(action: int, mode: AutoresetMode, make: Any):
    played = []
    for struck in (1, action):
        envs, seen = make(mode), []
        envs.reset(seed=7)
        for step in range(5):
            seen.append(envs.step(np.array([1, struck if step == 2 else 1, 1])))
            if mode is AutoresetMode.DISABLED and seen[-1][3].any():
                with pytest.raises(ResetNeededError):
                    envs.step(np.ones(3, np.int64))
                _, info = envs.reset(options={"reset_mask": seen[-1][3]})
                assert info["openenv"]["incarnation"][1] == 1
        played.append(seen)
    seed = seed_after_fault(7, 1, 1)
    for step, (free, hurt) in enumerate(zip(*played, strict=True)):
        for part, other in zip(free[:-1], hurt[:-1], strict=True):
            assert same(part[[0, 2]], other[[0, 2]])
        assert hurt[3].tolist() == [False, step == 2, False]
    struck = played[1][2]
    is_same = mode is AutoresetMode.SAME_STEP
    last = played[1][1][0][1]
    assert same(struck[4]["final_obs"][1] if is_same else struck[0][1], last)
    said = struck[4]["final_info"]["openenv"] if is_same else struck[4]["openenv"]
    kind = "env_raised" if action == Faulty.RAISE else "worker_died"
    assert said["fault"].tolist() == [None, kind, None]
    local = Faulty()
    first = local.reset(seed=seed)[0]
    if mode is AutoresetMode.DISABLED:
        first = local.step(1)[0]
    begun = struck if is_same else played[1][3]
    assert same(begun[0][1], first)


def test_the_start_and_the_wish_to_have_them_raised(make: Any):
    for on_fault, steps in (("truncate", 0), ("raise", 1)):
        envs = make(on_fault=on_fault)
        envs.reset(seed=0)
        for _ in range(steps):
            envs.step(np.ones(3, np.int64))
        with pytest.raises((RemoteEnvError, TransportError)):
            envs.step(np.array([1, Faulty.KILL, 1]))
        envs.close()


@pytest.mark.long
def test_all_that_hang_are_waited_for_at_the_same_time(serve: Any):
    url = serve(FAULTY, "--step-timeout=0").base_url
    envs = gym.make_vec("openenv/remote-v0", num_envs=6, base_url=url, codec="json", timeout_s=60)
    envs.reset(seed=0)
    envs.step(np.ones(6, np.int64))
    for shard in envs._shards[:5]:  # who answers may take its time
        shard.connection.timeout_s = HURRY_S
    began_s = time.monotonic()
    *_, truncated, info = envs.step(np.array([Faulty.HANG] * 5 + [1]))
    assert time.monotonic() - began_s < 5 * HURRY_S  # which is what one after another takes
    assert truncated.tolist() == [True] * 5 + [False]
    assert info["openenv"]["fault"].tolist() == ["step_timeout"] * 5 + [None]
    envs.close()


def test_the_budget(make: Any):
    envs = make(on_fault=FaultPolicy(restarts=1, max_backoff_s=0))
    envs.reset(seed=0)
    envs.step(np.ones(3, np.int64))
    struck = np.array([1, Faulty.KILL, 1])
    envs.step(struck)
    envs.step(struck)  # the reset
    envs.step(struck)
    with pytest.raises(EnvCrashLoopError, match=r"sub-environment 1 of .* after 1 restarts"):
        envs.step(struck)
