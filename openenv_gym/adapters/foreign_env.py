"""Any object with ``reset`` and ``step`` → ``gymnasium.Env``, whichever interface it has.

What the object does tells how it is used, and no package of its own is imported here:

=============  ==========================================  =====================================
interface      ``reset`` returns                           ``step`` returns
=============  ==========================================  =====================================
gym to 0.25    the observation                             observation, reward, done, info
gym 0.26       the observation and an info                 the five values of Gymnasium
dm_env         a ``TimeStep``                              a ``TimeStep``
=============  ==========================================  =====================================

A plain object may do any of these.
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Mapping
from typing import Any, SupportsFloat

import gymnasium as gym
import numpy as np

from openenv_gym.adapters.foreign_spaces import is_space, space_of, space_of_spec
from openenv_gym.adapters.foreign_values import number_of, reader_of, writer_of_spec
from openenv_gym.errors import EnvStartError, InvalidRequestError
from openenv_gym.interpreter.describing import layers, only_warns, parameters, set_attribute

_log = logging.getLogger(__name__)

TIME_LIMIT = "TimeLimit.truncated"
"""Where the info of gym tells that a time limit has ended the episode."""

_LAST = 2
"""The ``step_type`` of the last ``TimeStep`` of an episode; dm_env has an ``IntEnum`` of them."""

Step = tuple[Any, SupportsFloat, bool, bool, dict[str, Any]]


def has_spaces(env: Any, given: Collection[str] = ()) -> bool:
    """Return whether both spaces of an object are known.

    Args:
        env: The object, which has spaces, or the specs of dm_env.
        given: The names of those that are known without it: ``action_space`` for one.
    """
    return all(
        f"{side}_space" in given
        or is_space(getattr(env, f"{side}_space", None))
        or callable(getattr(env, f"{side}_spec", None))
        for side in ("action", "observation")
    )


def is_vector(env: Any) -> bool:
    """Return whether an object is a vector environment, of Gymnasium or any other package."""
    return hasattr(env, "num_envs") and (
        hasattr(env, "single_action_space") or callable(getattr(env, "step_async", None))
    )


class ForeignEnv(gym.Env[Any, Any]):
    """An object with ``reset`` and ``step`` behind Gymnasium's interface.

    - A step of four values has ended the episode with ``truncated`` where the info says
      ``TimeLimit.truncated``, else with ``terminated``. A ``TimeStep`` that is the last one has
      ``terminated`` if its discount is 0, else ``truncated``; its discount is in the info.
    - A seed goes to ``reset`` where that has a parameter for it, else to the method ``seed``.
    - ``options`` go to ``reset``: as ``options`` where that has a parameter of this name, else each
      by its own name.
    - ``render`` gets the mode where it has a parameter ``mode``.
    - Observations get the form that their space asks for, see
      :mod:`openenv_gym.adapters.foreign_values`; where floats are rounded for that, one warning
      says so. An array of one as a reward is a number; an info that is None is empty.
    - What this class does not have is looked up in the object.

    Args:
        env: The object. ``inspect.signature`` of its ``reset`` and its ``render`` tells what these
            take; a wrapper of gym, whose ``reset`` takes anything, takes what its ``env`` does.
        action_space: The space of its actions; unless given, made of the object's own space or
            spec.
        observation_space: The space of its observations, likewise.
        render_mode: The mode in which ``render`` draws; unless given, the object's own.

    Attributes:
        foreign: The object.
        takes_seed: Whether a seed has any effect that is known of: ``reset`` or ``seed`` takes it.

    Raises:
        EnvStartError: a space is neither given nor found.
        SpaceError: a space or a spec is of no kind that Gymnasium has.
    """

    def __init__(
        self,
        env: Any,
        action_space: gym.Space[Any] | None = None,
        observation_space: gym.Space[Any] | None = None,
        render_mode: str | None = None,
    ) -> None:
        self.foreign = env
        self._name = type(getattr(env, "unwrapped", env)).__name__
        self.action_space = self._space("action", action_space)
        self.observation_space = self._space("observation", observation_space)
        self._read = reader_of(self.observation_space)
        has_space = action_space is not None or is_space(getattr(env, "action_space", None))
        spec = None if has_space else _spec(env, "action")
        self._write = None if spec is None else writer_of_spec(spec)
        self.metadata = _metadata(env)
        self.render_mode = render_mode or getattr(env, "render_mode", None)
        self._reset_takes = reset_takes(env)
        seed = getattr(env, "seed", None)
        seeds = callable(seed) and not only_warns(getattr(seed, "__self__", None))
        self._seed = seed if seeds else None
        self.takes_seed = self._takes("seed") or self._seed is not None
        self._has_warned = False

    def _space(self, side: str, given: gym.Space[Any] | None) -> gym.Space[Any]:
        if given is not None:
            return space_of(given, f"{side}_space")
        own = getattr(self.foreign, f"{side}_space", None)
        if is_space(own):
            return space_of(own, f"{self._name}.{side}_space")
        spec = _spec(self.foreign, side)
        if spec is not None:
            return space_of_spec(spec, f"{self._name}.{side}_spec()")
        raise EnvStartError(
            f"expected a space as the {side}_space of {self._name}, or a spec as its "
            f"{side}_spec(), got {own!r:.80}; set it in the constructor, or give {side}_space="
        )

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Any, dict[str, Any]]:
        """Begin an episode.

        Returns:
            The observation, and the info, which is empty where the object returns none.

        Raises:
            InvalidRequestError: ``options`` has what the object's ``reset`` does not take.
            ValueError: the object returns no observation.
        """
        super().reset(seed=seed)
        arguments = check_options(options, self._reset_takes, self._name)
        if seed is not None and self._takes("seed"):
            arguments["seed"] = seed
        elif seed is not None and self._seed is not None:
            self._seed(seed)
        result = self.foreign.reset(**arguments)
        if hasattr(result, "step_type"):
            return self._observed(result.observation), {}
        if not is_with_info(result, self.observation_space):
            return self._observed(result), {}
        return self._observed(result[0]), self._info(result[1])

    def step(self, action: Any) -> Step:
        """Act.

        Raises:
            ValueError: the object returns neither four or five values nor a ``TimeStep``.
        """
        result = self.foreign.step(action if self._write is None else self._write(action))
        if hasattr(result, "step_type"):
            return self._of_time_step(result)
        count = len(result) if isinstance(result, (tuple, list)) else None
        if count == 5:
            obs, reward, terminated, truncated, info = result
            return (
                self._observed(obs),
                number_of(reward),
                _flag(terminated),
                _flag(truncated),
                self._info(info),
            )
        if count != 4:
            raise wrong_count(self._name, result)
        obs, reward, done, info = result
        is_over, info = _flag(done), self._info(info)
        truncated = is_over and bool(info.get(TIME_LIMIT, False))
        return self._observed(obs), number_of(reward), is_over and not truncated, truncated, info

    def render(self) -> Any:
        """Draw, in the mode of :attr:`render_mode`."""
        if self._takes_mode():
            return self.foreign.render(mode=self.render_mode)
        return self.foreign.render()

    def can_render(self, mode: str) -> bool:
        """Return whether ``render`` can draw in a mode: it takes one, or was made with this one."""
        own = getattr(self.foreign, "render_mode", None)
        return mode in self.metadata["render_modes"] and (own == mode or self._takes_mode())

    def _takes_mode(self) -> bool:
        takes = parameters(self.foreign, "render")
        if takes is None:  # gym 0.25 hides what it takes
            return getattr(self.foreign, "render_mode", None) is None
        return "mode" in takes

    def close(self) -> None:
        """Close the object, if it can be closed."""
        close = getattr(self.foreign, "close", None)
        if close is not None:
            close()

    def get_wrapper_attr(self, name: str) -> Any:
        """Return an attribute, a private one of the object too, which is asked for on purpose.

        Raises:
            AttributeError: there is none.
        """
        if not name.startswith("_") or hasattr(self, name):
            return super().get_wrapper_attr(name)
        found = next((one for one in layers(self.foreign) if hasattr(one, name)), self.foreign)
        return getattr(found, name)

    def set_wrapper_attr(self, name: str, value: Any, *, force: bool = True) -> bool:
        """Set an attribute where it is: in this object, or in one that it wraps.

        Args:
            name: The name of the attribute.
            value: The value.
            force: Whether to set an attribute that there is not yet, in the innermost object.

        Returns:
            Whether it was set.
        """
        return set_attribute(self.foreign, name, value, force)

    def __getattr__(self, name: str) -> Any:
        """Return an attribute of the object; not its ``seed``, for which ``reset`` is the way."""
        if name.startswith("_") or name == "seed" or "foreign" not in vars(self):
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")
        return getattr(self.foreign, name)

    def __str__(self) -> str:
        return f"<{type(self).__name__}<{self._name}>>"

    def _takes(self, name: str) -> bool:
        return self._reset_takes is None or name in self._reset_takes

    def _of_time_step(self, result: Any) -> Step:
        is_over = int(result.step_type) == _LAST
        discount = result.discount
        terminated = is_over and discount is not None and not np.any(discount)
        info = {"discount": discount}
        obs = self._observed(result.observation)
        return obs, number_of(result.reward), terminated, is_over and not terminated, info

    def _observed(self, obs: Any) -> Any:
        if obs is None:
            raise ValueError(f"{self._name}: expected an observation, got None")
        read = self._read(obs)
        if read is not obs and not self._has_warned and _is_rounded(obs, read):
            self._has_warned = True
            _log.warning(
                "observations of %s have another dtype than the observation space says; they are "
                "rounded to that of the space, %s",
                self._name,
                self.observation_space,
            )
        return read

    def _info(self, info: Any) -> dict[str, Any]:
        if info is None:
            return {}
        if not isinstance(info, Mapping):
            raise ValueError(f"{self._name}: expected a dict as the info, got {info!r:.80}")
        return info if isinstance(info, dict) else dict(info)


def reset_takes(env: Any) -> frozenset[str] | None:
    """Return the names that ``reset`` of an object takes by keyword, None where it takes any."""
    names = parameters(env, "reset")
    return None if names is None else frozenset(names)


def check_options(
    options: dict[str, Any] | None, known: frozenset[str] | None, name: str
) -> dict[str, Any]:
    """Return ``options`` as keyword arguments of a ``reset`` that takes ``known``.

    Raises:
        InvalidRequestError: it does not take one of them.
    """
    if not options:
        return {}
    if known is None or "options" in known:
        return {"options": options}
    unknown = [one for one in options if one not in known]
    if unknown:
        raise InvalidRequestError(
            f"options: reset of {name} takes {', '.join(sorted(known)) or 'no arguments'}, got "
            f"{', '.join(unknown)}"
        )
    return dict(options)


def is_with_info(result: Any, space: gym.Space[Any]) -> bool:
    """Return whether a reset has returned a pair of observation and info.

    An observation may look like such a pair, where its space is a ``Tuple`` of two whose second is
    a ``Dict``. Then the keys tell.

    Args:
        result: What was returned.
        space: The space of the observations.
    """
    if not _is_pair(result):
        return False
    parts = space.spaces if isinstance(space, gym.spaces.Tuple) else ()
    if len(parts) != 2 or not isinstance(parts[1], gym.spaces.Dict):
        return True
    keys = set(parts[1].spaces)
    first = tuple(result[0]) if isinstance(result[0], list) else result[0]
    return set(result[1]) != keys or (_is_pair(first) and set(first[1]) == keys)


def wrong_count(name: str, result: Any) -> ValueError:
    """Return the error for a step that has returned neither four nor five values."""
    is_row = isinstance(result, (tuple, list))
    return ValueError(
        f"step of {name}: expected observation, reward, done and info, or observation, reward, "
        "terminated, truncated and info, or a TimeStep, got "
        + (f"{len(result)} values" if is_row else f"{result!r:.80}")
    )


def _flag(value: Any) -> bool:
    if isinstance(value, bool):
        return value
    try:
        return bool(value)
    except (TypeError, ValueError) as exc:
        raise ValueError(f"done: expected a boolean, got {value!r:.60}; return one") from exc


def _is_pair(value: Any) -> bool:
    return isinstance(value, tuple) and len(value) == 2 and isinstance(value[1], Mapping)


def _is_rounded(before: Any, after: Any) -> bool:
    """Whether numbers may have lost digits; Python's own floats, without a dtype, do not count."""
    if isinstance(after, dict):
        return any(_is_rounded(before[key], after[key]) for key in after)
    if isinstance(after, tuple):
        return any(_is_rounded(*pair) for pair in zip(before, after, strict=True))
    given = getattr(before, "dtype", None)
    return given is not None and not np.can_cast(given, np.asarray(after).dtype)


def _spec(env: Any, side: str) -> Any:
    ask = getattr(env, f"{side}_spec", None)
    return ask() if callable(ask) else None


def _metadata(env: Any) -> dict[str, Any]:
    """The metadata, with the render modes and their rate where Gymnasium looks for them."""
    known = getattr(env, "metadata", None)
    metadata = dict(known) if isinstance(known, Mapping) else {}
    fps = metadata.get("render_fps", metadata.get("video.frames_per_second"))
    known_fps = {} if fps is None else {"render_fps": fps}
    return {**metadata, "render_modes": render_modes(metadata), **known_fps}


def render_modes(metadata: Mapping[str, Any]) -> list[str]:
    """Return the render modes in the metadata of an environment, of Gymnasium or gym."""
    return list(metadata.get("render_modes") or metadata.get("render.modes") or ())
