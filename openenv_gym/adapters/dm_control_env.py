"""Tasks of the DeepMind Control Suite as ``gymnasium.Env``.

This module is the adapter of the scheme ``dm_control:``, which this package declares in its
metadata as any other package may.
"""

from __future__ import annotations

import ctypes.util
import difflib
import os
import sys
from collections.abc import Callable, Mapping
from functools import partial
from importlib import metadata
from typing import Any

import gymnasium as gym
import numpy as np

from openenv_gym.adapters.foreign_env import ForeignEnv
from openenv_gym.errors import (
    EnvStartError,
    InvalidRequestError,
    UnknownEnvironmentError,
    UnsupportedRenderModeError,
)
from openenv_gym.wire.raised import raised_as

OBSERVATIONS = ("dict", "flat", "pixels", "all")
_PIXELS = "pixels"
_MODES = ("rgb_array",)
_CAMERA = {"camera_id": 0}
"""Unless another one is asked for: dm_control's own default is a camera that sees little."""
_MOST_SEED = 2**32  # the seeds of NumPy's RandomState, which dm_control draws from, are below
_INSTALL = "pip install 'openenv-gym[dm-control]'"
_GL = "MUJOCO_GL"


def make(
    name: str,
    *,
    observation: str = "dict",
    task_kwargs: Mapping[str, Any] | None = None,
    environment_kwargs: Mapping[str, Any] | None = None,
    visualize_reward: bool = False,
    render_kwargs: Mapping[str, Any] | None = None,
    render_mode: str | None = None,
) -> gym.Env[Any, Any]:
    """Make a task of the suite.

    Args:
        name: The domain and the task: ``cartpole-swingup``.
        observation: ``"dict"``, the dict of arrays that dm_control has, ``float64``; ``"flat"``,
            the same as one array; ``"pixels"``, a picture, ``uint8`` of shape ``(height, width,
            3)``; or ``"all"``, the dict with the picture as ``pixels``.
        task_kwargs: The arguments of the task for ``suite.load``, such as ``{"time_limit": 10}``.
            ``random`` is the seed until a reset has one.
        environment_kwargs: The arguments of the environment for ``suite.load``.
        visualize_reward: Whether pictures show the reward by colours.
        render_kwargs: Arguments of ``physics.render``, for pictures of either kind: ``height``,
            240 unless given; ``width``, 320; ``camera_id``, 0.
        render_mode: ``"rgb_array"`` or None.

    Raises:
        UnknownEnvironmentError: there is no such domain or task.
        EnvStartError: dm_control is not installed, or cannot draw the picture of an observation.
        InvalidRequestError: there is no such form of observations.
        UnsupportedRenderModeError: there is no such render mode.
    """
    if observation not in OBSERVATIONS:
        raise InvalidRequestError(
            f"observation: expected one of {', '.join(OBSERVATIONS)}, got {observation!r}"
        )
    if render_mode not in (None, *_MODES):
        raise UnsupportedRenderModeError(
            f"render_mode: expected one of {list(_MODES)} for dm_control:{name}, got "
            f"{render_mode!r}"
        )
    domain, task = _known(name)
    arguments: dict[str, Any] = {"visualize_reward": visualize_reward}
    if environment_kwargs is not None:
        arguments["environment_kwargs"] = dict(environment_kwargs)
    drawn = {**_CAMERA, **(render_kwargs or {})}
    load = partial(_load, domain, task, dict(task_kwargs or {}), arguments, observation, drawn)
    env = DmControlEnv(load, render_kwargs=drawn, render_mode=render_mode)
    if observation == "flat":
        return gym.wrappers.FlattenObservation(env)
    return OnlyPixels(env) if observation == _PIXELS else env


def names() -> list[str]:
    """Return the names of all tasks.

    Raises:
        EnvStartError: dm_control is not installed.
    """
    return [f"{domain}-{task}" for domain, task in _suite().ALL_TASKS]


