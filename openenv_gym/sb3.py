"""Remote environments as a ``VecEnv`` of Stable-Baselines3.

:class:`OpenEnvVecEnv` returns the same values as ``DummyVecEnv`` for the same environments, seeds
and actions. But one message for each shard steps all its sub-environments, and the shards work at
the same time.
"""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Sequence
from functools import partial
from typing import Any, cast

import gymnasium as gym
import numpy as np
from gymnasium import spaces
from gymnasium.vector import AutoresetMode
from msgspec.structs import replace
from numpy.typing import NDArray

from openenv_gym.conformance.difference import same
from openenv_gym.envs.registration import NAMESPACE
from openenv_gym.envs.remote_vector_env import RemoteVectorEnv
from openenv_gym.errors import InvalidRequestError, OpenEnvGymError, ResetNeededError, SpaceError
from openenv_gym.protocol import Use
from openenv_gym.spaces.legal_actions import mask_of
from openenv_gym.spaces.rewards import WAY_OUT

try:
    from stable_baselines3.common.vec_env import VecEnv
    from stable_baselines3.common.vec_env.base_vec_env import VecEnvIndices, VecEnvObs
except ImportError as exc:
    raise ImportError(
        f"Stable-Baselines3 could not be imported ({exc}); pip install 'openenv-gym[sb3]'"
    ) from exc

Infos = list[dict[str, Any]]
Records = list[tuple[int, dict[str, Any]]]

_SUPPORTED = (spaces.Box, spaces.Discrete, spaces.MultiDiscrete, spaces.MultiBinary)
_MASKS = "action_masks"
_OURS: dict[str, Any] = {"autoreset_mode": "SameStep", "vectorization": "sync"}


