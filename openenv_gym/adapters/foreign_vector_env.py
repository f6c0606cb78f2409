"""A vector environment of gym, or with its interface → ``gymnasium.vector.VectorEnv``.

Those of gym 0.21 return four values and a list of infos, those of gym 0.26 five values and a dict.
The ``VecEnv`` of Stable-Baselines3 has the interface of the former.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium.vector import AutoresetMode
from gymnasium.vector.utils import batch_space, iterate

from openenv_gym.adapters.foreign_env import (
    TIME_LIMIT,
    check_options,
    is_with_info,
    reset_takes,
    wrong_count,
)
from openenv_gym.adapters.foreign_spaces import space_of
from openenv_gym.adapters.foreign_values import reader_of

_FINAL_OBS = ("terminal_observation", "final_observation")
"""Where others have the last observation of an episode, for which Gymnasium says ``final_obs``."""


class ForeignVectorEnv(gym.vector.VectorEnv[Any, Any, Any]):
    """A vector environment behind Gymnasium's interface.

    Its sub-environments are reset in the step in which an episode ends (``SAME_STEP``), as those of
    gym are. The last observation of an episode is in the infos where the environment tells it:
    that of gym 0.21 does not.

    Args:
        envs: An object with ``num_envs``, ``reset`` and ``step``. Its spaces are those of one
            sub-environment, ``single_action_space`` and ``single_observation_space``, or without
            these ``action_space`` and ``observation_space``.

    Attributes:
        foreign: The object.

    Raises:
        SpaceError: a space is of no kind that Gymnasium has.
    """

    def __init__(self, envs: Any) -> None:
        self.foreign = envs
        self._name = type(envs).__name__
        self.num_envs = int(envs.num_envs)
        self.single_action_space = self._space("action_space")
        self.single_observation_space = self._space("observation_space")
        self.action_space = batch_space(self.single_action_space, self.num_envs)
        self.observation_space = batch_space(self.single_observation_space, self.num_envs)
        known = getattr(envs, "metadata", None)
        mode = {"autoreset_mode": AutoresetMode.SAME_STEP}
        self.metadata = {**(known if isinstance(known, Mapping) else {}), **mode}
        self.render_mode = getattr(envs, "render_mode", None)
        self._read = reader_of(self.observation_space)
        self._reset_takes = reset_takes(envs)
        # That of gym 0.21 has a tuple of actions, one for each sub-environment.
        self._is_listed = hasattr(getattr(envs, "action_space", None), "spaces") and not isinstance(
            self.single_action_space, (gym.spaces.Dict, gym.spaces.Tuple)
        )

    def _space(self, name: str) -> gym.Space[Any]:
        own = getattr(self.foreign, f"single_{name}", None)
        found = getattr(self.foreign, name, None) if own is None else own
        return space_of(found, f"{self._name}.{name}")

    def reset(
        self,
        *,
        seed: int | list[int | None] | None = None,
        options: dict[str, Any] | None = None,
    ) -> tuple[Any, dict[str, Any]]:
        """Begin an episode in each sub-environment.

        Raises:
            InvalidRequestError: ``options`` has what the object's ``reset`` does not take.
        """
        arguments = check_options(options, self._reset_takes, self._name)
        if seed is not None and (self._reset_takes is None or "seed" in self._reset_takes):
            arguments["seed"] = seed
        elif seed is not None and callable(getattr(self.foreign, "seed", None)):
            self.foreign.seed(seed)
        result = self.foreign.reset(**arguments)
        if is_with_info(result, self.observation_space):
            return self._read(result[0]), self._infos(result[1])
        return self._read(result), {}

    def step(self, actions: Any) -> tuple[Any, Any, Any, Any, dict[str, Any]]:
        """Act in each sub-environment.

        Raises:
            ValueError: the object returns neither four nor five values.
        """
        given = list(iterate(self.action_space, actions)) if self._is_listed else actions
        result = self.foreign.step(given)
        count = len(result) if isinstance(result, (tuple, list)) else None
        if count not in (4, 5):
            raise wrong_count(self._name, result)
        obs, rewards, *flags, told = result
        first = np.asarray(flags[0], bool)
        if count == 5:
            second = np.asarray(flags[1], bool)
        else:
            second = first & self._by_time(told)
            first = first & ~second
        rewards = np.asarray(rewards, np.float64)
        return self._read(obs), rewards, first, second, self._infos(told)

    def render(self) -> Any:
        """Draw the sub-environments."""
        return self.foreign.render()

    def close_extras(self, **kwargs: Any) -> None:
        """Close the object."""
        self.foreign.close()

    def __getattr__(self, name: str) -> Any:
        """Return an attribute of the object, which alone knows its sub-environments."""
        hidden = name.startswith("_") or name in ("envs", "seed") or "foreign" not in vars(self)
        if hidden:
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")
        return getattr(self.foreign, name)

    def _by_time(self, told: Any) -> Any:
        """Which episodes a time limit has ended, as the infos of four values say it."""
        if isinstance(told, Mapping):
            return np.asarray(told.get(TIME_LIMIT, np.zeros(self.num_envs)), bool)
        return np.array([bool((info or {}).get(TIME_LIMIT, False)) for info in told], bool)

    def _infos(self, told: Any) -> dict[str, Any]:
        """Return infos as Gymnasium has them: an array for each key, with a mask."""
        if told is None:
            return {}
        infos: dict[str, Any] = {}
        if not isinstance(told, Mapping):
            for number, info in enumerate(told):
                infos = self._add_info(infos, _renamed(info or {}), number)
            return infos
        infos = _renamed(told)
        finals = infos.get("final_info")
        if isinstance(finals, np.ndarray):  # of objects
            folded: dict[str, Any] = {}
            for number, info in enumerate(finals):
                if info is not None:
                    folded = self._add_info(folded, info, number)
            infos["final_info"] = folded
        return infos


def _renamed(info: Mapping[str, Any]) -> dict[str, Any]:
    names = {f"{mask}{old}": f"{mask}final_obs" for old in _FINAL_OBS for mask in ("", "_")}
    return {names.get(key, key): value for key, value in info.items()}
