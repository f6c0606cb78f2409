"""A Gymnasium environment that fails by plan."""

from __future__ import annotations

import os
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium import spaces

from openenv_gym.errors import InvalidRequestError
from openenv_gym.testing.faults import Fault
from openenv_gym.testing.ledger import Claim, FaultLedger, FiredFault
from openenv_gym.testing.plan import Plan
from openenv_gym.wire.fault_info import seed_after_fault

MAX_ENVS = 1024
"""How far above ``first_seed`` a seed still tells a sub-environment."""

_SEARCHED_ENVS, _SEARCHED_INCARNATIONS = 128, 64


class FaultEnv(gym.Env[Any, Any]):
    """Fails by plan, and is otherwise an environment that repeats itself to the bit.

    Its own world: an observation is four numbers in [0, 1), a function of the seed and of how many
    were drawn before, whatever the actions; the reward is 1 where the action is
    ``int(observation[0] >= 0.5)`` of the observation before, which is quickly learnt. An episode
    terminates after ``episode_steps`` steps and is never truncated, so that a truncation means a
    fault. The infos of resets tell ``env`` and ``incarnation``, those of steps are empty.

    Which sub-environment an instance is, it decides at its first reset: ``env`` where given; else
    what the seed says, compared with ``first_seed``; else the lowest that no living instance is, by
    the ledger; else 0. Its incarnation is how many instances were that sub-environment before, by
    the ledger; else what the seed says; else 0, and then a fault that ended an instance awaits the
    next one too.

    Args:
        plan: ``"env/incarnation/when"`` -> fault, see :mod:`openenv_gym.testing.plan` and
            :mod:`openenv_gym.testing.faults`: ``{"0/0/3": "abort",
            "1/*/reset": {"kind": "sleep", "seconds": 2}}``.
        env: Which sub-environment this is.
        first_seed: What sub-environment 0 is reset with first; the others have the next ones, as
            Gymnasium's vector environments do it, and later incarnations those that this package
            derives after a fault.
        ledger: A folder, one for each run, see :mod:`openenv_gym.testing.ledger`.
        episode_steps: How long an episode of its own world is.
        of: Gymnasium id of an environment that is to fail, instead of its own world.
        **kwargs: Keyword arguments of that one.

    Attributes:
        steps: How many steps this instance was asked for, failed ones included.

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
        """Begin an episode, where no fault is planned.

        Args:
            seed: Gymnasium's; without one, a first reset takes one that the sub-environment and
                its incarnation tell.
            options: For the environment that is to fail.

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
        """Take a step, where no fault is planned.

        Returns:
            What Gymnasium's ``step`` returns.
        """
        self.steps += 1
        fault = self._meet(str(self.steps))
        obs, reward, terminated, truncated, info = self._world.step(action)
        return self._reply(obs, fault), reward, terminated, truncated, info

    def close(self) -> None:
        """Make room for the next incarnation, and fail if that is planned."""
        claim, self._claim = self._claim, None
        if claim is not None:
            claim.release()
            self._meet("close", claim)
        self._world.close()

    def _peek(self) -> Claim:
        """Who this instance would be, were it reset now."""
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

    def _own_faults(self, claim: Claim) -> dict[str, Fault]:
        return self._plan.of(claim.env, claim.incarnation)

    @staticmethod
    def _seeds(claim: Claim) -> np.random.SeedSequence:
        return np.random.SeedSequence(0, spawn_key=(claim.env, claim.incarnation))

    def _meet(self, when: str, claim: Claim | None = None) -> Fault | None:
        """Have happen what is planned for now; return it if it has to do with the reply."""
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

    def _reply(self, obs: Any, fault: Fault | None) -> Any:
        if fault is None or fault.kind != "bad_observation":
            return obs
        if not isinstance(obs, np.ndarray):
            return "no observation"
        return _BAD[fault.arguments.get("how", "shape")](obs)


def _who_has(seed: int, first_seed: int) -> tuple[int | None, int]:
    """The sub-environment and the incarnation that are reset with ``seed``; None where none is."""
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
    """Draws its observations, and rewards who looks at them."""

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
