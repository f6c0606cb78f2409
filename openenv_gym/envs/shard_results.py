"""What shards answer: put together, and resets as the steps that they are for others."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import gymnasium.spaces as gs
import msgspec
import numpy as np
from gymnasium.vector import VectorEnv

from openenv_gym.envs.shards import concatenate, merge_infos, records_of
from openenv_gym.protocol import BatchResult
from openenv_gym.wire.fault_info import FAULT_KEY

Records = list[tuple[int, dict[str, Any]]]


def joined(
    single: gs.Space[Any], results: Sequence[BatchResult], counts: Sequence[int]
) -> tuple[Any, Any, Any, Any]:
    """Return observations, rewards and both flags of some shards after each other.

    Args:
        single: The observation space of a sub-environment.
        results: What each answered; that of one is returned as it is.
        counts: How many sub-environments each has.

    Returns:
        Arrays over all of them; no rewards and flags where all are resets.
    """
    if len(results) == 1:
        one = results[0]
        return one.obs, one.rewards, one.terminations, one.truncations
    obs = concatenate(single, [result.obs for result in results])
    if all(result.rewards is None for result in results):
        return obs, None, None, None
    steps = [as_step(result, count) for result, count in zip(results, counts, strict=True)]
    rewards, terminations, truncations = (
        np.concatenate([getattr(step, name) for step in steps])
        for name in ("rewards", "terminations", "truncations")
    )
    return obs, rewards, terminations, truncations


def joined_infos(infos: Sequence[Any], counts: Sequence[int]) -> dict[str, Any]:
    """Return the infos of some shards as Gymnasium batches those of all.

    Args:
        infos: Of each, batched already or as pairs of a number and an info.
        counts: How many sub-environments each has.
    """
    if not any(isinstance(info, dict) and info for info in infos):
        return batch_infos(records_of(infos, counts), sum(counts))
    batched = [
        info if isinstance(info, dict) else batch_infos(info, count)
        for info, count in zip(infos, counts, strict=True)
    ]
    return merge_infos(batched, counts)


def with_restarts(result: BatchResult, said: Records, rewards_dtype: Any) -> BatchResult:
    """Return a reset as the step that it is for the others, with what is said of restarts.

    Args:
        result: The reset.
        said: Of each sub-environment.
        rewards_dtype: Of its rewards.
    """
    count = len(said)
    info: Any = result.info
    if isinstance(info, dict) and info:  # batched by a vector form of the environment's own
        info = {**info, **batch_infos([(i, {FAULT_KEY: one}) for i, one in said], count)}
    else:
        own = dict(info or [])
        info = [(i, {**own.get(i, {}), FAULT_KEY: one}) for i, one in said]
    return as_step(msgspec.structs.replace(result, info=info), count, rewards_dtype)


def as_step(result: BatchResult, count: int, rewards_dtype: Any = np.float64) -> BatchResult:
    """Return a reset as the step that it is for the others: nothing is paid, and nothing ends."""
    if result.rewards is not None:
        return result
    return msgspec.structs.replace(
        result,
        rewards=np.zeros(count, rewards_dtype),
        terminations=np.zeros(count, np.bool_),
        truncations=np.zeros(count, np.bool_),
    )


def same_step(fault: BatchResult, fresh: BatchResult, rows: Sequence[Any]) -> BatchResult:
    """Return the step that ends in ``fault`` and begins anew with ``fresh``.

    Args:
        fault: The end.
        fresh: The reset.
        rows: What each observed last.
    """
    assert isinstance(fault.info, list)
    ends: Records = [
        (i, {"final_obs": row, "final_info": said})
        for (i, said), row in zip(fault.info, rows, strict=True)
    ]
    info: Any
    if isinstance(fresh.info, list):
        begun = dict(fresh.info)
        info = [record for i, end in ends for record in ((i, end), (i, begun[i]))]
    else:  # batched by a vector form of the environment's own
        info = {**fresh.info, **batch_infos(ends, len(ends))}
    return msgspec.structs.replace(fresh, truncations=fault.truncations, info=info)


def batch_infos(records: Records, count: int) -> dict[str, Any]:
    """Return infos as Gymnasium batches them; what they say of faults in arrays of objects.

    Args:
        records: Sub-environments by number, and what each says.
        count: How many sub-environments there are.
    """
    batch: VectorEnv[Any, Any, Any] = VectorEnv()  # which knows how to batch infos
    batch.num_envs = count
    merged: dict[str, Any] = {}
    for number, info in records:
        rest = info
        if FAULT_KEY in info:
            rest = {key: value for key, value in info.items() if key != FAULT_KEY}
            _add_objects(merged, number, info[FAULT_KEY], count)
        final = rest.get("final_info")
        if final and FAULT_KEY in final:
            plain = {key: value for key, value in final.items() if key != FAULT_KEY}
            merged = batch._add_info(merged, {**rest, "final_info": plain}, number)
            _add_objects(merged["final_info"], number, final[FAULT_KEY], count)
            continue
        merged = batch._add_info(merged, rest, number)
    return merged


def _add_objects(merged: dict[str, Any], number: int, said: dict[str, Any], count: int) -> None:
    """Add to batched infos what may be None in one place and a number in another."""
    known = merged.setdefault(FAULT_KEY, {})
    merged.setdefault(f"_{FAULT_KEY}", np.zeros(count, np.bool_))[number] = True
    for key, value in said.items():
        known.setdefault(key, np.full(count, None, object))[number] = value
        known.setdefault(f"_{key}", np.zeros(count, np.bool_))[number] = True
