"""One batch over several shards: actions are cut, observations and infos put together.

The shards of a vector environment are vector environments themselves, so that each answers as
``SyncVectorEnv`` does; put together they must be what one ``SyncVectorEnv`` of all of them gives.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from functools import singledispatch
from typing import Any

import gymnasium.spaces as gs
import numpy as np

from openenv_gym.errors import InvalidRequestError


def seeds_of(seed: Any, num_envs: int) -> list[int | None]:
    """Return the seed of each sub-environment: a number counts up, a list has one for each.

    Raises:
        InvalidRequestError: the list has another length.
    """
    if seed is None:
        return [None] * num_envs
    if isinstance(seed, (int, np.integer)):
        return [int(seed) + i for i in range(num_envs)]
    if len(seed) != num_envs:
        raise InvalidRequestError(
            f"seed: expected a number, or one for each of {num_envs} sub-environments, "
            f"got {len(seed)}"
        )
    return [None if one is None else int(one) for one in seed]


def shard_seeds(
    seed: Any, every: Sequence[int | None], ranges: Sequence[tuple[int, int]]
) -> list[Any]:
    """Return the seed of each shard; a list only for a list, which not every vector form takes.

    Args:
        seed: Of a reset.
        every: What :func:`seeds_of` makes of it.
        ranges: The numbers of each shard's sub-environments.
    """
    if seed is None or isinstance(seed, (int, np.integer)):
        return [every[start] for start, _ in ranges]
    return [every[start:stop] for start, stop in ranges]


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


def merge_infos(infos: Sequence[dict[str, Any]], counts: Sequence[int]) -> dict[str, Any]:
    """Return the infos of all shards as one, as ``VectorEnv._add_info`` would have made it.

    Args:
        infos: Of each shard: arrays by key, each with a mask under ``_key``; an info within an
            info is the same again.
        counts: How many sub-environments each shard has.
    """
    if len(infos) == 1:
        return infos[0]
    total, merged = sum(counts), {}
    keys = dict.fromkeys(key for info in infos for key in info)
    for key in keys:
        parts = [info.get(key) for info in infos]
        if any(isinstance(part, dict) for part in parts):
            merged[key] = merge_infos([part or {} for part in parts], counts)
        else:
            merged[key] = _merge_arrays(parts, counts, total)
    return merged


def _merge_arrays(parts: Sequence[Any], counts: Sequence[int], total: int) -> Any:
    first = next(part for part in parts if part is not None)
    empty = None if first.dtype.kind == "O" else 0
    whole = np.full((total, *first.shape[1:]), empty, dtype=first.dtype)
    start = 0
    for part, count in zip(parts, counts, strict=True):
        if part is not None:
            whole[start : start + count] = part
        start += count
    return whole


def records_of(infos: Sequence[Any], counts: Sequence[int]) -> list[tuple[int, dict[str, Any]]]:
    """Return what each sub-environment said, by its number, in the order in which it was said.

    Args:
        infos: Of each shard, a list of pairs; {} for none.
        counts: How many sub-environments each shard has.

    Raises:
        InvalidRequestError: infos are batched already.
    """
    if any(isinstance(info, dict) and info for info in infos):
        raise InvalidRequestError(
            "the environment's own vector form has batched the infos; use vectorization='sync'"
        )
    starts = itertools.accumulate(counts, initial=0)
    of_shards = zip(starts, infos, strict=False)  # the last start is the end
    return [(start + number, info) for start, records in of_shards for number, info in records]