class OpenEnvVecEnv(VecEnv):
    """Sub-environments that run in other processes or on servers, for Stable-Baselines3.

    Args:
        envs: An id of the ``openenv/`` namespace, or a ``RemoteVectorEnv`` with
            ``autoreset_mode="SameStep"``, which nobody else may use from then on.
        num_envs: The number of sub-environments if ``envs`` is an id. None is 1.
        **arguments: Further arguments of ``gymnasium.make_vec``, such as ``base_url`` or
            ``shards``.

    Attributes:
        spec: The ``EnvSpec`` of the id.

    Raises:
        InvalidRequestError: an argument makes no sense.
        SpaceError: Stable-Baselines3 does not know the spaces, or takes no array rewards.
        UnreachableError: nobody answers at a shard.
        EnvStartError: a sub-environment could not be built.
    """

    def __init__(
        self, envs: str | RemoteVectorEnv, num_envs: int | None = None, **arguments: Any
    ) -> None:
        if isinstance(envs, str):
            self._envs = _make(envs, 1 if num_envs is None else num_envs, arguments)
        else:
            if num_envs is not None or arguments:
                raise InvalidRequestError("num_envs and further arguments go with an id only")
            self._envs = _checked(envs)
        try:
            observation, action = _checked_spaces(self._envs)
        except BaseException:
            if isinstance(envs, str):
                self._envs.close()
            raise
        # Batching infos and taking them apart again would cost time, and would lose empty ones.
        self._envs.batches_infos = False
        self.spec = self._envs.spec
        super().__init__(self._envs.num_envs, observation, action)
        self.metadata = dict(self._envs.metadata)
        self._latest: Infos | None = None  # the last info of each, in the current episode

    def reset(self) -> VecEnvObs:
        """Begin an episode everywhere. The seeds and options that were set are used once.

        Raises:
            TransportError: a connection broke.
            RemoteEnvError: a sub-environment raised.
        """
        if self._envs.is_under_way:  # a reset cancels the step, whatever its result
            with contextlib.suppress(OpenEnvGymError):
                self.step_wait()
        latest: Infos = [{} for _ in range(self.num_envs)]
        seeds = list(self._seeds)
        observations: Any = None
        for options, mask in self._groups():
            own = dict(options)
            if mask is not None:
                own["reset_mask"] = mask
            observations, records = self._envs.reset(seed=seeds, options=own or None)
            for number, info in cast(Records, records):
                latest[number] = info
        self._latest, self.reset_infos = latest, list(latest)
        self._reset_seeds()
        self._reset_options()
        first: VecEnvObs = observations
        return first

    def step_async(self, actions: Any) -> None:
        """Send the actions; :meth:`step_wait` returns the results.

        Raises:
            InvalidActionError: an action is not in its space; nothing was sent.
            ResetNeededError: it was called before the first reset; nothing was sent.
        """
        self._envs.step_async(actions)

    def step_wait(self) -> tuple[VecEnvObs, NDArray[Any], NDArray[Any], Infos]:
        """Return observations, rewards, whether episodes ended, and infos.

        If an episode ended, the observation is the first of the next one. The last one is
        ``terminal_observation`` in the info, and ``reset_infos`` has the info of the reset.

        Raises:
            TransportError: a connection broke.
            RemoteEnvError: a sub-environment raised.
        """
        observations, rewards, terminated, truncated, records = self._envs.step_wait()
        if rewards.ndim > 1:
            raise _array_rewards(self._envs, rewards.shape[1:])
        dones = terminated | truncated
        endings: dict[int, dict[str, Any]] = {}
        latest: Infos = [{} for _ in range(self.num_envs)]
        for number, info in cast(Records, records):
            # If its episode ended, a sub-environment has two infos: of the step, then of the reset.
            if dones[number] and number not in endings:
                endings[number] = info
            else:
                latest[number] = info
        infos: Infos = []
        for number, by_limit in enumerate((truncated & ~terminated).tolist()):
            ending = endings.get(number)
            said = latest[number] if ending is None else ending["final_info"]
            infos.append({**said, "TimeLimit.truncated": by_limit})
            if ending is not None:
                infos[number]["terminal_observation"] = ending["final_obs"]
                self.reset_infos[number] = latest[number]
        self._latest = latest
        return observations, rewards.astype(np.float32), dones, infos

    def close(self) -> None:
        """End the sessions. A second call does nothing."""
        self._envs.close()

    def get_images(self) -> Sequence[NDArray[Any] | None]:
        """Return a picture of each sub-environment, None without ``render_mode="rgb_array"``."""
        if self.render_mode != "rgb_array":
            warnings.warn(
                f"expected render_mode='rgb_array' to have pictures, got {self.render_mode!r}",
                stacklevel=2,
            )
            return [None] * self.num_envs
        return list(self._envs.render() or ())

    def get_attr(self, attr_name: str, indices: VecEnvIndices = None) -> list[Any]:
        """Return an attribute of sub-environments.

        Embedded sub-environments allow all attributes but those that begin with an underscore. A
        server allows those that it was started with (``--attributes``). A method that is returned
        runs in the sub-environment when it is called.

        Raises:
            AttributeError: there is none of this name, or the server does not allow it.
        """
        numbers = self._get_indices(indices)
        if attr_name == _MASKS and self._has_masks():  # sb3-contrib asks by its existence
            return [partial(self._mask, number) for number in numbers]
        known = self._envs.known_attributes
        if attr_name in known:
            return [known[attr_name] for _ in numbers]
        asked = Use(attr_name, "is_method", numbers=list(numbers))
        if any(self._envs.use(asked)):
            return [partial(self._call_one, attr_name, number) for number in numbers]
        return self._envs.use(replace(asked, how="get"))

    def set_attr(self, attr_name: str, value: Any, indices: VecEnvIndices = None) -> None:
        """Set an attribute of sub-environments to one value.

        Raises:
            AttributeError: it cannot be set from here.
        """
        numbers = list(self._get_indices(indices))
        self._envs.use(Use(attr_name, "set", [value] * len(numbers), numbers=numbers))

    def env_method(
        self, method_name: str, *args: Any, indices: VecEnvIndices = None, **kwargs: Any
    ) -> list[Any]:
        """Call a method of sub-environments.

        ``render`` is answered in this process, and so is ``action_masks`` if infos tell the legal
        actions.

        Raises:
            AttributeError: there is none of this name, or the server does not allow it.
            ResetNeededError: ``action_masks`` was called before the first reset.
            RemoteEnvError: the method raised, or returned a value that cannot travel.
        """
        numbers = self._get_indices(indices)
        if method_name == "render" and not (args or kwargs):
            frames = self._envs.render() or (None,) * self.num_envs
            return [frames[number] for number in numbers]
        if method_name == _MASKS and self._has_masks():
            return [self._mask(number) for number in numbers]
        return self._envs.use(Use(method_name, "call", list(args), kwargs, list(numbers)))

    def env_is_wrapped(
        self, wrapper_class: type[gym.Wrapper[Any, Any, Any, Any]], indices: VecEnvIndices = None
    ) -> list[bool]:
        """Return False for each: their wrappers are not objects of this process."""
        return [False for _ in self._get_indices(indices)]

    def _call_one(self, name: str, number: int, *args: Any, **kwargs: Any) -> Any:
        return self.env_method(name, *args, indices=number, **kwargs)[0]

    def _has_masks(self) -> bool:
        if self._latest is None:  # there is no info yet, but all of OpenSpiel's games have masks
            return self._envs.has_action_masks
        return all("action_mask" in info or "legal_actions" in info for info in self._latest)

    def _mask(self, number: int) -> NDArray[np.bool_]:
        """Return the legal actions as a boolean array of shape ``(actions,)``, for sb3-contrib."""
        if self._latest is None:
            raise ResetNeededError("action_masks before the first reset; call reset() first")
        info = self._latest[number]
        if "action_mask" in info:
            return np.asarray(info["action_mask"], np.bool_)
        space: Any = self.action_space  # a Discrete, if there are masks
        return mask_of(info["legal_actions"], int(space.n))

    def _groups(self) -> list[tuple[dict[str, Any], NDArray[np.bool_] | None]]:
        """Return the options that were set, each with a mask of sub-environments, None for all."""
        groups: list[tuple[dict[str, Any], NDArray[np.bool_] | None]] = []
        for number, options in enumerate(self._options):
            mask = next((mask for known, mask in groups if same(known, options)), None)
            if mask is None:
                mask = np.zeros(self.num_envs, np.bool_)
                groups.append((options, mask))
            mask[number] = True
        # The first reset must be of all: a mask leaves the others as they are.
        if len(groups) == 1 or self._latest is None:
            groups[0] = (groups[0][0], None)
        return groups

    def __reduce__(self) -> tuple[Any, ...]:
        """Return the recipes, which copies and pickles hold: a copy opens sessions of its own."""
        return type(self), (self._envs,), {"_seeds": self._seeds, "_options": self._options}

    def __str__(self) -> str:
        """Return ``<OpenEnvVecEnv CartPole-v1 x8>`` or the like."""
        return f"<{type(self).__name__} {self._envs.name} x{self._envs.num_envs}>"


