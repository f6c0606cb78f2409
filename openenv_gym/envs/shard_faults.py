"""What faults are to the shards of a vector environment: who has one, and how it goes on.

A shard whose session is lost is a fault of each of its sub-environments, and is made anew before
they are stepped again. A sub-environment that raises is a fault of its own: its worker says so in
its info, and makes it anew itself. The others never notice.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from gymnasium.vector.utils import iterate

from openenv_gym.envs.faults import (
    KEPT_ACTIONS,
    FaultPolicy,
    Restarts,
    fault_kind,
    info_of,
    kept,
    renew,
    without_frames,
)
from openenv_gym.envs.shard_results import Records, with_restarts
from openenv_gym.envs.shard_sessions import ShardSessions, recovery_of
from openenv_gym.errors import OpenEnvGymError, RemoteEnvError, RequestTimeoutError
from openenv_gym.protocol import BatchResult, Reset
from openenv_gym.wire.fault_info import (
    FAULT_KEY,
    base_seeds_of,
    fault_from_info,
    restart_info,
    seed_after_fault,
)


class ShardFaults:
    """The faults of one vector environment.

    Args:
        sessions: Of its shards.
        policy: What becomes of faults.
        name: Of the environment.
        action_space: The batched one.

    Attributes:
        lost: The shards to be made anew, and why.
        base_seeds: What the seeds after faults are derived from.
        restarts: Of each sub-environment.
    """

    def __init__(
        self, sessions: ShardSessions, policy: FaultPolicy, name: str, action_space: Any
    ) -> None:
        self.policy = policy
        self.lost: dict[int, OpenEnvGymError] = {}
        total = sum(sessions.counts)
        self.base_seeds: list[int | None] = [None] * total
        self.restarts = [
            Restarts(policy, f"sub-environment {number} of {name}") for number in range(total)
        ]
        self._sessions = sessions
        self._action_space = action_space
        self._proven: set[int] = set()
        self._rewards_dtype: Any = np.float64
        self._raised: dict[int, OpenEnvGymError] = {}  # why workers will make some anew
        self._actions: deque[tuple[Sequence[int], Any]] = deque(maxlen=KEPT_ACTIONS)

    def is_soft(self, shard: int, exc: OpenEnvGymError) -> bool:
        """Whether ``exc`` ends episodes of a shard, and is not raised."""
        return self.policy.is_soft and shard in self._proven and fault_kind(exc) is not None

    def take_seeds(self, seed: Any, seeds: Sequence[int | None], mask: Any) -> None:
        """Keep what the seeds after faults are derived from."""
        bases = base_seeds_of(seed, len(seeds))
        for number, own in enumerate(seeds):
            if own is not None and (mask is None or mask[number]):
                self.base_seeds[number] = bases[number]
                self.restarts[number].seed = own

    def begin(self, shards: Sequence[int], actions: Any) -> None:
        """Keep the actions of a step, where they may have to be named."""
        if self.policy.is_soft:
            self._actions.append((shards, kept(actions)))

    def _numbers(self, shards: Sequence[int]) -> list[int]:
        """Those of the sub-environments of some shards."""
        return [number for i in shards for number in range(*self._sessions.ranges[i])]

    def note(self, shard: int, exc: OpenEnvGymError) -> None:
        """Take a shard for lost; a worker of ours that hangs is ended."""
        self.lost[shard] = without_frames(exc)
        if isinstance(exc, RequestTimeoutError):
            self._sessions.kill(shard)

    def take(self, shard: int, result: BatchResult) -> None:
        """Note what a worker says of its sub-environments: their faults, and who was made anew.

        Raises:
            EnvCrashLoopError: one was too often.
        """
        if not self.policy.is_soft:
            return
        if result.rewards is not None:
            self._proven.add(shard)
            self._rewards_dtype = result.rewards.dtype
        if not isinstance(result.info, list):  # of a vector form that has no guards
            return
        for number, info in result.info:
            if FAULT_KEY in info or "final_info" in info:
                self._take_info(self._sessions.ranges[shard][0] + number, info)

    def _take_info(self, number: int, info: Mapping[str, Any]) -> None:
        said = info.get(FAULT_KEY) or info.get("final_info", {}).get(FAULT_KEY)
        if not isinstance(said, dict) or "incarnation" not in said:  # a key of the environment's
            return
        if "fault" in said:
            text = _last_line(said["remote_traceback"])
            self._raised[number] = RemoteEnvError(text, fault=fault_from_info(said))
        else:
            self._count(number, said["incarnation"], said["seed"])

    def _count(self, number: int, incarnation: int, seed: int | None) -> None:
        """Count how often a worker has made a sub-environment anew, also where a reset failed."""
        fault = self._raised.pop(number, None) or RemoteEnvError("it failed in reset")
        one = self.restarts[number]
        while one.incarnation < incarnation:
            self._tell_actions(number)
            one.spend(fault)
        one.seed = seed

    def fault(self, shard: int, last_obs: Any) -> BatchResult:
        """Return the step in which a shard was lost.

        Args:
            shard: Its number; it was noted.
            last_obs: What it observed last.
        """
        exc = self.lost[shard]
        kind = fault_kind(exc) or "connection_lost"
        start, stop = self._sessions.ranges[shard]
        records: Records = [
            (i - start, {FAULT_KEY: info_of(exc, kind, self.restarts[i].incarnation, None)})
            for i in range(start, stop)
        ]
        count = stop - start
        ends = np.zeros(count, np.bool_)
        zeros = np.zeros(count, self._rewards_dtype)
        return BatchResult(kept(last_obs), zeros, ends, ~ends, records)

    def renew(
        self,
        shard: int,
        seeds: Sequence[int | None] | None = None,
        options: dict[str, Any] | None = None,
    ) -> BatchResult:
        """Make a lost shard anew, and return the reset of all its sub-environments.

        Args:
            shard: Its number.
            seeds: Of each of its sub-environments; None derives it.
            options: Gymnasium's.

        Raises:
            EnvCrashLoopError: it was made anew as often, or waited for as long, as it may.
        """
        start, stop = self._sessions.ranges[shard]
        for number in range(start, stop):
            self._tell_actions(number)
            self._raised.pop(number, None)
        result = renew(
            self.restarts[start:stop],
            lambda: self._begin_anew(shard, seeds, options),
            self.lost[shard],
        )
        del self.lost[shard]
        return result

    def _begin_anew(
        self, shard: int, seeds: Sequence[int | None] | None, options: dict[str, Any] | None
    ) -> BatchResult:
        start, stop = self._sessions.ranges[shard]
        numbers = range(start, stop)
        own: list[int | None] = []
        for i in numbers:
            one = self.restarts[i]
            given = None if seeds is None else seeds[i - start]
            derived = seed_after_fault(self.base_seeds[i], i, one.incarnation)
            one.seed = derived if given is None else given
            own.append(one.seed)
        self._sessions.renew(shard, self.recovery(shard))
        # A vector form of the environment's own may know no lists of seeds.
        seed: Any = own[0] if self._sessions.is_native(shard) else own
        result = self._sessions.request(shard, Reset(seed, options))
        self.take(shard, result)
        said = [
            (place, restart_info(one.incarnation, one.seed))
            for place, one in enumerate(self.restarts[start:stop])
        ]
        return with_restarts(result, said, self._rewards_dtype)

    def close(self) -> None:
        """Forget who was lost: what begins after the end of all sessions is no restart."""
        self.lost.clear()
        self._proven.clear()
        self._raised.clear()

    def recovery(self, shard: int) -> dict[str, Any] | None:
        """Return what the worker of a shard needs to keep its sub-environments going."""
        if not self.policy.is_soft:
            return None
        start, stop = self._sessions.ranges[shard]
        incarnations = [one.incarnation for one in self.restarts[start:stop]]
        return recovery_of(start, incarnations, self.base_seeds[start:stop], self.policy.restarts)

    def _tell_actions(self, number: int) -> None:
        """Give the last actions of a sub-environment to who may have to name them."""
        own = self.restarts[number].actions
        own.clear()
        for shards, actions in self._actions:
            numbers = self._numbers(shards)
            if number in numbers:
                own.append(_row(self._action_space, actions, numbers.index(number), len(numbers)))


def _row(space: Any, batch: Any, place: int, count: int) -> Any:
    rows = list(iterate(space, batch)) if count > 1 or not isinstance(batch, tuple) else list(batch)
    return rows[place]


def _last_line(text: str) -> str:
    return text.strip().rpartition("\n")[2]
