"""Plain sessions as one vector environment, for servers that know no batches."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from copy import deepcopy
from typing import Any

import numpy as np
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space, concatenate, create_empty_array, iterate

from openenv_gym.envs.shard_sessions import PlainEndpoint, PlainSessions
from openenv_gym.envs.shards import check_reset_mask, seeds_of
from openenv_gym.errors import InvalidRequestError, ResetNeededError
from openenv_gym.protocol import Reset, Result, Step
from openenv_gym.spaces.check import action_check


class SessionsVectorEnv(VectorEnv[Any, Any, Any]):
    """One session for each sub-environment, on any OpenEnv server.

    A step sends to all sessions before it receives from any. Episodes are begun anew here, in the
    three autoreset modes of Gymnasium, as ``SyncVectorEnv`` does.

    Args:
        endpoints: Of each sub-environment. A server must have as many sessions free.
        autoreset_mode: Gymnasium's.

    Raises:
        UnreachableError: nobody answers at an address.
        SpaceError: the spaces cannot be inferred from the server's schemas.
        InvalidRequestError: there is no endpoint, or their spaces differ.
    """

    def __init__(
        self,
        endpoints: Sequence[PlainEndpoint],
        autoreset_mode: str | AutoresetMode = AutoresetMode.NEXT_STEP,
    ) -> None:
        if not endpoints:
            raise InvalidRequestError("expected at least one session, got none")
        self._sessions = PlainSessions(endpoints)
        faces = self._sessions.open()
        spaces = [(face.action_space, face.observation_space) for face in faces]
        if any(pair != spaces[0] for pair in spaces):
            raise InvalidRequestError("expected servers of one environment, got other spaces")
        self.name = faces[0].name
        self.num_envs = len(endpoints)
        self.autoreset_mode = AutoresetMode(autoreset_mode)
        self.metadata = {**faces[0].metadata, "autoreset_mode": self.autoreset_mode}
        self.single_action_space, self.single_observation_space = spaces[0]
        self.action_space = batch_space(self.single_action_space, self.num_envs)
        self.observation_space = batch_space(self.single_observation_space, self.num_envs)
        self._check_action = action_check(self.action_space)
        self._observations: Any = create_empty_array(self.single_observation_space, self.num_envs)
        self._parts: list[Any] = [None] * self.num_envs
        self._ended = np.zeros(self.num_envs, np.bool_)

    def reset(
        self,
        *,
        seed: int | list[int | None] | None = None,
        options: dict[str, Any] | None = None,
    ) -> tuple[Any, dict[str, Any]]:
        """Begin an episode in all sub-environments, or in those of ``reset_mask``.

        Raises:
            InvalidRequestError: the seeds or the mask have another form.
            TransportError: a session cannot be made, or broke.
        """
        seeds = seeds_of(seed, self.num_envs)
        rest = dict(options or {})
        mask = rest.pop("reset_mask", np.ones(self.num_envs, np.bool_))
        check_reset_mask(mask, self.num_envs)
        asked = np.flatnonzero(mask).tolist()
        self._sessions.connect(asked)
        results = self._sessions.exchange({i: Reset(seeds[i], rest or None) for i in asked})
        infos: dict[str, Any] = {}
        for i, result in results.items():
            self._parts[i] = result.obs
            infos = self._add_info(infos, result.info, i)
        self._ended[mask] = False
        return self._observe(), infos

    def step(self, actions: Any) -> tuple[Any, Any, Any, Any, dict[str, Any]]:
        """Act in all sub-environments, as in Gymnasium.

        Raises:
            InvalidActionError: an action is not in its space; nothing was sent.
            ResetNeededError: there was no reset, or with ``DISABLED`` an episode has ended.
            TransportError: a session broke.
        """
        mode = self.autoreset_mode
        if self._parts[0] is None or (mode is AutoresetMode.DISABLED and self._ended.any()):
            raise ResetNeededError("step without an episode in each sub-environment; call reset()")
        self._check_action(actions)
        begins = self._ended if mode is AutoresetMode.NEXT_STEP else np.zeros_like(self._ended)
        results = self._sessions.exchange(
            {
                i: Reset() if begins[i] else Step(action)
                for i, action in enumerate(iterate(self.action_space, actions))
            }
        )
        rewards = np.array([result.reward or 0.0 for result in results.values()], np.float64)
        terminations = np.array([result.terminated for result in results.values()], np.bool_)
        truncations = np.array([result.truncated for result in results.values()], np.bool_)
        rewards[begins] = 0.0
        terminations[begins] = truncations[begins] = False
        self._ended = terminations | truncations
        fresh: dict[int, Result] = {}
        if mode is AutoresetMode.SAME_STEP and self._ended.any():
            fresh = self._sessions.exchange(
                {i: Reset() for i in np.flatnonzero(self._ended).tolist()}
            )
        infos = self._take(results, fresh)
        return self._observe(), rewards, terminations, truncations, infos

    def _take(self, results: dict[int, Result], fresh: dict[int, Result]) -> dict[str, Any]:
        infos: dict[str, Any] = {}
        for i, result in results.items():
            last = result
            if i in fresh:
                final = {"final_obs": result.obs, "final_info": result.info}
                infos, last = self._add_info(infos, final, i), fresh[i]
            self._parts[i] = last.obs
            infos = self._add_info(infos, last.info, i)
        return infos

    def _observe(self) -> Any:
        batch = concatenate(self.single_observation_space, self._parts, self._observations)
        self._observations = batch
        return deepcopy(batch)

    def close_extras(self, **kwargs: Any) -> None:
        """End the sessions, within a few seconds each."""
        self._sessions.close()

    def __del__(self) -> None:
        """Close the sockets of an environment that nobody closed."""
        with contextlib.suppress(AttributeError):
            self._sessions.abandon()

    def __reduce__(self) -> tuple[Any, ...]:
        """Copies and pickles hold the recipes: the copy opens sessions of its own."""
        return type(self), (self._sessions.endpoints, self.autoreset_mode), {"spec": self.spec}

    def __str__(self) -> str:
        """Like ``<SessionsVectorEnv http://host:8000 x4>``."""
        return f"<{type(self).__name__} {self.name} x{self.num_envs}>"