def _make(env_id: str, num_envs: int, arguments: dict[str, Any]) -> RemoteVectorEnv:
    if not env_id.rpartition(":")[2].startswith(f"{NAMESPACE}/"):
        raise InvalidRequestError(
            f"expected an id of the {NAMESPACE}/ namespace, got {env_id!r}; "
            f"'{NAMESPACE}/{env_id}' may be one, and {NAMESPACE}/gymnasium-v0 takes any env_id"
        )
    for name, value in _OURS.items():
        if name in arguments:
            raise InvalidRequestError(f"{name}: it is always {value!r} here; leave it out")
    return cast(RemoteVectorEnv, gym.make_vec(env_id, num_envs=num_envs, **arguments, **_OURS))


def _checked(envs: Any) -> RemoteVectorEnv:
    if not isinstance(envs, RemoteVectorEnv):
        raise InvalidRequestError(
            f"expected an id or a RemoteVectorEnv, got {type(envs).__name__}; wrap what comes of "
            "it in wrappers of Stable-Baselines3"
        )
    mode = envs.metadata["autoreset_mode"]
    if mode is not AutoresetMode.SAME_STEP:
        raise InvalidRequestError(
            f"expected a RemoteVectorEnv with autoreset_mode='SameStep', got {mode.value!r}"
        )
    return envs


def _array_rewards(envs: RemoteVectorEnv, shape: tuple[int, ...]) -> SpaceError:
    return SpaceError(
        f"the rewards of {envs.name} are arrays of shape {shape}; Stable-Baselines3 takes numbers. "
        f"{WAY_OUT}, and serve or register what comes of it"
    )


def _has_one_axis(space: spaces.Space[Any]) -> bool:
    """Whether the arrays of a space have as many axes as Stable-Baselines3 can do with."""
    if isinstance(space, spaces.MultiDiscrete):
        return len(space.shape) == 1 and not np.any(space.start)
    return not isinstance(space, spaces.Box) or space.shape != ()


def _checked_spaces(envs: RemoteVectorEnv) -> tuple[spaces.Space[Any], spaces.Space[Any]]:
    reward: Any = getattr(envs, "reward_space", None)
    if reward is not None:
        raise _array_rewards(envs, reward.shape)
    observation, action = envs.single_observation_space, envs.single_action_space
    parts = observation.values() if isinstance(observation, spaces.Dict) else (observation,)
    for side, space in (*(("observation", part) for part in parts), ("action", action)):
        if not isinstance(space, _SUPPORTED) or not _has_one_axis(space):
            raise SpaceError(
                f"{envs.name} has the {side} {space}; Stable-Baselines3 takes Box, Discrete, "
                "MultiDiscrete and MultiBinary, and a Dict of these as observation. A Box has at "
                "least one axis, a MultiDiscrete one and counts from 0. For openenv/remote-v0, "
                "flatten=True makes such spaces of numbers; docs/sb3.md tells what helps else"
            )
    return observation, action
