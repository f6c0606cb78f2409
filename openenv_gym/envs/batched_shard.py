"""A shard of ours: many sub-environments, which their worker steps in one message."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import msgspec
import numpy as np
from gymnasium.vector import AutoresetMode
from gymnasium.vector.utils import iterate

from openenv_gym.client import Connection
from openenv_gym.endpoints import Answers
from openenv_gym.envs.shard import Shard
from openenv_gym.errors import OpenEnvGymError, RemoteEnvError
from openenv_gym.protocol import BatchResult, Recovery, Reset, Step
from openenv_gym.recovery import EpisodeState, Event
from openenv_gym.spaces.batch import batch_space
from openenv_gym.wire.fault_info import FAULT_KEY, fault_from_info


class BatchedShard(Shard):
    """A session with many sub-environments, of a worker or a server of ours."""

    connection: Connection
    _reply = BatchResult

    def _first_contact(self, start: int, answers: Answers | None) -> None:
        count = self.endpoint.request.num_envs
        self._recovery = Recovery(start, [0] * count, [None] * count, self._policy.restarts)
        self._raised: dict[int, OpenEnvGymError] = {}  # why the worker begins some anew
        self.info, self.connection = self._recipe().connect(None, answers)
        description = self.info.description
        assert description is not None  # of a session of ours
        self.count = description.num_envs or 0
        if self.count != count:
            self._take_all()
        self._space = description.batched_observation_space
        self._action_space = description.batched_action_space
        mode = description.autoreset_mode
        self.mode = None if mode is None else AutoresetMode(mode)

    def _take_all(self) -> None:
        """Be the only shard from now on, as the worker has said that it is."""
        self.has_all, count = True, self.count
        request = msgspec.structs.replace(self.endpoint.request, num_envs=count, part=None)
        self.endpoint = replace(self.endpoint, request=request)
        self._recovery = msgspec.structs.replace(
            self._recovery, incarnations=[0] * count, base_seeds=[None] * count
        )

    def batched_spaces(self, num_envs: int) -> tuple[Any, Any]:
        """Return the spaces that the session tells, where it has all ``num_envs``."""
        if num_envs == self.count:
            return self._action_space, self._space
        spaces = self.info.action_space, self.info.observation_space
        return batch_space(spaces[0], num_envs), batch_space(spaces[1], num_envs)

    def _recipe(self) -> Any:
        """The endpoint, with what the worker needs to begin sub-environments anew by itself."""
        recovery = self._recovery if self._is_soft else None
        request = msgspec.structs.replace(self.endpoint.request, recovery=recovery)
        return replace(self.endpoint, request=request)

    def connect(self, answers: Answers | None = None) -> None:
        """Make a session, as of any shard."""
        restarts = self.episode.restarts
        self._recovery = msgspec.structs.replace(
            self._recovery,
            incarnations=[one.incarnation for one in restarts],
            base_seeds=[one.base_seed for one in restarts],
        )
        self._raised.clear()
        super().connect(answers)

    def reset_request(self, seed: Any, seeds: Sequence[int | None], options: Any) -> Reset:
        """Return the request; a list of seeds only for a list, which not every form takes."""
        is_one = seed is None or isinstance(seed, (int, np.integer))
        return Reset(seeds[0] if is_one else list(seeds), options)

    def _step(self, actions: Any) -> Step:
        return Step(actions)

    def settle(self, reply: Any) -> BatchResult:
        """Return a reply as it is; note what the worker says of its sub-environments."""
        result = self._batch(reply, is_reset=self._is_reset)
        if self._is_reset:
            self.episode.handle(Event.BEGUN)
        elif self.episode.state is not EpisodeState.LIVE:
            self.episode.handle(Event.STEPPED)
        return result

    def _batch(self, reply: Any, *, is_reset: bool) -> BatchResult:
        result: BatchResult = reply
        if not is_reset:
            rewards = self._take_rewards(result.rewards)
            if rewards is not result.rewards:
                result = msgspec.structs.replace(result, rewards=rewards)
        if result.info and isinstance(result.info, list) and self._is_soft:
            for place, info in result.info:  # else of a vector form that has no guards
                if FAULT_KEY in info or "final_info" in info:
                    self._note(place, info)
        return result

    def _note(self, place: int, info: Mapping[str, Any]) -> None:
        """Note that the worker has a fault of one, or has begun one anew.

        Raises:
            EnvCrashLoopError: It did so too often.
        """
        final = info.get("final_info")
        said = info.get(FAULT_KEY) or (isinstance(final, dict) and final.get(FAULT_KEY))
        if not isinstance(said, dict) or "incarnation" not in said:  # a key of the environment's
            return
        if "fault" in said:
            last_line = said["remote_traceback"].strip().rpartition("\n")[2]
            self._raised[place] = RemoteEnvError(last_line, fault=fault_from_info(said))
            return
        error = self._raised.pop(place, None) or RemoteEnvError("it failed in reset")
        restarts = self.episode.restarts[place]
        while restarts.incarnation < said["incarnation"]:
            restarts.spend(error, time.monotonic())
        restarts.seed = said["seed"]

    def _seed_of(self, seeds: Sequence[int | None]) -> Any:
        # A vector form of the environment's own may know no lists of seeds.
        return seeds[0] if self._is_native() else list(seeds)

    def _rows(self, obs: Any) -> list[Any]:
        return list(iterate(self._space, obs))

    def _is_native(self) -> bool:
        """Whether the session has a vector form of the environment's own."""
        description = self.info.description
        assert description is not None
        return description.has_vector_form
