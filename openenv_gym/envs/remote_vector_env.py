"""Remote environments as one ``gymnasium.vector.VectorEnv``."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Sequence
from typing import Any

import gymnasium as gym
import msgspec
import numpy as np
from gymnasium.vector import AutoresetMode, VectorEnv

from openenv_gym.client import Connection
from openenv_gym.envs.endpoints import EmbeddedEndpoint, ServerEndpoint
from openenv_gym.envs.shards import concatenate, cut, merge_infos
from openenv_gym.errors import (
    InvalidRequestError,
    OpenEnvGymError,
    ProtocolError,
    ResetNeededError,
)
from openenv_gym.protocol import BatchResult, Rendered, Reset, Step
from openenv_gym.protocol.events import Render
from openenv_gym.spaces.check import action_check
from openenv_gym.wire.description import Description

Shard = EmbeddedEndpoint | ServerEndpoint


def shard_sizes(num_envs: int, shards: int) -> list[int]:
    """Return how many sub-environments each of ``shards`` gets, the first ones one more.

    >>> shard_sizes(7, 3)
    [3, 2, 2]
    """
    shards = min(shards, num_envs)
    return [num_envs // shards + (i < num_envs % shards) for i in range(shards)]


def default_shards(num_envs: int) -> int:
    """Return over how many workers ``num_envs`` are spread: one for each core."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return min(cores or 1, num_envs)


