"""A Gymnasium environment that fails by plan."""

from __future__ import annotations

import os
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium import spaces

from openenv_gym.errors import InvalidRequestError
from openenv_gym.recovery import seed_after_fault
from openenv_gym.testing.faults import PlannedFault
from openenv_gym.testing.ledger import Claim, FaultLedger, FiredFault
from openenv_gym.testing.plan import Plan

MAX_ENVS = 1024
"""Seeds from ``first_seed`` up to this much above it tell the number of a sub-environment."""

_SEARCHED_ENVS, _SEARCHED_INCARNATIONS = 128, 64


class FaultEnv(gym.Env[Any, Any]):
    """Fails by plan; otherwise the same seeds give the same episodes to the bit.

    Without ``of``, it is a small world of its own. An observation is four numbers in [0, 1). They
    depend on the seed and on how many were drawn before, and not on the actions. The reward is 1
    for the action ``int(observation[0] >= 0.5)`` of the last observation, else 0; this is quickly
    learnt. An episode terminates after ``episode_steps`` steps. It is never truncated, so that a
    truncation means a fault. The infos of resets hold ``env`` and ``incarnation``; those of steps
    are empty.

    At its first reset, an instance finds out which sub-environment it is. The first of these that
    is known decides: the argument ``env``; the distance of the seed from ``first_seed``; by the
    ledger, the lowest number that no living instance has; 0. Its incarnation is the number of
    earlier instances of the same sub-environment. The ledger knows it, else the seed tells it,
    else it is 0. In the last case, a fault that ended an instance happens to the next one too.

    Args:
        plan: Faults by ``"env/incarnation/when"``, such as ``{"0/0/3": "abort",
            "1/*/reset": {"kind": "sleep", "seconds": 2}}``. See :mod:`openenv_gym.testing.plan`
            and :mod:`openenv_gym.testing.faults`.
        env: The number of this sub-environment, from 0; None to find it out.
        first_seed: The seed of the first reset of sub-environment 0. The others have the seeds
            that follow it, as in Gymnasium's vector environments. Later incarnations have the
            seeds that this package derives after a fault.
        ledger: A folder of its own for each run, see :mod:`openenv_gym.testing.ledger`.
        episode_steps: The length of an episode of its own world, in steps.
        of: The Gymnasium id of an environment that fails in place of its own world.
        **kwargs: Keyword arguments of the environment ``of``.

    Attributes:
        steps: The number of steps that this instance was asked for, including failed ones.

    Raises:
        InvalidRequestError: an argument makes no sense.
    """

    metadata = {"render_modes": []}

    def __init__(
        self,
        plan: dict[str, Any] | None = None,
        *,
        env: int | None = None,
        first_seed: int | None = None,
        ledger: str | os.PathLike[str] | None = None,
        episode_steps: int = 20,
        of: str | None = None,
        **kwargs: Any,
    ) -> None:
        if kwargs and of is None:
            raise InvalidRequestError(
                "FaultEnv takes plan, env, first_seed, ledger, episode_steps and of; "
                f"{', '.join(map(repr, kwargs))} would be for an environment named with of="
            )
        if type(episode_steps) is not int or episode_steps < 1:
            raise InvalidRequestError(f"episode_steps: expected from 1, got {episode_steps!r}")
        self._plan = Plan(plan)
        self._env, self._first_seed = env, first_seed
        self._ledger = None if ledger is None else FaultLedger(ledger)
        self._claim: Claim | None = None
        self._faults = self._own_faults(self._peek())
        self._resets = self.steps = 0
        self._meet("init")
        self._world: gym.Env[Any, Any] = (
            _World(episode_steps) if of is None else gym.make(of, **kwargs)
        )
        self.action_space = self._world.action_space
        self.observation_space = self._world.observation_space

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Any, dict[str, Any]]:
        """Begin an episode, unless a fault is planned.

        Args:
            seed: The seed of the episode. With None, the first reset derives one from the
                sub-environment and its incarnation.
            options: The options of the environment ``of``.

        Returns:
            The observation, and an info with ``env`` and ``incarnation`` beside its own.
        """
        if self._claim is None:
            self._claim = self._become(seed)
            self._faults = self._own_faults(self._claim)
            if seed is None:
                seed = int(self._seeds(self._claim).generate_state(1)[0])
        super().reset(seed=seed)
        self._resets += 1
        fault = self._meet("reset" if self._resets == 1 else f"reset:{self._resets}")
        obs, info = self._world.reset(seed=seed, options=options)
        own = {"env": self._claim.env, "incarnation": self._claim.incarnation}
        return self._reply(obs, fault), {**info, **own}

    def step(self, action: Any) -> tuple[Any, Any, bool, bool, dict[str, Any]]:
        """Take a step, unless a fault is planned.

        Returns:
            The observation, the reward, ``terminated``, ``truncated`` and the info.
        """
        self.steps += 1
        fault = self._meet(str(self.steps))
        obs, reward, terminated, truncated, info = self._world.step(action)
        return self._reply(obs, fault), reward, terminated, truncated, info

    def close(self) -> None:
        """Give up the place to the next incarnation, and fail if that is planned."""
        claim, self._claim = self._claim, None
        if claim is not None:
            claim.release()
            self._meet("close", claim)
        self._world.close()

    def _peek(self) -> Claim:
        """Return who this instance would be if it were reset now."""
        if self._ledger is None:
            return Claim(env=self._env or 0, incarnation=0)
        return self._ledger.peek(self._env)

    def _become(self, seed: int | None) -> Claim:
        env, incarnation = self._env, 0
        if seed is not None and self._first_seed is not None:
            told, incarnation = _who_has(seed, self._first_seed)
            env = told if env is None else env
        if self._ledger is None:
            return Claim(env=env or 0, incarnation=incarnation)
        return self._ledger.claim(env)

    def _own_faults(self, claim: Claim) -> dict[str, PlannedFault]:
        return self._plan.of(claim.env, claim.incarnation)

    @staticmethod
    def _seeds(claim: Claim) -> np.random.SeedSequence:
        return np.random.SeedSequence(0, spawn_key=(claim.env, claim.incarnation))

    def _meet(self, when: str, claim: Claim | None = None) -> PlannedFault | None:
        """Let the fault planned for now happen. Return it if it changes the reply."""
        fault = self._faults.get(when)
        if fault is None and when.isdecimal():
            fault = self._faults.get("*")
        if fault is None:
            return None
        if self._ledger is not None:
            who = claim or self._claim or self._peek()
            fired = FiredFault(env=who.env, incarnation=who.incarnation, when=when, kind=fault.kind)
            self._ledger.write(fired)
        fault.happen()
        return fault

    def _reply(self, obs: Any, fault: PlannedFault | None) -> Any:
        if fault is None or fault.kind != "bad_observation":
            return obs
        if not isinstance(obs, np.ndarray):
            return "no observation"
        return _BAD[fault.arguments.get("how", "shape")](obs)


