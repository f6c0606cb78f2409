"""Gymnasium's CartPole over stock OpenEnv: models, environment and client."""

from typing import Any

import gymnasium as gym
from openenv.core.env_server.types import Action, Observation
from pydantic import Field

from benchmarks.stock.peer import StockClient, StockEnvironment
from benchmarks.workload import ENV_ID


class CartPoleAction(Action):
    action: int = Field(..., description="0 pushes to the left, 1 to the right")


class CartPoleObservation(Observation):
    obs: list[float] = Field(default_factory=list)


class CartPoleEnvironment(StockEnvironment):
    def __init__(self) -> None:
        super().__init__()
        self._env = gym.make(ENV_ID)

    def reset(
        self, seed: int | None = None, episode_id: str | None = None, **kwargs: Any
    ) -> CartPoleObservation:
        self.begin(episode_id)
        obs, _ = self._env.reset(seed=seed)
        return CartPoleObservation(obs=obs.tolist(), done=False, reward=0.0)

    def step(
        self, action: CartPoleAction, timeout_s: float | None = None, **kwargs: Any
    ) -> CartPoleObservation:
        self._state.step_count += 1
        obs, reward, terminated, truncated, _ = self._env.step(action.action)
        done = bool(terminated or truncated)
        return CartPoleObservation(obs=obs.tolist(), done=done, reward=float(reward))

    def close(self) -> None:
        self._env.close()


class CartPoleClient(StockClient):
    ACTION, OBSERVATION = CartPoleAction, CartPoleObservation


ENVIRONMENT, CLIENT = CartPoleEnvironment, CartPoleClient


def inputs(workload: Any) -> list[Any]:
    return workload.actions()


def act(result: Any, action: int) -> CartPoleAction:
    return CartPoleAction(action=action)


def values(observation: CartPoleObservation) -> list[float]:
    return observation.obs
