"""Algorithms train through many faults: each is one flagged truncation, and nothing else changes.

What is trained does not know of faults. Each campaign is played twice, embedded and on a server:
with the same plan and the same seeds all observations, ends and faults have to be the same.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gymnasium as gym
import pytest
import torch
from stable_baselines3 import DQN, PPO
from stable_baselines3.common.logger import Logger

from openenv_gym.launchers import ServerProcess
from openenv_gym.recovery import FaultPolicy
from openenv_gym.sb3 import OpenEnvVecEnv
from openenv_gym.testing import FaultLedger
from tests.faults.cleanrl_ppo import Args, train
from tests.faults.kinds import FAULT
from tests.faults.leaks import Leaks, use_folder
from tests.faults.schedule import GAP, campaign
from tests.faults.watch import Seen, WatchedVecEnv, WatchedVector

pytestmark = pytest.mark.timeout(1200)  # in `make test-long`; a shorter one takes half a minute

SEED, EPISODE_STEPS, DEADLINE_S = 7, 20, 15.0
SHORT_FAULTS, LONG_FAULTS = 10, 84  # of each run; 12 runs of the longer ones have 1,008
PATIENT = FaultPolicy(restarts=10**6, max_backoff_s=0)

Trained = tuple[Any, Seen]


def sb3(algorithm: Any, **arguments: Any) -> Callable[..., Trained]:
    """Trains an algorithm of Stable-Baselines3."""

    def run(openenv_id: str, num_envs: int, steps: int, **where: Any) -> Trained:
        envs = WatchedVecEnv(OpenEnvVecEnv(openenv_id, num_envs, **where))
        agent = algorithm("MlpPolicy", envs, seed=SEED, device="cpu", **arguments)
        agent.set_logger(Logger(None, []))  # its own makes a folder among temporary files
        agent.learn(steps * num_envs)
        envs.close()
        return agent.policy, envs.seen

    return run


def cleanrl(openenv_id: str, num_envs: int, steps: int, **where: Any) -> Trained:
    """Trains in the manner of CleanRL."""
    envs = WatchedVector(gym.make_vec(openenv_id, num_envs=num_envs, **where))
    rollout = Args.num_steps * num_envs
    agent = train(envs, Args(seed=SEED, total_steps=-(-steps * num_envs // rollout) * rollout))
    envs.close()
    return agent, envs.seen


ALGORITHMS = {
    "sb3_ppo": (sb3(PPO, n_steps=64, batch_size=64, n_epochs=4), 0),
    "sb3_dqn": (sb3(DQN, learning_starts=100, train_freq=4, buffer_size=5000), 0),
    "cleanrl_ppo": (cleanrl, 1),
}
"""What trains, and how many steps of the vector environment a reset takes there."""

_long = pytest.mark.long
CAMPAIGNS = [
    *((4, SHORT_FAULTS), pytest.param(4, LONG_FAULTS, marks=_long)),
    pytest.param(16, LONG_FAULTS, marks=_long),
]


@pytest.mark.parametrize(("num_envs", "faults"), CAMPAIGNS)
@pytest.mark.parametrize(
    "name", ["sb3_ppo", "cleanrl_ppo", pytest.param("sb3_dqn", marks=pytest.mark.long)]
)
def test_training_goes_on_through_a_campaign(
    name: str, num_envs: int, faults: int, tmp_path: Path, record_property: Any
):
    torch.set_num_threads(1)
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    run, reset_takes = ALGORITHMS[name]
    plan = campaign(num_envs, faults, reset_takes, EPISODE_STEPS)
    assert len(plan) == faults
    digests, policies = set(), set()
    for transport in ("embedded", "binary"):
        ledger = tmp_path / transport
        kwargs = {"plan": plan, "first_seed": SEED, "ledger": str(ledger)}
        with use_folder(temporary):
            policy, seen, left = _train(run, transport, num_envs, (faults + 4) * GAP, kwargs)
        fired = FaultLedger(ledger).fired()
        assert len(fired) == faults
        assert Counter(env for _, env in seen.faults) == Counter(fault.env for fault in fired)
        assert seen.wrong == [] and left == []
        parameters = torch.nn.utils.parameters_to_vector(policy.parameters())
        assert torch.isfinite(parameters).all()
        policies.add(parameters.detach().numpy().tobytes())
        digests.add(seen.digest.hexdigest())
        record_property("faults", len(fired))
        record_property("flagged", len(seen.faults))
        record_property("transitions", seen.transitions)
    assert len(digests) == 1
    # Not asserted: it would be torch's promise, whose last bits depend on more than seeds.
    record_property("policies that are equal embedded and served", int(len(policies) == 1))


def _train(
    run: Callable[..., Trained], transport: str, num_envs: int, steps: int, kwargs: dict[str, Any]
) -> tuple[Any, Seen, list[str]]:
    """Return the policy, what passed by, and what is left after it."""
    common = {"shards": num_envs, "on_fault": PATIENT}
    if transport == "embedded":
        leaks = Leaks()
        where = {"env_id": FAULT, "timeout_s": DEADLINE_S, **kwargs, **common}
        policy, seen = run("openenv/gymnasium-v0", num_envs, steps, **where)
        return policy, seen, leaks.found()
    deadlines = (f"--step-timeout={DEADLINE_S}", f"--reset-timeout={DEADLINE_S}")
    with ServerProcess(FAULT, "--kwargs", json.dumps(kwargs), *deadlines) as server:
        leaks = Leaks(server)
        policy, seen = run("openenv/remote-v0", num_envs, steps, base_url=server.base_url, **common)
        return policy, seen, leaks.found()
