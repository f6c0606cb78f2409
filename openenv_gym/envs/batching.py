"""One batch over several shards: actions are cut, observations put together.

Each shard answers as a ``SyncVectorEnv`` of its own would. Put together, the answers must be what
one ``SyncVectorEnv`` of all sub-environments gives. Everything here works on values alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import singledispatch
from typing import Any

import gymnasium.spaces as gs
import msgspec
import numpy as np

from openenv_gym.envs.info_batches import Records, batch_infos
from openenv_gym.errors import InvalidRequestError
from openenv_gym.protocol import BatchResult
from openenv_gym.protocol.events import check_seeds
from openenv_gym.wire.fault_info import FAULT_KEY


def seeds_of(seed: Any, num_envs: int) -> list[int | None]:
    """Return the seed of each sub-environment: a number counts up, a list has one for each.

    Raises:
        InvalidRequestError: the list has another length, or a seed is negative or too large.
    """
    if seed is None:
        return [None] * num_envs
    if isinstance(seed, (int, np.integer)):
        seeds: list[int | None] = [int(seed) + i for i in range(num_envs)]
        check_seeds(seeds)
        return seeds
    if len(seed) != num_envs:
        raise InvalidRequestError(
            f"seed: expected a number, or one for each of {num_envs} sub-environments, "
            f"got {len(seed)}"
        )
    check_seeds(list(seed))
    return [None if one is None else int(one) for one in seed]


def check_reset_mask(mask: Any, num_envs: int) -> None:
    """Refuse what does not say which sub-environments are reset, as Gymnasium does.

    Raises:
        InvalidRequestError: it is no ``bool`` array of shape ``(num_envs,)`` with a True.
    """
    is_valid = (
        isinstance(mask, np.ndarray)
        and mask.shape == (num_envs,)
        and mask.dtype == np.bool_
        and mask.any()
    )
    if not is_valid:
        raise InvalidRequestError(
            f"options['reset_mask']: expected a bool array of shape ({num_envs},) with at least "
            f"one True, got {mask!r:.80}"
        )


@singledispatch
def concatenate(single: gs.Space[Any], parts: Sequence[Any]) -> Any:
    """Return batched values of ``single`` after each other, as one batched value.

    A batch of what is no array is a tuple of values.
    """
    return tuple(item for part in parts for item in part)


@concatenate.register(gs.Box)
@concatenate.register(gs.Discrete)
@concatenate.register(gs.MultiDiscrete)
@concatenate.register(gs.MultiBinary)
def _(single: gs.Space[Any], parts: Sequence[Any]) -> Any:
    return np.concatenate(parts)


@concatenate.register
def _(single: gs.Dict, parts: Sequence[Any]) -> Any:
    return {
        key: concatenate(child, [part[key] for part in parts])
        for key, child in single.spaces.items()
    }


@concatenate.register(gs.Tuple)
def _(single: gs.Tuple[Any], parts: Sequence[Any]) -> Any:
    return tuple(
        concatenate(child, [part[i] for part in parts]) for i, child in enumerate(single.spaces)
    )


@singledispatch
def is_copied(single: gs.Space[Any]) -> bool:
    """Whether :func:`concatenate` copies all values of ``single``; else it hands some over."""
    return False


@is_copied.register(gs.Box)
@is_copied.register(gs.Discrete)
@is_copied.register(gs.MultiDiscrete)
@is_copied.register(gs.MultiBinary)
def _(single: gs.Space[Any]) -> bool:
    return True


@is_copied.register(gs.Dict)
@is_copied.register(gs.Tuple)
def _(single: gs.Dict | gs.Tuple[Any]) -> bool:
    children = single.spaces.values() if isinstance(single, gs.Dict) else single.spaces
    return all(map(is_copied, children))


@singledispatch
def cut(single: gs.Space[Any], batched: Any, start: int, stop: int) -> Any:
    """Return the batched value of ``single`` for the sub-environments ``start`` to ``stop``."""
    return batched[start:stop]


@cut.register
def _(single: gs.Dict, batched: Any, start: int, stop: int) -> Any:
    return {key: cut(child, batched[key], start, stop) for key, child in single.spaces.items()}


@cut.register(gs.Tuple)
def _(single: gs.Tuple[Any], batched: Any, start: int, stop: int) -> Any:
    children = enumerate(single.spaces)
    return tuple(cut(child, batched[i], start, stop) for i, child in children)


def joined(
    single: gs.Space[Any], results: Sequence[BatchResult], counts: Sequence[int]
) -> tuple[Any, Any, Any, Any]:
    """Return the observations, rewards and both flags of some shards after each other.

    Args:
        single: The observation space of a sub-environment.
        results: What each shard answered. The values of a single one are returned as they are.
        counts: How many sub-environments each shard has.

    Returns:
        A batched observation, rewards of shape ``(n,)`` or ``(n, ...)``, and terminations and
        truncations of shape ``(n,)``, where ``n`` counts the sub-environments of all these shards.
        Where all answers are resets, there are no rewards and no flags.
    """
    if len(results) == 1:
        one = results[0]
        return one.obs, one.rewards, one.terminations, one.truncations
    obs = concatenate(single, [result.obs for result in results])
    steps = [result for result in results if result.rewards is not None]
    if not steps:
        return obs, None, None, None
    if len(steps) < len(results):
        like = steps[0].rewards
        pairs = zip(results, counts, strict=True)
        results = [as_step(result, unpaid(count, like)) for result, count in pairs]
    return (
        obs,
        np.concatenate([result.rewards for result in results]),
        np.concatenate([result.terminations for result in results]),
        np.concatenate([result.truncations for result in results]),
    )


def with_restarts(result: BatchResult, said: Records) -> BatchResult:
    """Return a reset with what is said of the restarts before it.

    Args:
        result: The reset.
        said: What ``info["openenv"]`` says, for each sub-environment.
    """
    info: Any = result.info
    if isinstance(info, dict) and info:  # batched by a vector form of the environment's own
        own = [(number, {FAULT_KEY: one}) for number, one in said]
        info = {**info, **batch_infos(own, len(said))}
    else:
        known = dict(info or [])
        info = [(number, {**known.get(number, {}), FAULT_KEY: one}) for number, one in said]
    return msgspec.structs.replace(result, info=info)


def unpaid(count: int, like: Any) -> Any:
    """Return rewards of nothing, for ``count`` sub-environments, in the form of other rewards.

    Args:
        count: How many sub-environments there are.
        like: Batched rewards, of any number of sub-environments.
    """
    return np.zeros((count, *like.shape[1:]), like.dtype)


def as_step(result: BatchResult, rewards: Any) -> BatchResult:
    """Return a reset as the step that it is for the others: nothing is paid, and nothing ends.

    Args:
        result: The reset. What is a step already is returned as it is.
        rewards: Rewards of nothing, one for each sub-environment.
    """
    if result.rewards is not None:
        return result
    terminations, truncations = np.zeros((2, len(rewards)), np.bool_)
    return msgspec.structs.replace(
        result, rewards=rewards, terminations=terminations, truncations=truncations
    )


def same_step(ending: BatchResult, fresh: BatchResult, rows: Sequence[Any]) -> BatchResult:
    """Return the step of ``SAME_STEP`` in which all sub-environments of a shard end and begin.

    Args:
        ending: The step that ended the episodes; its infos are :data:`Records`.
        fresh: The reset of the next ones.
        rows: What each sub-environment observed last.
    """
    assert isinstance(ending.info, list)
    said = dict(ending.info)
    ends: Records = [
        (number, {"final_obs": row, "final_info": said.get(number, {})})
        for number, row in enumerate(rows)
    ]
    info: Any
    if isinstance(fresh.info, list):
        begun = dict(fresh.info)
        info = [record for i, end in ends for record in ((i, end), (i, begun.get(i, {})))]
    else:  # batched by a vector form of the environment's own
        info = {**fresh.info, **batch_infos(ends, len(ends))}
    return msgspec.structs.replace(ending, obs=fresh.obs, info=info)
