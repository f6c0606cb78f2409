r"""Train an agent with Stable-Baselines3's PPO, and print how well it acts greedily.

The script knows an environment by its id alone. Gymnasium imports the module before the colon and
then looks up the id, so that this script does not import it:

    python -m examples.train_sb3
    python -m examples.train_sb3 --env-id openenv_gym:openenv/gymnasium-v0 \
        --env-kwargs '{"env_id": "CartPole-v1"}'
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import gymnasium as gym
import numpy as np
import torch
from stable_baselines3 import PPO
from stable_baselines3.common.env_util import make_vec_env
from stable_baselines3.common.evaluation import evaluate_policy


@dataclass(frozen=True)
class Score:
    """The result of an evaluation.

    Attributes:
        mean_reward: The mean of the episodes' returns.
        positive: The share of episodes with a positive return; in Catch, of balls caught.
    """

    mean_reward: float
    positive: float


def train(
    env_id: str, env_kwargs: Mapping[str, Any], timesteps: int, seed: int, eval_episodes: int
) -> Score:
    torch.set_num_threads(1)  # networks this small lose more by sharing than they win

    def make() -> gym.Env:
        return gym.make(env_id, **env_kwargs)

    envs = make_vec_env(make, n_envs=8, seed=seed)
    agent = PPO(
        "MlpPolicy",
        envs,
        learning_rate=1e-3,
        n_steps=128,
        batch_size=256,
        ent_coef=0.01,
        seed=seed,
        device="cpu",
    )
    agent.learn(timesteps)
    envs.close()

    unseen = make_vec_env(make, n_envs=8, seed=seed + 8)
    returns, _ = evaluate_policy(
        agent, unseen, eval_episodes, deterministic=True, return_episode_rewards=True
    )
    unseen.close()
    return Score(float(np.mean(returns)), float(np.mean(np.greater(returns, 0))))


def main(arguments: list[str] | None = None) -> Score:
    parser = argparse.ArgumentParser(description="Train an agent with PPO.")
    parser.add_argument("--env-id", default="openenv_gym:openenv/catch-v0", help="module:id")
    parser.add_argument("--env-kwargs", type=json.loads, default={}, help="a JSON object")
    parser.add_argument("--timesteps", type=int, default=32_768, help="steps of training")
    parser.add_argument("--seed", type=int, default=0, help="seed of the agent and the environment")
    parser.add_argument("--eval-episodes", type=int, default=200, help="greedy episodes")
    options = parser.parse_args(arguments)
    score = train(**vars(options))
    print(
        f"{options.env_id} after {options.timesteps} steps: mean reward {score.mean_reward:.2f} "
        f"over {options.eval_episodes} greedy episodes, {100 * score.positive:.1f} % positive"
    )
    return score


if __name__ == "__main__":
    main()
