"""Plays an environment in process and remotely, and compares the results to the bit."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable
from typing import Any

import gymnasium as gym
import numpy as np

from openenv_gym.codecs.freeform import pack_freeform
from openenv_gym.conformance.difference import first_difference, place_of
from openenv_gym.errors import InvalidRequestError, OpenEnvGymError
from openenv_gym.spaces.rewards import carried_reward

_PLAIN = (type(None), bool, int, float, str, bytes)
_RESULT = ("obs", "reward", "terminated", "truncated", "info")


class ParityError(OpenEnvGymError, AssertionError):
    """Two environments differ. The message says where, what was expected and what came."""


class NotDeterministicError(OpenEnvGymError, AssertionError):
    """Two instances of an environment differ in one process, so it cannot be judged."""


def play_parity(
    local: gym.Env[Any, Any],
    remote: gym.Env[Any, Any],
    seeds: Iterable[int],
    steps: int,
    left_out: set[str] | None = None,
) -> int:
    """Play the same seeds and actions on both, and compare every result to the bit.

    The actions come from the seeded action space of ``local``. The first reset of each seed is
    seeded. Resets after the end of an episode are not, so that the generators are compared too. As
    documented, a reward is expected as a float, the flags as bools, and an info without values
    that cannot travel.

    Args:
        local: The environment in process, whose results are expected.
        remote: The environment that is compared with it.
        seeds: The seeds. Each begins with a reset of both environments.
        steps: The number of steps for each seed.
        left_out: A set to which the places in infos of ``local`` are added whose values cannot
            travel, such as ``$.info["model"]``.

    Returns:
        The number of steps that were compared.

    Raises:
        ParityError: they differ.
    """
    lost = set() if left_out is None else left_out
    compared = 0
    for seed in seeds:
        local.action_space.seed(seed)
        _compare_resets(local, remote, f"seed {seed}, first reset", lost, seed=seed)
        for step in range(steps):
            action = local.action_space.sample()
            # Copy it, because environments may change an action in place.
            expected = _documented(local.step(copy.deepcopy(action)), lost)
            _compare(expected, remote.step(action), f"seed {seed}, step {step}")
            compared += 1
            if expected[2] or expected[3]:
                _compare_resets(local, remote, f"seed {seed}, reset after step {step}", lost)
    return compared


def check_deterministic(
    make: Callable[[], gym.Env[Any, Any]], seeds: Iterable[int], steps: int
) -> None:
    """Play two instances of an environment side by side, as :func:`play_parity` does.

    Raises:
        NotDeterministicError: they differ, so that no remote one can equal it.
    """
    first, second = make(), make()
    try:
        play_parity(_Documented(first), _Documented(second), seeds, steps)
    except ParityError as exc:
        raise NotDeterministicError(
            f"two instances in one process differ, so no remote one can equal it: {exc}"
        ) from exc
    finally:
        first.close()
        second.close()


class _Documented(gym.Wrapper[Any, Any, Any, Any]):
    """An environment in process that returns the documented types, as a remote one does."""

    def reset(self, **keywords: Any) -> tuple[Any, dict[str, Any]]:
        """Reset; leave out of the info what cannot travel."""
        obs, info = self.env.reset(**keywords)
        return _copied(obs), _without_lost(info, "$.info", set())

    def step(self, action: Any) -> tuple[Any, Any, bool, bool, dict[str, Any]]:
        """Step, and return the documented types."""
        return _documented(self.env.step(action), set())


def _documented(result: tuple[Any, ...], lost: set[str]) -> tuple[Any, Any, bool, bool, Any]:
    """Return the expected result of a step, copied from the buffers of the environment."""
    obs, reward, terminated, truncated, info = result
    flags = bool(terminated), bool(truncated)
    return (
        _copied(obs),
        _copied(carried_reward(reward)),
        *flags,
        _without_lost(info, "$.info", lost),
    )


def _compare_resets(
    local: gym.Env[Any, Any],
    remote: gym.Env[Any, Any],
    where: str,
    lost: set[str],
    seed: int | None = None,
) -> None:
    obs, info = local.reset(seed=seed)
    expected = _copied(obs), _without_lost(info, "$.info", lost)
    actual = remote.reset(seed=seed)
    _compare(expected, actual, where, ("obs", "info"))


def _compare(
    expected: tuple[Any, ...], actual: Any, where: str, names: tuple[str, ...] = _RESULT
) -> None:
    for name, left, right in zip(names, expected, actual, strict=True):
        difference = first_difference(left, right, f"$.{name}")
        if difference is not None:
            raise ParityError(f"{where}: {difference}")


def _copied(value: Any) -> Any:
    """Return a copy of the containers and arrays, since environments may write to them again."""
    if isinstance(value, np.ndarray):
        return value.copy()
    if type(value) is dict:
        return {key: _copied(item) for key, item in value.items()}
    if type(value) in (list, tuple):
        return type(value)(map(_copied, value))
    return value


def _without_lost(value: Any, path: str, lost: set[str]) -> Any:
    """Return a copy without the items that cannot travel; add their places to ``lost``."""
    if type(value) is dict:
        return {
            key: _without_lost(item, place_of(path, key), lost)
            for key, item in value.items()
            if _travels(item, place_of(path, key), lost)
        }
    if type(value) in (list, tuple):
        items = [
            _without_lost(item, f"{path}[{i}]", lost)
            for i, item in enumerate(value)
            if _travels(item, f"{path}[{i}]", lost)
        ]
        return type(value)(items)
    return _copied(value)


def _travels(value: Any, path: str, lost: set[str]) -> bool:
    """Return whether a value that is no container can travel."""
    if type(value) in _PLAIN or type(value) in (dict, list, tuple):
        return True
    try:
        pack_freeform(value, is_exact=True)
    except InvalidRequestError:
        lost.add(path)
        return False
    return True