class RemoteVectorEnv(VectorEnv[Any, Any, Any]):
    """Sub-environments that run in other processes, stepped in one message for each shard.

    A shard is a session with many sub-environments, in a worker or on a server. A step sends to
    all shards before it receives from any. What comes back is what ``SyncVectorEnv`` gives for
    the same sub-environments, in each of the three autoreset modes.

    Args:
        endpoints: Where each shard is; what they ask for must agree but for ``num_envs``.

    Raises:
        UnreachableError: nobody answers at a shard.
        EnvStartError: a sub-environment could not be built.
        InvalidRequestError: there is no shard, or they are not of one environment.
    """

    def __init__(self, endpoints: Sequence[Shard]) -> None:
        if not endpoints:
            raise InvalidRequestError("expected at least one shard, got none")
        self._endpoints = list(endpoints)
        self._connections: list[Connection] = []
        self._is_waiting = False
        self.spec = None
        try:
            descriptions = [self._connect(endpoint) for endpoint in self._endpoints]
        except BaseException:
            self._abandon()
            raise
        self._counts = [description.num_envs or 0 for description in descriptions]
        self._ends = np.cumsum(self._counts).tolist()
        self._take_face(descriptions)
        self._parts: list[Any] = [None] * len(self._connections)

    def _connect(self, endpoint: Shard) -> Description:
        connection, description = endpoint.start()
        self._connections.append(connection)
        return description

    def _take_face(self, descriptions: Sequence[Description]) -> None:
        first = descriptions[0]
        for other in descriptions[1:]:
            if (other.action, other.observation) != (first.action, first.observation):
                raise InvalidRequestError(
                    f"expected shards of one environment, got {first.environment} and "
                    f"{other.environment} with other spaces"
                )
        single_action, single_observation = first.action_space(), first.observation_space()
        assert single_action is not None and single_observation is not None
        whole = msgspec.structs.replace(first, num_envs=self._ends[-1])
        if len(descriptions) > 1:
            whole = msgspec.structs.replace(whole, batched_action=None, batched_observation=None)
        self.name = first.environment
        self.num_envs = self._ends[-1]
        self.single_action_space, self.single_observation_space = single_action, single_observation
        self.action_space = whole.batched_action_space()  # type: ignore[assignment]
        self.observation_space = whole.batched_observation_space()  # type: ignore[assignment]
        self._check_action = action_check(self.action_space)
        self.render_mode = first.render_mode
        self.metadata = {
            **first.metadata,
            "render_modes": first.render_modes,
            "autoreset_mode": AutoresetMode(first.autoreset_mode),
        }

    def reset(
        self,
        *,
        seed: int | list[int | None] | None = None,
        options: dict[str, Any] | None = None,
    ) -> tuple[Any, dict[str, Any]]:
        """Begin an episode in all sub-environments, or in those of a mask.

        Args:
            seed: A number for the first one, which counts up, or a list with one for each.
            options: Gymnasium's; ``reset_mask``, a ``bool`` array of shape ``(num_envs,)`` with at
                least one True, says which are reset.

        Raises:
            InvalidRequestError: the seeds or the mask have another form.
            TransportError: a connection broke.
            RemoteEnvError: a sub-environment raised.
        """
        self._check_idle("reset")
        rest = dict(options or {})
        mask = self._mask(rest.pop("reset_mask", None))
        requests: list[Reset | None] = []
        for start, stop in self._ranges():
            own = dict(rest)
            if mask is not None:
                own["reset_mask"] = mask[start:stop]
            is_asked = mask is None or bool(mask[start:stop].any())
            requests.append(
                Reset(self._seed_of(seed, start, stop), own or None) if is_asked else None
            )
        results = self._exchange(requests)
        infos = []
        for i, result in enumerate(results):
            if result is not None:
                self._parts[i] = result.obs
            infos.append({} if result is None else result.info)
        return self._observation(), self._merged(infos)

    def step(self, actions: Any) -> tuple[Any, Any, Any, Any, dict[str, Any]]:
        """Act in all sub-environments, as in Gymnasium.

        Raises:
            InvalidActionError: an action is not in its space; nothing was sent.
            ResetNeededError: there was no reset yet; nothing was sent.
            TransportError: a connection broke.
            RemoteEnvError: a sub-environment raised.
        """
        self.step_async(actions)
        return self.step_wait()

    def step_async(self, actions: Any) -> None:
        """Send the actions; :meth:`step_wait` returns what comes of them."""
        self._check_idle("step")
        if self._parts[0] is None:
            raise ResetNeededError("step before the first reset; call reset() first")
        self._check_action(actions)
        single = self.single_action_space
        if len(self._connections) == 1:
            pieces = [actions]
        else:
            pieces = [cut(single, actions, start, stop) for start, stop in self._ranges()]
        self._begin([Step(piece) for piece in pieces])

    def step_wait(self) -> tuple[Any, Any, Any, Any, dict[str, Any]]:
        """Return what came of the actions that :meth:`step_async` sent."""
        if not self._is_waiting:
            raise ProtocolError("step_wait without step_async before it")
        results: list[Any] = self._finish()
        self._parts = [result.obs for result in results]
        info = self._merged([result.info for result in results])
        if len(results) == 1:
            one = results[0]
            return one.obs, one.rewards, one.terminations, one.truncations, info
        columns = [
            np.concatenate([getattr(result, name) for result in results])
            for name in ("rewards", "terminations", "truncations")
        ]
        return self._observation(), columns[0], columns[1], columns[2], info

    def render(self) -> tuple[Any, ...] | None:
        """Return what each sub-environment renders, None without a render mode."""
        self._check_idle("render")
        if self.render_mode is None:
            gym.logger.warn(f"{self}: render() without a render_mode; name one in make_vec")
            return None
        frames: list[Any] = []
        for connection in self._connections:
            reply = connection.request(Render())
            assert isinstance(reply, Rendered)
            frames += reply.frame or ()
        return tuple(frames)

    def close_extras(self, **kwargs: Any) -> None:
        """End the sessions."""
        if self._is_waiting:
            self._abandon()
        for connection in self._connections:
            connection.close()

    def _abandon(self) -> None:
        for connection in self._connections:
            connection.abandon()

    def _check_idle(self, call: str) -> None:
        if self._is_waiting:
            raise ProtocolError(f"{call} while a step is under way; call step_wait first")

    def _ranges(self) -> list[tuple[int, int]]:
        return list(zip([0, *self._ends], self._ends, strict=False))

    def _observation(self) -> Any:
        if len(self._parts) == 1:
            return self._parts[0]
        return concatenate(self.single_observation_space, self._parts)

    def _merged(self, infos: Sequence[Any]) -> dict[str, Any]:
        if all(isinstance(info, dict) for info in infos):
            return merge_infos(infos, self._counts)
        merged: dict[str, Any] = {}
        for (start, _), records in zip(self._ranges(), infos, strict=True):
            for number, info in records or ():
                merged = self._add_info(merged, info, start + number)
        return merged

    def _exchange(self, requests: Sequence[Reset | Step | None]) -> list[BatchResult | None]:
        self._begin(requests)
        return self._finish()

    def _begin(self, requests: Sequence[Reset | Step | None]) -> None:
        """Send to all shards; after this, :meth:`_finish` must be called."""
        self._pending = []
        try:
            for connection, request in zip(self._connections, requests, strict=True):
                if request is not None:
                    connection.begin(request)
                self._pending.append(connection if request is not None else None)
        except BaseException:
            self._collect()
            raise
        self._is_waiting = True

    def _finish(self) -> list[BatchResult | None]:
        self._is_waiting = False
        results, failure = self._collect()
        if failure is not None:
            raise failure
        return results

    def _collect(self) -> tuple[list[Any], BaseException | None]:
        """Receive from every shard that was asked, also where one of them failed."""
        results: list[Any] = []
        failure: BaseException | None = None
        for connection in self._pending:
            result = None
            try:
                result = connection.finish() if connection is not None else None
            except OpenEnvGymError as exc:
                failure = failure or exc
            results.append(result)
        self._pending = []
        return results, failure

    def _seed_of(self, seed: Any, start: int, stop: int) -> Any:
        """The seed of one shard: a vector form of its own may take no list."""
        if seed is None:
            return None
        if isinstance(seed, (int, np.integer)):
            return int(seed) + start
        if len(seed) != self.num_envs:
            raise InvalidRequestError(
                f"seed: expected a number, or one for each of {self.num_envs} sub-environments, "
                f"got {len(seed)}"
            )
        return [None if one is None else int(one) for one in seed[start:stop]]

    def _mask(self, mask: Any) -> Any:
        if mask is None:
            return None
        is_valid = (
            isinstance(mask, np.ndarray)
            and mask.shape == (self.num_envs,)
            and mask.dtype == np.bool_
            and mask.any()
        )
        if not is_valid:
            raise InvalidRequestError(
                "options['reset_mask']: expected a bool array of shape "
                f"({self.num_envs},) with at least one True, got {mask!r:.80}"
            )
        return mask

    def __del__(self) -> None:
        """Close the sockets of an environment that nobody closed; its sessions end with them."""
        with contextlib.suppress(AttributeError):
            self._abandon()

    def __reduce__(self) -> tuple[Any, ...]:
        """Copies and pickles hold the recipes: the copy opens sessions of its own."""
        return type(self), (self._endpoints,), {"spec": self.spec}

    def __str__(self) -> str:
        """Like ``<RemoteVectorEnv CartPole-v1 x64>``."""
        return f"<{type(self).__name__} {self.name} x{self.num_envs}>"
