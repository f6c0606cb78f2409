"""A ``SyncVectorEnv`` for a worker: infos are not batched yet, and nothing is copied in vain."""

from __future__ import annotations

from functools import partial
from itertools import islice
from operator import itemgetter
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium.vector import AutoresetMode
from gymnasium.vector.utils import concatenate, create_empty_array, iterate

from openenv_gym.codecs import pack_freeform
from openenv_gym.errors import InvalidRequestError, ResetNeededError
from openenv_gym.recovery import base_seeds_of
from openenv_gym.spaces.copy_value import copy_info, copy_value
from openenv_gym.spaces.rewards import (
    batched_arrays,
    batched_numbers,
    carried_reward,
    wrong_flags,
)
from openenv_gym.workers.built_env import Ahead, Rows

Record = tuple[int, dict[str, Any]]
_UNSEEN = object()
_place = itemgetter(0)


class RecordingEnv(gym.vector.SyncVectorEnv):
    """Returns a list of pairs, a sub-environment and its info, in the order of batching.

    Which column a key gets depends on what all sub-environments say of it, those of other shards
    too. So whoever has all of them batches them.

    It steps as its base class does, with two differences. What an episode ends with is copied
    before the reset that follows in the same step, because many environments write to the arrays
    that they have returned. And an error says which sub-environment returned what has no place in a
    batch: of rewards and flags a ``SpaceError``, which is no fault.

    Args:
        env_fns: The functions that make the sub-environments.
        reward_space: The space of array rewards; None where all rewards are numbers.
        first_env: The number of the first sub-environment among those of all shards.
        ahead: Is told what is asked of the sub-environments next.
        **arguments: Further arguments of ``SyncVectorEnv``.
    """

    def __init__(
        self,
        env_fns: Any,
        *,
        reward_space: gym.Space[Any] | None = None,
        first_env: int = 0,
        ahead: Ahead | None = None,
        **arguments: Any,
    ) -> None:
        super().__init__(env_fns, **arguments)
        self._ahead = ahead
        self.records: list[Record] = []
        self._reward_space, self._first_env = reward_space, first_env
        self._env_obs: list[Any] = [_UNSEEN] * self.num_envs
        self._paid = np.zeros(self.num_envs, object)
        self._pays_arrays = False  # until the first one; a wrapper may make numbers of them
        self._is_guarded = False
        self._keeps_base = False

    def watch(self) -> None:
        """Tell the guards of the sub-environments where their last observation is."""
        self._is_guarded = True
        guards: Any = self.envs
        for number, guard in enumerate(guards):
            guard.last_obs = partial(self._row, number)
        # The first reset of one that was made anew has seeds that are derived already.
        self._keeps_base = any(guard.restarts.incarnation for guard in guards)

    def _row(self, number: int) -> Any:
        rows = iterate(self.observation_space, self._observations)
        return next(islice(rows, number, None))  # which is copied where it is kept: see _ending

    def reset(self, **keywords: Any) -> Any:
        """Reset; return the batched observation and the records."""
        self.records = []
        if self._is_guarded and keywords.get("seed") is not None:
            if not self._keeps_base:
                _take_seeds(self.envs, self._first_env, **keywords)
            self._keeps_base = False
        try:
            return super().reset(**keywords)[0], self.records
        except Exception as exc:  # of an environment, or because what it returned has no place
            if (misfit := self._misfit()) is None:
                raise
            raise misfit from exc

    def _add_info(self, infos: Any, info: dict[str, Any], number: int) -> Any:
        if info:
            self.records.append((number, info))
        return infos

    def step(self, actions: Any) -> Any:
        """Step; return what the base class returns, with the records in place of infos.

        Raises:
            SpaceError: A reward is no number and not of the reward space, or a flag no boolean.
            ValueError: An observation has no place in a batch: the environment's fault.
            ResetNeededError: The mode is ``DISABLED``, and an episode has ended.
        """
        records = self.records = []
        rows, paid = self._env_obs, self._paid
        terminated, truncated = self._terminations, self._truncations
        is_next_step = self.autoreset_mode is AutoresetMode.NEXT_STEP
        is_same_step = self.autoreset_mode is AutoresetMode.SAME_STEP
        if not (is_next_step or is_same_step):
            self._check_begun()
        given = iterate(self.action_space, actions)
        each: Any = zip(range(self.num_envs), self.envs, given, strict=True)
        if self._ahead is not None:
            each = self._left_of(list(each), self._ahead, is_next_step)
        for i, env, action in each:
            if is_next_step and self._autoreset_envs[i]:
                rows[i], info = env.reset()
                paid[i], terminated[i], truncated[i] = 0.0, False, False
            else:
                rows[i], paid[i], ends, is_cut, info = env.step(action)
                try:
                    terminated[i], truncated[i] = ends, is_cut
                except (TypeError, ValueError) as exc:
                    raise wrong_flags(ends, is_cut, self._name(i)) from exc
                if is_same_step and (terminated[i] or truncated[i]):
                    info = self._begun_next(i, env, info)
            if info:
                records.append((i, info))
        if self._ahead is not None:
            records.sort(key=_place)  # those that went ahead came first
        self._observations = self._batched()
        self._autoreset_envs = np.logical_or(terminated, truncated)
        return self._observations, self._rewarded(), terminated.copy(), truncated.copy(), records

    def _left_of(
        self, each: list[tuple[int, Any, Any]], ahead: Ahead, is_next_step: bool
    ) -> list[tuple[int, Any, Any]]:
        """Let sub-environments go ahead; note what is done, and return those that are left."""
        resets = self._autoreset_envs.tolist() if is_next_step else [False] * len(each)
        asked = [(env, action, resets[i]) for i, env, action in each]
        done: set[int] = set()
        for rows in ahead(asked):
            done.update(rows.places)
            self._take_rows(rows)
        return [one for one in each if one[0] not in done]

    def _take_rows(self, rows: Rows) -> None:
        """Note steps that were taken ahead."""
        places, flags = rows.places, np.frombuffer(rows.flags, np.uint8)
        self._terminations[places] = flags & 1
        self._truncations[places] = flags >> 1
        self._paid[places] = rows.rewards
        infos = dict(zip(places, rows.infos or (), strict=rows.infos is not None))
        for i, row in zip(places, rows.obs, strict=True):
            self._env_obs[i] = row
        for at in flags.nonzero()[0]:
            i = places[at]
            env: Any = self.envs[i]
            if self._is_guarded:
                env.note_end()
            if self.autoreset_mode is AutoresetMode.SAME_STEP:
                infos[i] = self._begun_next(i, env, infos.get(i, {}))
        self.records += [(i, info) for i, info in infos.items() if info]

    def _begun_next(self, number: int, env: Any, info: dict[str, Any]) -> dict[str, Any]:
        """Reset in the step that has ended an episode; return the info of the reset."""
        self._paid[number] = copy_value(carried_reward(self._paid[number]))
        self.records.append((number, self._ending(number, info)))
        self._env_obs[number], begun = env.reset()
        return begun  # type: ignore[no-any-return]

    def _check_begun(self) -> None:
        if self._autoreset_envs.any():
            ended = (np.flatnonzero(self._autoreset_envs) + self._first_env).tolist()
            raise ResetNeededError(
                f"step after the end of the episodes of {ended}; "
                "call reset(options={'reset_mask': ...}) for these"
            )

    def _ending(self, number: int, info: dict[str, Any]) -> dict[str, Any]:
        """Copy what a sub-environment says at the end of an episode, which goes into no batch."""
        obs = self._env_obs[number]
        if type(obs) is not np.ndarray or obs.dtype == object:
            try:
                pack_freeform(obs, is_exact=True)
            except InvalidRequestError as exc:
                raise self._wrong_observation(number, exc) from exc
        return {"final_obs": copy_value(obs), "final_info": copy_info(info)}

    def _rewarded(self) -> Any:
        space, paid = self._reward_space, self._paid
        if space is not None:
            self._pays_arrays = self._pays_arrays or any(map(np.shape, paid))
            if self._pays_arrays:
                return batched_arrays(paid, space, self._first_env)
        return batched_numbers(paid, self._first_env)

    def _batched(self) -> Any:
        try:
            return concatenate(self.single_observation_space, self._env_obs, self._observations)
        except Exception as exc:  # what an environment returned may raise whatever it likes
            if (misfit := self._misfit()) is None:
                raise
            raise misfit from exc

    def _misfit(self) -> ValueError | None:
        """Return the error for the first observation that has no place in a batch."""
        for number, obs in enumerate(self._env_obs):
            if obs is not _UNSEEN:
                room: Any = create_empty_array(self.single_observation_space, 1)
                try:
                    concatenate(self.single_observation_space, (obs,), room)
                except Exception as exc:  # as above
                    return self._wrong_observation(number, exc)
        return None

    def _wrong_observation(self, number: int, exc: Exception) -> ValueError:
        return ValueError(
            f"the observation of {self._name(number)}: expected one of "
            f"{self.single_observation_space!r:.200}, got {self._env_obs[number]!r:.100}: "
            f"{type(exc).__name__}: {exc!s:.100}. Return what the space describes; the "
            "environment has acted"
        )

    def _name(self, number: int) -> str:
        return f"sub-environment {self._first_env + number}"


def _take_seeds(guards: Any, first_env: int, seed: Any, options: Any = None) -> None:
    """Keep what the seeds after faults are derived from."""
    mask = (options or {}).get("reset_mask")
    bases = base_seeds_of(seed, len(guards), first_env)
    for number, (guard, base) in enumerate(zip(guards, bases, strict=False)):
        if base is not None and (mask is None or mask[number]):
            guard.restarts.base_seed = base
