"""Plain sessions as one vector environment, for servers that know no batches."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from copy import deepcopy
from typing import Any

import msgspec
import numpy as np
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space, concatenate, create_empty_array, iterate

from openenv_gym.endpoints import Endpoint
from openenv_gym.envs.faults import (
    OnFault,
    Restarts,
    fault_kind,
    fault_policy,
    info_of,
    kept,
    without_frames,
)
from openenv_gym.envs.plain_sessions import PlainSessions
from openenv_gym.envs.shard_results import batch_infos
from openenv_gym.envs.shards import check_reset_mask, seeds_of
from openenv_gym.envs.turn import Turn, alone
from openenv_gym.errors import (
    ConnectionLostError,
    InvalidRequestError,
    OpenEnvGymError,
    ResetNeededError,
)
from openenv_gym.protocol import Reset, Result, Step
from openenv_gym.spaces.check import action_check
from openenv_gym.wire.fault_info import FAULT_KEY, base_seeds_of, restart_info, seed_after_fault


class SessionsVectorEnv(VectorEnv[Any, Any, Any]):
    """One session for each sub-environment, on any OpenEnv server.

    A step sends to all sessions before it receives from any. Episodes are begun anew here, in the
    three autoreset modes of Gymnasium, as ``SyncVectorEnv`` does.

    Args:
        endpoints: Of each sub-environment. A server must have as many sessions free.
        autoreset_mode: Gymnasium's.
        on_fault: As of :class:`RemoteVectorEnv`; a session is one sub-environment.

    Raises:
        UnreachableError: nobody answers at an address.
        SpaceError: the spaces cannot be inferred from the server's schemas.
        InvalidRequestError: there is no endpoint, or their spaces differ.
    """

    def __init__(
        self,
        endpoints: Sequence[Endpoint],
        autoreset_mode: str | AutoresetMode = AutoresetMode.NEXT_STEP,
        on_fault: OnFault = "truncate",
    ) -> None:
        if not endpoints:
            raise InvalidRequestError("expected at least one session, got none")
        self._turn = Turn()
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
        self._policy = fault_policy(on_fault)
        self._base_seeds: list[int | None] = [None] * self.num_envs
        self._restarts = [
            Restarts(self._policy, f"sub-environment {number} of {self.name}")
            for number in range(self.num_envs)
        ]
        self._proven: set[int] = set()  # those that were stepped once
        self._lost: dict[int, OpenEnvGymError] = {}

    @alone
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
        bases = base_seeds_of(seed, self.num_envs)
        for i in asked:
            if bases[i] is not None:
                self._base_seeds[i] = bases[i]
                self._restarts[i].seed = seeds[i]
        self._find_lost(asked)
        self.closed = False
        there = [i for i in asked if i not in self._lost]
        self._sessions.connect(there)
        results = self._exchange({i: Reset(seeds[i], rest or None) for i in there})
        for i in asked:
            if i in self._lost:
                results[i] = self._renew(i, seeds[i], rest or None)
        results = dict(sorted(results.items()))
        for i, result in results.items():
            self._parts[i] = result.obs
        infos = [(i, result.info) for i, result in results.items()]
        self._ended[mask] = False
        return self._observe(), batch_infos(infos, self.num_envs)

    def _find_lost(self, asked: Sequence[int]) -> None:
        """Find those whose session is known to be gone: their server may have to be waited for."""
        for i in self._proven.intersection(asked) - self._lost.keys():
            if self._policy.is_soft and self._sessions.is_gone(i):
                self._lost[i] = ConnectionLostError(f"the session of {i} of {self} was lost")

    @alone
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
        requests: dict[int, Any] = {}
        lost = list(self._lost)  # of the last step: they begin anew in this one
        for i, action in enumerate(iterate(self.action_space, actions)):
            self._restarts[i].actions.append(kept(action))
            if i not in lost:
                requests[i] = Reset() if begins[i] else Step(action)
        results = self._exchange(requests)
        # A reset that fails is made again: it ends no episode.
        lost += [i for i in self._lost if i not in lost and begins[i]]
        results |= {i: self._renew(i) for i in lost}
        results |= {i: self._fault(i) for i in self._lost}
        results = dict(sorted(results.items()))
        rewards = np.array([result.reward or 0.0 for result in results.values()], np.float64)
        terminations = np.array([result.terminated for result in results.values()], np.bool_)
        truncations = np.array([result.truncated for result in results.values()], np.bool_)
        rewards[begins] = 0.0
        terminations[begins] = truncations[begins] = False
        self._ended = terminations | truncations
        fresh: dict[int, Result] = {}
        if mode is AutoresetMode.SAME_STEP and self._ended.any():
            ended = np.flatnonzero(self._ended).tolist()
            fresh = self._exchange({i: Reset() for i in ended if i not in self._lost})
            fresh |= {i: self._renew(i) for i in ended if i in self._lost}
            fresh = dict(sorted(fresh.items()))
        infos = self._take(results, fresh)
        return self._observe(), rewards, terminations, truncations, infos

    def _exchange(self, requests: dict[int, Any]) -> dict[int, Result]:
        """Send to some, then receive from all of them; those that fault are lost then."""
        if not self._policy.is_soft:
            return self._sessions.exchange(requests)
        results, failures = self._sessions.exchange_each(requests)
        for i, exc in failures.items():
            if i not in self._proven or fault_kind(exc) is None:
                raise exc
            self._lost[i] = without_frames(exc)
        self._proven |= {i for i in results if type(requests[i]) is Step}
        return results

    def _fault(self, number: int) -> Result:
        """The step in which a session was lost."""
        exc = self._lost[number]
        incarnation = self._restarts[number].incarnation
        said = info_of(exc, fault_kind(exc) or "connection_lost", incarnation, None)
        return Result(kept(self._parts[number]), 0.0, False, True, {FAULT_KEY: said})

    def _renew(
        self, number: int, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> Result:
        """Make a session anew, and return its reset."""
        restarts = self._restarts[number]

        def make() -> Result:
            own = restarts.seed = (
                seed_after_fault(self._base_seeds[number], number, restarts.incarnation)
                if seed is None
                else seed
            )
            self._sessions.renew(number)
            result: Result = self._sessions.exchange({number: Reset(own, options)})[number]
            said = restart_info(restarts.incarnation, own)
            return msgspec.structs.replace(result, info={**result.info, FAULT_KEY: said})

        result = restarts.renew(make, self._lost[number])
        del self._lost[number]
        return result

    def _take(self, results: dict[int, Result], fresh: dict[int, Result]) -> dict[str, Any]:
        records: list[tuple[int, dict[str, Any]]] = []
        for i, result in results.items():
            last = result
            if i in fresh:
                records.append((i, {"final_obs": result.obs, "final_info": result.info}))
                last = fresh[i]
            self._parts[i] = last.obs
            records.append((i, last.info))
        return batch_infos(records, self.num_envs)

    def _observe(self) -> Any:
        batch = concatenate(self.single_observation_space, self._parts, self._observations)
        self._observations = batch
        return deepcopy(batch)

    def close_extras(self, **kwargs: Any) -> None:
        """End the sessions, within a few seconds each; :meth:`reset` begins others."""
        self._sessions.close()
        self._proven.clear()
        self._lost.clear()
        self._parts = [None] * self.num_envs

    def __del__(self) -> None:
        """Close the sockets of an environment that nobody closed."""
        with contextlib.suppress(AttributeError):
            self._sessions.abandon()

    def __reduce__(self) -> tuple[Any, ...]:
        """Copies and pickles hold the recipes: the copy opens sessions of its own."""
        arguments = (self._sessions.endpoints, self.autoreset_mode, self._policy)
        return type(self), arguments, {"spec": self.spec}

    def __str__(self) -> str:
        """Like ``<SessionsVectorEnv http://host:8000 x4>``."""
        return f"<{type(self).__name__} {self.name} x{self.num_envs}>"
