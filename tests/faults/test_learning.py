"""Faults that are rare leave no trace in what is learnt."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from stable_baselines3 import PPO
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.vec_env import VecMonitor

from openenv_gym.recovery import FaultPolicy
from openenv_gym.sb3 import OpenEnvVecEnv
from openenv_gym.testing import FaultLedger
from tests.faults.kinds import FAULT

pytestmark = [pytest.mark.long, pytest.mark.timeout(3600)]

SEEDS, NUM_ENVS, STEPS, RATE = (1, 2, 3, 4), 4, 40_000, 1e-4
LAST_EPISODES = 50
PATIENT = FaultPolicy(restarts=10**6, max_backoff_s=0)


class Returns(BaseCallback):
    """Notes the return of each episode, and how many transitions say that there was a fault."""

    def __init__(self) -> None:
        super().__init__()
        self.returns: list[float] = []
        self.faults = 0

    def _on_step(self) -> bool:
        for info in self.locals["infos"]:
            self.faults += "openenv" in info
            if "episode" in info and "openenv" not in info:
                self.returns.append(info["episode"]["r"])
        return True


def rare_faults(seed: int) -> dict[str, Any]:
    """Return a plan with one fault in each 1/RATE steps, of one sub-environment after another."""
    each = int(1 / RATE) // NUM_ENVS  # steps of the vector environment between two faults
    rng = np.random.default_rng(seed)
    kinds = ("raise", "kill", "segfault", "exit")
    count = int(STEPS * RATE)
    steps = [number * each + int(rng.integers(1, each)) for number in range(count)]
    return {
        f"{number % NUM_ENVS}/0/{step}": kinds[number % len(kinds)]
        for number, step in enumerate(steps)
    }


def learn(seed: int, ledger: Path, plan: dict[str, Any] | None) -> tuple[float, int]:
    """Return the mean return of the last episodes, and how many faults were flagged."""
    envs = OpenEnvVecEnv(
        "openenv/gymnasium-v0",
        NUM_ENVS,
        env_id=FAULT,
        of="CartPole-v1",
        plan=plan,
        ledger=str(ledger),
        first_seed=seed,
        shards=NUM_ENVS,
        on_fault=PATIENT,
    )
    agent = PPO(
        "MlpPolicy",
        VecMonitor(envs),
        learning_rate=1e-3,
        n_steps=128,
        batch_size=128,
        gamma=0.98,
        gae_lambda=0.9,
        seed=seed,
        device="cpu",
    )
    seen = Returns()
    agent.learn(STEPS, callback=seen)
    envs.close()
    return float(np.mean(seen.returns[-LAST_EPISODES:])), seen.faults


def test_returns_on_cartpole_are_within_the_noise_of_seeds(tmp_path: Path, record_property: Any):
    torch.set_num_threads(1)
    free, struck, injected = [], [], 0
    for seed in SEEDS:
        mean, faults = learn(seed, tmp_path / f"free-{seed}", None)
        assert faults == 0
        free.append(mean)
        ledger = tmp_path / f"struck-{seed}"
        mean, faults = learn(seed, ledger, rare_faults(seed))
        assert faults == len(FaultLedger(ledger).fired()) == STEPS * RATE
        struck.append(mean)
        injected += faults
    record_property("faults", injected)
    record_property("flagged", injected)
    record_property("returns_without_faults", free)
    record_property("returns_with_faults", struck)
    # Two means of as many seeds differ by chance by this, thrice their standard error, at most.
    noise = 3 * float(np.std(free, ddof=1)) * (2 / len(SEEDS)) ** 0.5
    assert min(free) > 100  # it learns at all; at random it is 22
    assert abs(np.mean(free) - np.mean(struck)) <= noise, (free, struck)