class DmControlEnv(ForeignEnv):
    """A task of the suite.

    The last step of an episode is truncated where its discount is not 0, as at the time limit, and
    terminated where it is 0. A reset with a seed loads the task anew, as ``suite.load`` with
    ``task_kwargs={"random": seed}`` does, so that what follows depends on the seed alone. One
    without goes on with the task's own generator.

    Args:
        load: Loads the task with a seed, or with None.
        render_kwargs: Arguments of ``physics.render``.
        render_mode: ``"rgb_array"`` or None.
    """

    def __init__(
        self,
        load: Callable[[int | None], Any],
        *,
        render_kwargs: Mapping[str, Any],
        render_mode: str | None = None,
    ) -> None:
        self._load, self._render_kwargs = load, dict(render_kwargs)
        super().__init__(load(None), render_mode=render_mode)
        fps = round(1 / self.foreign.control_timestep())
        self.metadata = {"render_modes": list(_MODES), "render_fps": fps}

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Any, dict[str, Any]]:
        """Begin an episode.

        Args:
            seed: The seed, as the class describes.
            options: None, or an empty dict: there are no options.

        Returns:
            The observation, and an empty info.

        Raises:
            InvalidRequestError: there is an option.
        """
        if seed is not None and not options:
            loaded = self._load(seed)
            self.foreign.physics.free()
            self.foreign = loaded
        return super().reset(seed=seed, options=options)

    def render(self) -> Any:
        """Draw what the camera sees.

        Returns:
            A picture, ``uint8`` of shape ``(height, width, 3)``; None, with a warning, without a
            render mode.

        Raises:
            UnsupportedRenderModeError: there is no OpenGL that can draw without a screen.
        """
        if self.render_mode is None:
            gym.logger.warn(
                'render() draws nothing without a render mode: make it with render_mode="rgb_array"'
            )
            return None
        try:
            return self.foreign.physics.render(**self._render_kwargs)
        except Exception as exc:
            raise UnsupportedRenderModeError(_why_no_picture(exc)) from exc

    def close(self) -> None:
        """Free the model, and what draws it."""
        self.foreign.physics.free()


class OnlyPixels(gym.ObservationWrapper[Any, Any, Any]):
    """Observes the picture alone, out of a dict that has it."""

    def __init__(self, env: gym.Env[Any, Any]) -> None:
        super().__init__(env)
        space: Any = env.observation_space
        self.observation_space = space[_PIXELS]

    def observation(self, observation: Mapping[str, Any]) -> Any:
        """Return the picture."""
        return observation[_PIXELS]


def _load(
    domain: str,
    task: str,
    task_kwargs: Mapping[str, Any],
    arguments: Mapping[str, Any],
    observation: str,
    drawn: Mapping[str, Any],
    seed: int | None,
) -> Any:
    random = {} if seed is None else {"random": _generator(seed)}
    try:
        env = _suite().load(domain, task, task_kwargs={**task_kwargs, **random}, **arguments)
    except AttributeError as exc:
        versions = " and ".join(
            f"{one} {metadata.version(one)}" for one in ("dm_control", "mujoco")
        )
        raise raised_as(EnvStartError, AttributeError)(
            f"dm_control:{domain}-{task}: {versions} do not fit together ({exc}); {_INSTALL}"
        ) from exc
    if observation not in (_PIXELS, "all"):
        return env
    from dm_control.suite.wrappers import pixels

    try:
        return pixels.Wrapper(env, pixels_only=observation == _PIXELS, render_kwargs=dict(drawn))
    except Exception as exc:
        env.physics.free()
        raise raised_as(EnvStartError, type(exc))(_why_no_picture(exc)) from exc


def _generator(seed: int) -> Any:
    """Return a seed as dm_control takes it: those of Gymnasium may be greater."""
    if seed < _MOST_SEED:
        return seed
    return np.random.RandomState(np.random.MT19937(np.random.SeedSequence(seed)))


def _known(name: str) -> tuple[str, str]:
    known = names()
    domain, _, task = name.partition("-")
    if name in known:
        return domain, task
    close = difflib.get_close_matches(name, known, 1)
    of_domain = ", ".join(one for one in known if one.startswith(f"{domain}-"))
    if of_domain:
        said = f"the domain has {of_domain}"
    else:
        said = (
            f"there are the domains {', '.join(sorted({one.partition('-')[0] for one in known}))}"
        )
    meant = f"; did you mean {close[0]}?" if close else ""
    raise UnknownEnvironmentError(
        f"dm_control:{name}: expected a domain and a task, as cartpole-swingup; {said}{meant}"
    )


def _suite() -> Any:
    _choose_backend()
    try:
        from dm_control import suite
    except ImportError as exc:
        raise raised_as(EnvStartError, type(exc))(
            f"dm_control could not be imported ({exc}); {_INSTALL}"
        ) from exc
    except Exception as exc:  # what MUJOCO_GL names is loaded here
        raise raised_as(EnvStartError, type(exc))(
            f"dm_control could not be imported, it raised {type(exc).__name__}: {exc}. "
            f"{_GL}={os.environ.get(_GL)} is set; is that library installed?"
        ) from exc
    return suite


def _choose_backend() -> None:
    """Have dm_control draw without a screen where there is none: its first choice needs one."""
    has_screen = "DISPLAY" in os.environ or "WAYLAND_DISPLAY" in os.environ
    if _GL in os.environ or has_screen or sys.platform != "linux" or "dm_control" in sys.modules:
        return
    if ctypes.util.find_library("EGL"):
        os.environ[_GL] = "egl"


def _why_no_picture(exc: Exception) -> str:
    return (
        f"dm_control cannot draw here, it raised {type(exc).__name__}: {exc}. {_GL} is "
        f"{os.environ.get(_GL, 'not set')}; set it to egl or osmesa, whichever is installed, where "
        "the environment runs"
    )
