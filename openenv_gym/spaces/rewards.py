"""Rewards and flags of a step: what of them travels, and the spaces of array rewards.

A reward is a number, which arrives as a Python float. An environment of several objectives, as
those of MO-Gymnasium, pays an array: it says so by the attribute ``reward_space``.
"""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np

from openenv_gym.errors import SpaceError
from openenv_gym.spaces.descriptor import Descriptor, to_descriptor

WAY_OUT = (
    "Make it a number where the environment is made: gymnasium.wrappers.TransformReward, or "
    "mo_gymnasium.wrappers.LinearReward for a weighted sum"
)
"""What makes a number of an array reward."""


def reward_space_of(env: Any) -> gym.Space[Any] | None:
    """Return the space of array rewards that an environment declares, None for numbers.

    Args:
        env: A ``gymnasium.Env`` or ``VectorEnv``. Of an environment in a wrapper that makes other
            rewards, nothing is known.
    """
    while not _has_own(env, "reward_space"):
        if not isinstance(env, gym.Wrapper) or _pays_otherwise(env):
            return None
        env = env.env
    return _of_arrays(env.reward_space)


def inner_reward_space(env: Any) -> gym.Space[Any] | None:
    """Return the space of array rewards that an environment declares, whatever wraps it.

    Args:
        env: A ``gymnasium.Env``. Its wrappers may still make numbers of these rewards.
    """
    return _of_arrays(getattr(env.unwrapped, "reward_space", None))


def _of_arrays(space: Any) -> gym.Space[Any] | None:
    return space if isinstance(space, gym.Space) and space.shape and space.dtype else None


def reward_descriptor(env: Any) -> Descriptor | None:
    """Return the descriptor of :func:`reward_space_of`, None for numbers."""
    space = reward_space_of(env)
    return None if space is None else to_descriptor(space)


def _has_own(env: Any, name: str) -> bool:
    """Whether an environment has an attribute, and not only what it wraps."""
    return name in vars(env) or hasattr(type(env), name)


def _pays_otherwise(wrapper: Any) -> bool:
    """Whether the rewards of a wrapper have another form than those of what it wraps."""
    kind = type(wrapper)
    is_several = kind.__module__.startswith("mo_gymnasium.")
    return kind.__name__ == "LinearReward" or (
        isinstance(wrapper, gym.RewardWrapper) and not is_several
    )


def carried_reward(reward: Any) -> Any:
    """Return a reward as it travels.

    >>> carried_reward(np.float32(0.5)), carried_reward(np.array(2))
    (0.5, 2.0)
    >>> carried_reward(np.array([1.5]))
    array([1.5])

    Args:
        reward: What an environment returned.

    Returns:
        A Python float for a number, and for an array without axes; an array of numbers, a list or
        a tuple as it is; None for None.

    Raises:
        SpaceError: It is anything else.
    """
    if reward is None or type(reward) is float:
        return reward
    is_list = isinstance(reward, (list, tuple))
    try:
        if not is_list and not getattr(reward, "shape", ()):
            return float(reward)
        array = np.asarray(reward)
    except (TypeError, ValueError, RuntimeError) as exc:
        raise wrong_reward(reward, "a number or an array of numbers") from exc
    if array.dtype.kind not in "biuf":
        raise wrong_reward(reward, "a number or an array of numbers")
    return reward if is_list else array


def wrong_reward(reward: Any, expected: str, who: str = "the environment") -> SpaceError:
    """Return the error for a reward that cannot be carried.

    Args:
        reward: What was paid.
        expected: What can be carried.
        who: Who has paid it.
    """
    shape = getattr(reward, "shape", ())
    form = f" of shape {tuple(shape)}" if shape else ""
    return SpaceError(
        f"the reward of {who}: expected {expected}, got {reward!r:.80} "
        f"({type(reward).__name__}{form}). {WAY_OUT}. The step has been taken"
    )


def wrong_flags(terminated: Any, truncated: Any, who: str = "the environment") -> SpaceError:
    """Return the error for flags of which nobody can say whether they are true."""
    return SpaceError(
        f"terminated and truncated of {who}: expected a boolean each, got {terminated!r:.60} and "
        f"{truncated!r:.60}. Return one, as bool(flags.any()). The step has been taken"
    )


def batched_numbers(rewards: Any, first_env: int = 0) -> Any:
    """Return the rewards of sub-environments as ``SyncVectorEnv`` keeps them.

    Args:
        rewards: What each has paid, in an array of objects of shape ``(n,)``.
        first_env: The number of the first sub-environment, for messages.

    Returns:
        An array of ``float64`` and of shape ``(n,)``.

    Raises:
        SpaceError: A reward is no number.
    """
    try:
        return rewards.astype(np.float64)
    except (TypeError, ValueError):
        return _one_by_one(rewards, first_env)


def batched_arrays(rewards: Any, space: gym.Space[Any], first_env: int = 0) -> Any:
    """Return the array rewards of sub-environments as one array.

    Args:
        rewards: What each has paid, in an array of objects of shape ``(n,)``; 0.0 for nothing.
        space: The space that the sub-environments declare for their rewards.
        first_env: The number of the first sub-environment, for messages.

    Returns:
        An array of the dtype of ``space``, and of shape ``(n, *space.shape)``.

    Raises:
        SpaceError: A reward has another shape.
    """
    shape = space.shape or ()
    whole = np.zeros((len(rewards), *shape), space.dtype)
    for number, reward in enumerate(rewards):
        if type(reward) is float and reward == 0.0:
            continue
        if np.shape(reward) != shape:
            who = f"sub-environment {first_env + number}"
            raise wrong_reward(reward, f"an array of shape {shape}, as reward_space says", who)
        whole[number] = reward
    return whole


def _one_by_one(rewards: Any, first_env: int) -> Any:
    whole = np.zeros(len(rewards), np.float64)
    for number, reward in enumerate(rewards):
        try:
            whole[number] = reward
        except (TypeError, ValueError) as exc:
            who = f"sub-environment {first_env + number}"
            expected = "a number, or an array of the reward_space that the environment declares"
            raise wrong_reward(reward, expected, who) from exc
    return whole