def _who_has(seed: int, first_seed: int) -> tuple[int | None, int]:
    """Return the sub-environment and the incarnation of ``seed``; None for an unknown seed."""
    if 0 <= seed - first_seed < MAX_ENVS:
        return seed - first_seed, 0
    for incarnation in range(1, _SEARCHED_INCARNATIONS + 1):
        for env in range(_SEARCHED_ENVS):
            if seed_after_fault(first_seed, env, incarnation) == seed:
                return env, incarnation
    return None, 0


_BAD: dict[str, Any] = {
    "shape": lambda obs: np.zeros((*obs.shape, 2), obs.dtype),
    "dtype": lambda obs: np.full(obs.shape, "x"),
    "nan": lambda obs: np.full(obs.shape, np.nan, np.result_type(obs.dtype, np.float32)),
    "range": lambda obs: np.full(obs.shape, np.finfo(np.float32).max),
}


class _World(gym.Env[Any, Any]):
    """Draws observations, and rewards an agent that looks at them."""

    def __init__(self, episode_steps: int) -> None:
        self.action_space = spaces.Discrete(2)
        self.observation_space = spaces.Box(0.0, 1.0, (4,), np.float32)
        self._episode_steps = episode_steps

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Any, dict[str, Any]]:
        super().reset(seed=seed)
        self._left = self._episode_steps
        return self._draw(), {}

    def step(self, action: Any) -> tuple[Any, Any, bool, bool, dict[str, Any]]:
        reward = float(int(action) == int(self._obs[0] >= 0.5))
        self._left -= 1
        return self._draw(), reward, self._left <= 0, False, {}

    def _draw(self) -> Any:
        self._obs = self.np_random.random(4, np.float32)
        return self._obs.copy()
