"""A sub-environment of a batch whose exceptions are faults of its own, and not of the batch."""

from __future__ import annotations

import logging
import traceback
from collections.abc import Callable
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium.vector.utils import concatenate, create_empty_array

from openenv_gym.errors import EnvCrashLoopError, OpenEnvGymError, RemoteEnvError
from openenv_gym.wire.error_codes import printable
from openenv_gym.wire.fault_info import FAULT_KEY, fault_info, restart_info, seed_after_fault

_log = logging.getLogger(__name__)


class GuardedEnv(gym.Wrapper[Any, Any, Any, Any]):
    """Ends the episode where the environment raises, and resets another one in its place.

    An observation that does not fit into the batch counts as raised: of a ``Box`` in any step, of
    other spaces in the last one of an episode, which may never be put into a batch. Until there was
    one step, what is raised is passed on.

    Args:
        env: The sub-environment.
        make: Makes another one.
        env_index: Its number in the whole vector environment.
        incarnation: How often it was made anew already.
        restarts: How often it may be made anew in one reset.

    Attributes:
        base_seed: What the seeds after faults are derived from.
        last_obs: Returns a copy of what was observed last.
    """

    def __init__(
        self,
        env: gym.Env[Any, Any],
        make: Callable[[], gym.Env[Any, Any]],
        env_index: int,
        incarnation: int,
        restarts: int,
    ) -> None:
        super().__init__(env)
        self.base_seed: int | None = None
        self.last_obs: Callable[[], Any] = lambda: None
        space = env.observation_space
        self._shape = space.shape if isinstance(space, gym.spaces.Box) else None
        self._make = make
        self._env_index = env_index
        self._incarnation = incarnation
        self._restarts = restarts
        self._is_proven = incarnation > 0
        self._is_faulted = False

    def step(self, action: Any) -> tuple[Any, Any, bool, bool, dict[str, Any]]:
        """Step; where the environment raises, return the fault."""
        try:
            result = self.env.step(action)
            obs, _, terminated, truncated, _ = result
            # In each step of each sub-environment, so the usual case is told at once.
            is_fit = type(obs) is np.ndarray and obs.shape == self._shape
            if not is_fit or obs.dtype.kind not in "biuf":
                self._check_fits(obs, terminated or truncated)
        except Exception as exc:  # an environment raises whatever it likes: its fault
            if not self._is_proven or _is_refusal(exc):
                raise
            self._is_faulted = True
            is_oom = isinstance(exc, MemoryError)
            said = fault_info(
                "oom" if is_oom else "env_raised",
                self._incarnation,
                action_applied=None if is_oom else True,
                remote_traceback=_traceback(exc),
            )
            return self.last_obs(), 0.0, False, True, {FAULT_KEY: said}
        self._is_proven = True
        return result

    def _check_fits(self, obs: Any, is_last: bool) -> None:
        """Raise what would be raised where ``obs`` is put into a batch."""
        if self._shape is not None or is_last:
            batch: Any = create_empty_array(self.observation_space, 1)
            concatenate(self.observation_space, (obs,), batch)

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Any, dict[str, Any]]:
        """Reset; another environment where this one has faulted.

        Raises:
            EnvCrashLoopError: it could not be reset in as many restarts as there may be.
        """
        if not self._is_faulted:
            try:
                return self.env.reset(seed=seed, options=options)
            except Exception as exc:  # as in a step; it is logged, and another one takes over
                if not self._is_proven or _is_refusal(exc):
                    raise
                _log.warning("a sub-environment failed in reset; making it anew: %s", exc)
        return self._begin_anew(seed, options)

    def _begin_anew(
        self, seed: int | None, options: dict[str, Any] | None
    ) -> tuple[Any, dict[str, Any]]:
        last: Exception | None = None
        if self._incarnation and seed == self._derived():
            seed = None  # nobody asked for it: it was derived for the one that has failed
        for _ in range(self._restarts):
            self._incarnation += 1
            own = self._derived() if seed is None else seed
            try:
                self._replace()
                obs, info = self.env.reset(seed=own, options=options)
            except Exception as exc:  # as before; the last one is raised in the end
                if _is_refusal(exc):
                    raise
                last = exc
                continue
            self._is_faulted = False
            return obs, {**info, FAULT_KEY: restart_info(self._incarnation, own)}
        raise EnvCrashLoopError(
            f"sub-environment {self._env_index} failed in reset in each of {self._restarts} "
            f"restarts, at last with {type(last).__name__}: {last}"
        ) from last

    def _derived(self) -> int | None:
        return seed_after_fault(self.base_seed, self._env_index, self._incarnation)

    def _replace(self) -> None:
        try:
            self.env.close()
        except Exception as exc:  # it is given up in any case
            _log.warning("a sub-environment that has faulted failed in close: %s", exc)
        self.env = self._make()


def _is_refusal(exc: Exception) -> bool:
    """Whether ``exc`` says that the caller made a mistake."""
    return isinstance(exc, OpenEnvGymError) and not isinstance(exc, RemoteEnvError)


def _traceback(exc: Exception) -> str:
    return printable("".join(traceback.format_exception(exc)))
