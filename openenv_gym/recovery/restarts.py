"""The restarts of one environment: how many there were, with which seeds, and when it is enough."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from openenv_gym.errors import EnvCrashLoopError, OpenEnvGymError, shown
from openenv_gym.faults import Fault, FaultKind
from openenv_gym.recovery.policy import FaultPolicy
from openenv_gym.recovery.seeds import seed_after_fault

KEPT_ACTIONS = 32
"""How many of the last actions the error of an environment names that faults too often."""
_MAX_ACTION_CHARS = 40


class Restarts:
    """Counts the restarts of one environment, and derives its seeds.

    Args:
        policy: How many restarts there may be.
        name: The name of the environment, for the error.
        env_index: Its number in its vector environment.
        last_actions: Returns the last actions that it was given, the newest last.

    Attributes:
        incarnation: How often the environment was begun anew.
        base_seed: The last seed that the caller gave, None where there was none.
        seed: The seed of its last reset.
    """

    def __init__(
        self,
        policy: FaultPolicy,
        name: str,
        env_index: int = 0,
        last_actions: Callable[[], Sequence[Any]] = tuple,
    ) -> None:
        self.policy = policy
        self.name = name
        self.incarnation = 0
        self.base_seed: int | None = None
        self.seed: int | None = None
        self._env_index = env_index
        self._last_actions = last_actions
        self._times_s: deque[float] = deque()

    def take_seed(self, seed: int | None, base_seed: int | None) -> None:
        """Keep a seed that the caller gave; None changes nothing.

        Args:
            seed: The seed of this environment.
            base_seed: What its seeds after faults are derived from.
        """
        if seed is not None:
            self.seed, self.base_seed = seed, base_seed

    def spend(self, error: OpenEnvGymError | None, now_s: float) -> float:
        """Count one restart, and return the longest pause before it, in seconds.

        Args:
            error: The fault that is the reason.
            now_s: The time, in seconds, of a clock that never goes back.

        Raises:
            EnvCrashLoopError: There were as many restarts as there may be.
        """
        policy, times_s = self.policy, self._times_s
        while times_s and now_s - times_s[0] >= policy.restarts_within_s:
            times_s.popleft()
        if len(times_s) >= policy.restarts:
            raise self.crash_loop(
                f"faulted again after {policy.restarts} restarts within "
                f"{policy.restarts_within_s:g} s",
                error,
            )
        times_s.append(now_s)
        self.incarnation += 1
        return policy.backoff(len(times_s) - 1)

    def forget(self) -> None:
        """Count anew from here; what was begun anew keeps its incarnation."""
        self._times_s.clear()

    def next_seed(self, given: int | None) -> int | None:
        """Return the seed of the reset that is to come, and keep it.

        Args:
            given: What the caller asks for in this reset; None derives the seed.
        """
        self.seed = self.derived_seed() if given is None else given
        return self.seed

    def derived_seed(self) -> int | None:
        """Return the seed that this incarnation gets where the caller gives none."""
        return seed_after_fault(self.base_seed, self._env_index, self.incarnation)

    def crash_loop(self, what: str, error: OpenEnvGymError | None) -> EnvCrashLoopError:
        """Return the error that says what became of the environment, and its last actions.

        Args:
            what: The end of a sentence that begins with the name of the environment.
            error: The last fault.
        """
        known = (error and error.fault) or Fault(kind=FaultKind.CRASH_LOOP)
        actions = ", ".join(shown(one, _MAX_ACTION_CHARS) for one in self._last_actions())
        return EnvCrashLoopError(
            f"{self.name} {what}; seed {self.seed}, incarnation {self.incarnation}, signal "
            f"{known.signal}, exit code {known.exitcode}, last actions [{actions}], end of "
            f"stderr: {known.stderr_tail or 'unknown'}; last fault: {error}; mend that, or allow "
            "more: on_fault=FaultPolicy(restarts=..., restart_timeout_s=..., "
            "reconnect_timeout_s=...)",
            fault=replace(known, kind=FaultKind.CRASH_LOOP),
        )
