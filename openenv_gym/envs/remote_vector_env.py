"""Remote environments as one ``gymnasium.vector.VectorEnv``."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np
from gymnasium.vector import AutoresetMode
from gymnasium.vector.utils import iterate

from openenv_gym.endpoints import Answers
from openenv_gym.envs.faults import OnFault, fault_policy, kept
from openenv_gym.envs.send_and_recv import SendAndRecv
from openenv_gym.envs.shard_faults import ShardFaults
from openenv_gym.envs.shard_recipes import Shard, default_shards, shard_sizes, shards_of
from openenv_gym.envs.shard_results import joined, joined_infos, same_step
from openenv_gym.envs.shard_sessions import ShardSessions
from openenv_gym.envs.shards import (
    check_reset_mask,
    concatenate,
    cut,
    is_copied,
    records_of,
    seeds_of,
    shard_seeds,
)
from openenv_gym.envs.turn import Turn, alone
from openenv_gym.errors import (
    ConnectionLostError,
    InvalidRequestError,
    OpenEnvGymError,
    ProtocolError,
    ResetNeededError,
)
from openenv_gym.protocol import BatchResult, Reset, Step
from openenv_gym.spaces.check import action_check
from openenv_gym.wire.description import Description

if TYPE_CHECKING:
    from openenv_gym.envs.sessions_vector_env import SessionsVectorEnv

__all__ = ["RemoteVectorEnv", "default_shards", "shard_sizes"]


class RemoteVectorEnv(SendAndRecv):
    """Sub-environments that run in other processes, stepped in one message for each shard.

    A shard is a session with many sub-environments, in a worker or on a server. A step sends to
    all shards before it receives from any. What comes back is what ``SyncVectorEnv`` gives for
    the same sub-environments, in each of the three autoreset modes. A fault ends the episodes of
    those that have it, as truncated, and they begin anew; the others do not notice.

    Args:
        source: The URL of a server of ours, or of several that share the sub-environments; or the
            recipe of each shard, which must agree but for ``num_envs``.
        num_envs: How many sub-environments, where ``source`` is of URLs.
        on_fault: ``truncate``; ``raise`` raises every fault; or a ``FaultPolicy``.
        answers: What servers said a moment ago, which are not asked again then.

    Raises:
        UnreachableError: nobody answers at a shard.
        EnvStartError: a sub-environment could not be built.
        InvalidRequestError: there is no shard, or they are not of one environment.
    """

    batches_infos = True
    """Whether infos are batched as Gymnasium does; else they are pairs of a sub-environment's
    number and its info, in that order."""

    def __init__(
        self,
        source: str | Sequence[str] | Sequence[Shard],
        num_envs: int | None = None,
        on_fault: OnFault = "truncate",
        *,
        answers: Answers | None = None,
    ) -> None:
        policy = fault_policy(on_fault)
        restarts = policy.restarts if policy.is_soft else None
        self._turn = Turn()
        self._sessions = ShardSessions(shards_of(source, num_envs), restarts, answers)
        self.spec = None
        self._take_face(self._sessions.descriptions)
        self._parts: list[Any] = [None] * len(self._sessions)
        self._faults = ShardFaults(self._sessions, policy, self.name, self.action_space)
        self._last_frames = {}
        self._failed: dict[int, OpenEnvGymError] = {}  # to be told of by step_wait or recv
        self._renewed: dict[int, BatchResult] = {}  # likewise
        self._untold: set[int] = set()  # lost shards whose sub-environments were not told of it
        self._ended = np.zeros(self.num_envs, np.bool_)

    @staticmethod
    def from_clients(
        clients: Sequence[Any],
        *,
        autoreset_mode: str | AutoresetMode = AutoresetMode.NEXT_STEP,
        on_fault: OnFault = "truncate",
        **arguments: Any,
    ) -> SessionsVectorEnv:
        """Return a vector environment of OpenEnv clients, one for each sub-environment.

        A step asks all clients before it waits for any. What comes back is of another class: a
        client plays one session of one environment, so that there is no message for many of them,
        and nothing of what this class does with shards would apply.

        Args:
            clients: As :func:`openenv_gym.from_client` takes them, each once.
            autoreset_mode: Gymnasium's.
            on_fault: As of this class.
            **arguments: As of :func:`openenv_gym.from_client`, for all of them.

        Raises:
            InvalidRequestError: there is no client, one is given twice, or their spaces differ.
        """
        from openenv_gym.endpoints.client import client_endpoints
        from openenv_gym.envs.sessions_vector_env import SessionsVectorEnv

        return SessionsVectorEnv(client_endpoints(clients, **arguments), autoreset_mode, on_fault)

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
        self.num_envs = sum(self._sessions.counts)
        whole = msgspec.structs.replace(first, num_envs=self.num_envs)
        if len(descriptions) > 1:
            whole = msgspec.structs.replace(whole, batched_action=None, batched_observation=None)
        self.name = first.environment
        self.has_action_masks = first.has_action_masks
        self.single_action_space, self.single_observation_space = single_action, single_observation
        batched: Any = whole.batched_action_space(), whole.batched_observation_space()
        self.action_space, self.observation_space = batched
        self._check_action = action_check(self.action_space)
        self._is_copied = is_copied(single_observation)
        self.render_mode = first.render_mode
        self.metadata = {**first.metadata, "render_modes": first.render_modes}
        if first.autoreset_mode is not None:
            self.metadata["autoreset_mode"] = AutoresetMode(first.autoreset_mode)

    @alone
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
        mask, every = rest.pop("reset_mask", None), seeds_of(seed, self.num_envs)
        if mask is not None:
            check_reset_mask(mask, self.num_envs)
        seeds = shard_seeds(seed, every, self._sessions.ranges)
        self._faults.take_seeds(seed, every, mask)
        requests = self._resets(seeds, rest, mask)
        self._find_lost(requests if mask is None else ())
        self.closed = False
        results, failures = self._sessions.exchange_each(
            {i: one for i, one in requests.items() if i not in self._faults.lost}
        )
        self._check_soft(failures)
        for i, result in results.items():
            self._faults.take(i, result)
        for i in requests:
            if i in self._faults.lost:
                if self._leaves_out(i, mask):
                    self._untold.add(i)
                    continue
                own_seeds = every[slice(*self._sessions.ranges[i])]
                results[i] = self._faults.renew(i, own_seeds, rest or None)
        infos = [results[i].info if i in results else {} for i in range(len(self._sessions))]
        for i, result in results.items():
            self._parts[i] = result.obs
        self._ended[slice(None) if mask is None else mask] = False
        obs = self._observation()
        if self._is_shared(len(self._parts)):
            obs = kept(obs)
        return obs, self._merged(infos, self._sessions.counts)

    def _resets(self, seeds: Sequence[Any], options: dict[str, Any], mask: Any) -> dict[int, Reset]:
        """The requests to those shards that have sub-environments in ``mask``, or to all."""
        requests = {}
        for i, (start, stop) in enumerate(self._sessions.ranges):
            own = dict(options)
            if mask is not None:
                own["reset_mask"] = mask[start:stop]
                if not mask[start:stop].any():
                    continue
            requests[i] = Reset(seeds[i], own or None)
        return requests

    def _leaves_out(self, shard: int, mask: Any) -> bool:
        """Whether episodes of a shard are under way that a mask leaves as they are.

        If the shard is lost, its next step says so: that these have ended too.
        """
        own = slice(*self._sessions.ranges[shard])
        return mask is not None and bool((~mask[own] & ~self._ended[own]).any())

    def _find_lost(self, shards: Iterable[int]) -> None:
        """Find those whose session is known to be gone, or make it anew where that is no fault."""
        for i in shards:
            if i not in self._faults.lost and self._sessions.is_gone(i):
                lost = ConnectionLostError(f"the session of shard {i} of {self} was lost")
                if self._faults.is_soft(i, lost):
                    self._faults.note(i, lost)
                else:
                    self._sessions.renew(i, self._faults.recovery(i))

    def _check_soft(self, failures: Mapping[int, OpenEnvGymError]) -> None:
        """Take those shards for lost that failed in a fault; raise what is none."""
        for i, exc in failures.items():
            if not self._faults.is_soft(i, exc):
                raise exc
            self._faults.note(i, exc)

    @alone
    def step(self, actions: Any) -> tuple[Any, Any, Any, Any, dict[str, Any]]:
        """Act in all sub-environments, as in Gymnasium.

        Raises:
            InvalidActionError: an action is not in its space; nothing was sent.
            ResetNeededError: there was no reset yet; nothing was sent.
            TransportError: a connection broke.
            RemoteEnvError: a sub-environment raised.
        """
        self._check_idle("step")
        try:
            self._begin_step(actions)
            return self._end_step()
        except BaseException:  # an interrupt: nobody calls step_wait then
            self._forget()
            raise

    @alone
    def step_async(self, actions: Any) -> None:
        """Send the actions; :meth:`step_wait` returns what comes of them."""
        self._check_idle("step")
        self._begin_step(actions)

    def _begin_step(self, actions: Any) -> None:
        if self._parts[0] is None:
            raise ResetNeededError("step before the first reset; call reset() first")
        if self.metadata.get("autoreset_mode") is AutoresetMode.DISABLED and self._ended.any():
            raise ResetNeededError(
                f"step after the end of the episodes of {np.flatnonzero(self._ended).tolist()}; "
                "call reset(options={'reset_mask': ...}) for these"
            )
        self._check_action(actions)
        self._begin(actions, range(len(self._sessions)))

    def _begin(self, actions: Any, shards: Sequence[int]) -> None:
        """Send to those shards that are there, and then make those anew that are lost."""
        steps = dict(zip(shards, self._steps(actions, shards), strict=True))
        self._faults.begin(shards, actions)
        lost = self._faults.lost
        there = {i: step for i, step in steps.items() if i not in lost}
        untold = {i: lost[i] for i in shards if i in lost and i in self._untold}
        self._untold.difference_update(shards)
        self._failed |= untold
        self._ask(there, {i: () for i in shards if i in lost and i not in untold})

    def _ask(self, requests: Mapping[int, Any], lost: Mapping[int, tuple[Any, ...]]) -> None:
        """Send to some shards, and then make those anew that are lost; what comes of it is kept.

        Args:
            requests: What is sent.
            lost: Their numbers, and further arguments of :meth:`ShardFaults.renew`.
        """
        if not self._faults.policy.is_soft:
            self._sessions.begin(requests)
            return
        self._failed |= self._sessions.begin_each(requests)
        try:
            for i, arguments in lost.items():
                self._renewed[i] = self._faults.renew(i, *arguments)
        except OpenEnvGymError:  # what the others answer is nobody's then
            self._sessions.collect(self._sessions.under_way)
            self._forget()
            raise
        except BaseException:  # an interrupt
            self._forget()
            raise

    def _forget(self) -> None:
        """Forget the step that is under way; who owes an answer yet is given up."""
        self._sessions.give_up(self._sessions.under_way)
        self._failed, self._renewed = {}, {}

    @alone
    def step_wait(self) -> tuple[Any, Any, Any, Any, dict[str, Any]]:
        """Return what came of the actions that :meth:`step_async` sent."""
        return self._end_step()

    def _end_step(self) -> tuple[Any, Any, Any, Any, dict[str, Any]]:
        if not self.is_under_way:
            raise ProtocolError("step_wait without step_async before it")
        return self._take(self._collect(self._sessions.under_way))

    def _collect(self, shards: Sequence[int]) -> dict[int, BatchResult]:
        """Return what some shards answer, and what there is to be told of others."""
        results, failures = self._sessions.collect(shards)
        failures |= self._failed
        results |= self._renewed
        self._failed, self._renewed = {}, {}
        self._check_soft(failures)
        mode = self.metadata.get("autoreset_mode")
        for i, result in results.items():
            self._faults.take(i, result)
        for i in failures:
            if self._parts[i] is None:  # in the first reset
                raise failures[i]
            results[i] = self._faults.fault(i, self._parts[i])
            if mode is AutoresetMode.SAME_STEP:
                ending = results[i]
                fresh = self._faults.renew(i)
                results[i] = same_step(ending, fresh, self._rows(i, ending.obs))
        return dict(sorted(results.items()))

    def _rows(self, shard: int, obs: Any) -> list[Any]:
        """What each sub-environment of a shard observes."""
        space = self._sessions.descriptions[shard].batched_observation_space()
        assert space is not None
        return list(iterate(space, obs))

    def _steps(self, actions: Any, shards: Sequence[int]) -> list[Step]:
        if len(self._sessions) == 1:
            return [Step(actions)]
        steps, start = [], 0
        for i in shards:
            stop = start + self._sessions.counts[i]
            steps.append(Step(cut(self.single_action_space, actions, start, stop)))
            start = stop
        return steps

    def _take(self, results: dict[int, BatchResult]) -> tuple[Any, Any, Any, Any, dict[str, Any]]:
        """Put together what some shards answered, and keep what they observe."""
        for i, result in results.items():
            self._parts[i] = kept(result.obs) if self._is_shared(len(results)) else result.obs
            if result.rewards is not None:
                ended = result.terminations | result.truncations
                self._ended[slice(*self._sessions.ranges[i])] = ended
        parts = list(results.values())
        counts = [self._sessions.counts[i] for i in results]
        info = self._merged([part.info for part in parts], counts)
        return *joined(self.single_observation_space, parts, counts), info

    def close_extras(self, **kwargs: Any) -> None:
        """End the sessions, within a few seconds each; :meth:`reset` begins others."""
        self._forget()
        self._sessions.close()
        self._faults.close()
        self._parts = [None] * len(self._parts)
        self._last_frames.clear()

    def _check_idle(self, call: str) -> None:
        if self.is_under_way:
            raise ProtocolError(f"{call} while a step is under way; call step_wait or recv first")

    def _is_shared(self, parts: int) -> bool:
        """Whether what is put together of as many parts holds values of these.

        It belongs to the caller, who may write to it; what a fault returns is what was sent.
        """
        return self._faults.policy.is_soft and (parts == 1 or not self._is_copied)

    def _observation(self) -> Any:
        if len(self._parts) == 1:
            return self._parts[0]
        return concatenate(self.single_observation_space, self._parts)

    def _merged(self, infos: Sequence[Any], counts: Sequence[int]) -> Any:
        if not self.batches_infos:
            return records_of(infos, counts)
        return joined_infos(infos, counts)

    def __del__(self) -> None:
        """Close the sockets of an environment that nobody closed; its sessions end with them."""
        with contextlib.suppress(AttributeError):
            self._sessions.abandon()

    def __reduce__(self) -> tuple[Any, ...]:
        """Copies and pickles hold the recipes: the copy opens sessions of its own."""
        arguments = (self._sessions.shards, None, self._faults.policy)
        return type(self), arguments, {"spec": self.spec}

    def __str__(self) -> str:
        """Like ``<RemoteVectorEnv CartPole-v1 x64>``."""
        return f"<{type(self).__name__} {self.name} x{self.num_envs}>"
