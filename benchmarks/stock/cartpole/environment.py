"""The environment: Gymnasium's CartPole behind OpenEnv's interface."""

from typing import Any
from uuid import uuid4

import gymnasium as gym
from openenv.core.env_server.interfaces import Environment
from openenv.core.env_server.types import State

from benchmarks.stock.cartpole.models import CartPoleAction, CartPoleObservation
from benchmarks.workload import ENV_ID


class CartPoleEnvironment(Environment):
    SUPPORTS_CONCURRENT_SESSIONS = True

    def __init__(self) -> None:
        super().__init__()
        self._env = gym.make(ENV_ID)
        self._state = State(episode_id=str(uuid4()), step_count=0)

    def reset(
        self, seed: int | None = None, episode_id: str | None = None, **kwargs: Any
    ) -> CartPoleObservation:
        self._state = State(episode_id=episode_id or str(uuid4()), step_count=0)
        obs, _ = self._env.reset(seed=seed)
        return CartPoleObservation(obs=obs.tolist(), done=False, reward=0.0)

    def step(
        self, action: CartPoleAction, timeout_s: float | None = None, **kwargs: Any
    ) -> CartPoleObservation:
        self._state.step_count += 1
        obs, reward, terminated, truncated, _ = self._env.step(action.action)
        done = bool(terminated or truncated)
        return CartPoleObservation(obs=obs.tolist(), done=done, reward=float(reward))

    @property
    def state(self) -> State:
        return self._state

    def close(self) -> None:
        self._env.close()
