"""Checks of batches of actions, before a vector environment sends them.

A sub-environment whose episode has ended is reset in the next step (``NEXT_STEP``), and its action
is ignored, whatever it is. But it is part of the batch that is checked and sent.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from functools import singledispatch
from typing import Any

import gymnasium.spaces as gs
import numpy as np
from gymnasium.vector import AutoresetMode
from numpy.typing import NDArray

from openenv_gym.envs.shard import Shard
from openenv_gym.errors import InvalidActionError
from openenv_gym.spaces.batch import batch_space
from openenv_gym.spaces.check import UNREADABLE, action_check


class ActionChecks:
    """The checks of the actions of all sub-environments, or of those of some shards.

    Args:
        single: The action space of one sub-environment.
        batched: The action space of all.
        shards: All shards.
    """

    def __init__(self, single: Any, batched: Any, shards: Sequence[Shard]) -> None:
        self._single = single
        self._keeps_bounds = any(shard.info.keeps_bounds for shard in shards)
        # Which tells of a vector form of the environment's own more than its single space does.
        self._batched = {sum(shard.count for shard in shards): batched}
        self._checks: dict[int, Callable[[Any], Any]] = {}

    def of(self, count: int) -> Callable[[Any], Any]:
        """Return the check of a batch of ``count`` actions; it returns what is to be sent."""
        if count not in self._checks:
            space = self._batched.get(count)
            if space is None:
                space = batch_space(self._single, count)
            self._checks[count] = action_check(space, keeps_bounds=self._keeps_bounds)
        return self._checks[count]

    def of_live(self, actions: Any, shards: Sequence[Shard], refusal: InvalidActionError) -> Any:
        """Return what is to be sent for actions that were refused.

        Args:
            actions: A batch of actions for all sub-environments of ``shards``.
            shards: Those that are asked.
            refusal: Why the actions were refused.

        Raises:
            InvalidActionError: One that is not ignored is wrong.
        """
        ended = np.concatenate([shard.ended for shard in shards])
        if shards[0].mode is not AutoresetMode.NEXT_STEP or not ended.any():
            raise refusal
        try:
            actions = with_stand_ins(self._single, actions, ended)
        except UNREADABLE:  # it is no batch of this form
            raise refusal from None
        return self.of(len(ended))(actions)


@singledispatch
def with_stand_ins(single: gs.Space[Any], actions: Any, ended: NDArray[np.bool_]) -> Any:
    """Return actions in which those of sub-environments that have ended are replaced.

    Their actions are ignored, so they may be anything. The action of one that has not ended stands
    in; where all have ended, any of the space does.

    Args:
        single: The action space of one sub-environment.
        actions: A batch of actions. It is not changed.
        ended: Which have ended, ``bool`` of shape ``(num_envs,)``.

    Raises:
        ValueError: What is given is no batch of this length; or another one of ``UNREADABLE``.
    """
    if ended.all():
        any_one = copy.deepcopy(single)  # whose generator nobody else uses
        any_one.seed(0)
        action = any_one.sample()
        is_array = isinstance(single, (gs.Box, gs.Discrete, gs.MultiDiscrete, gs.MultiBinary))
        return np.array([action] * len(ended)) if is_array else (action,) * len(ended)
    stand_in = int(np.argmin(ended))
    if not isinstance(actions, (list, tuple)):
        whole = np.array(actions)
        whole[ended] = whole[stand_in]
        return whole
    pairs = zip(actions, ended, strict=True)
    return [actions[stand_in] if has_ended else action for action, has_ended in pairs]


@with_stand_ins.register
def _(single: gs.Dict, actions: Any, ended: NDArray[np.bool_]) -> Any:
    return {
        key: with_stand_ins(child, None if ended.all() else actions[key], ended)
        for key, child in single.spaces.items()
    }


@with_stand_ins.register(gs.Tuple)
def _(single: gs.Tuple[Any], actions: Any, ended: NDArray[np.bool_]) -> Any:
    children = enumerate(single.spaces)
    return tuple(
        with_stand_ins(child, None if ended.all() else actions[i], ended) for i, child in children
    )
