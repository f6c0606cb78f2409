"""Stepping those who are ready: requests are sent to some, and what comes first is taken."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from openenv_gym.envs.shards import seeds_of, shard_seeds
from openenv_gym.envs.turn import alone
from openenv_gym.envs.vector_attributes import VectorAttributes
from openenv_gym.errors import (
    OpenEnvGymError,
    ProtocolError,
    RequestTimeoutError,
    ResetNeededError,
)
from openenv_gym.protocol import BatchResult, Reset


class SendAndRecv(VectorAttributes):
    """A vector environment of shards, as far as these are stepped independently of each other."""

    _parts: list[Any]
    _ended: Any
    _failed: dict[int, OpenEnvGymError]
    _renewed: dict[int, BatchResult]

    @property
    def is_under_way(self) -> bool:
        """Whether there is something that ``step_wait`` or :meth:`recv` has to return."""
        return bool(self._sessions.under_way or self._failed or self._renewed)

    def _find_lost(self, shards: Iterable[int]) -> None:
        raise NotImplementedError

    def _begin(self, actions: Any, shards: Sequence[int]) -> None:
        raise NotImplementedError

    def _ask(self, requests: Mapping[int, Any], lost: Mapping[int, tuple[Any, ...]]) -> None:
        raise NotImplementedError

    def _collect(self, shards: Sequence[int]) -> dict[int, BatchResult]:
        raise NotImplementedError

    def _take(self, results: dict[int, BatchResult]) -> tuple[Any, Any, Any, Any, dict[str, Any]]:
        raise NotImplementedError

    @alone
    def async_reset(
        self, *, seed: int | list[int | None] | None = None, options: dict[str, Any] | None = None
    ) -> None:
        """Begin an episode everywhere; :meth:`recv` returns the first observations as they come.

        Args:
            seed: As of :meth:`reset`.
            options: Gymnasium's.
        """
        self._check_idle("async_reset")
        every = seeds_of(seed, self.num_envs)
        seeds = shard_seeds(seed, every, self._sessions.ranges)
        self._faults.take_seeds(seed, every, None)
        self._find_lost(range(len(seeds)))
        lost = {i: (every[slice(*self._sessions.ranges[i])], options) for i in self._faults.lost}
        requests = {i: Reset(own, options) for i, own in enumerate(seeds) if i not in lost}
        self._ask(requests, lost)
        self._ended[:] = False

    @alone
    def send(self, actions: Any, env_id: Any) -> None:
        """Act in some sub-environments; :meth:`recv` returns what comes of it.

        Args:
            actions: A batch of as many actions as there are in ``env_id``.
            env_id: The numbers of the sub-environments, as :meth:`recv` gave them: all those of
                each shard, in order.

        Raises:
            InvalidRequestError: they are not whole shards, or one is under way.
            ResetNeededError: one has had no reset.
        """
        shards = self._sessions.shards_with(env_id)
        if any(self._parts[i] is None for i in shards):
            raise ResetNeededError("send before the first reset; call async_reset() first")
        self._begin(actions, shards)

    @alone
    def recv(self, count: int = 1) -> tuple[Any, Any, Any, Any, dict[str, Any]]:
        """Return what has come, as soon as it is of at least ``count`` sub-environments.

        A shard answers as a whole: with ``shards=num_envs`` no slow sub-environment holds another.

        Args:
            count: How many sub-environments to wait for.

        Returns:
            As :meth:`step`, a batch of those that are ready; ``info["env_id"]`` says which. After
            a reset the rewards are 0.

        Raises:
            ProtocolError: nothing is under way.
            RemoteEnvError: a sub-environment raised.
        """
        if not self.is_under_way:
            raise ProtocolError("recv without send or async_reset before it")
        results = self._collect(self._ready(count))
        ranges = self._sessions.ranges
        env_id = np.concatenate([np.arange(*ranges[i]) for i in results])
        obs, rewards, terminations, truncations, info = self._take(results)
        info["env_id"] = env_id
        if rewards is None:
            rewards = np.zeros(len(env_id), np.float64)
            terminations, truncations = np.zeros((2, len(env_id)), np.bool_)
        return obs, rewards, terminations, truncations, info

    def _ready(self, count: int) -> list[int]:
        """Wait for shards, beside those of which there is something to tell already."""
        told = [*self._failed, *self._renewed]
        missing = count - sum(self._sessions.counts[i] for i in told)
        if told and (missing <= 0 or not self._sessions.under_way):
            return []
        waiting = list(self._sessions.under_way)
        try:
            return self._sessions.wait(missing)
        except RequestTimeoutError as exc:
            late = [i for i in waiting if i not in self._sessions.under_way]
            if not all(self._faults.is_soft(i, exc) for i in late):
                raise
            self._failed |= dict.fromkeys(late, exc)
            return [i for i in self._sessions.under_way if self._sessions.has_reply(i)]
