"""Many faults, one after the other, of one environment after the other, in one of our ways.

Beside each environment a twin is played here that has no faults. What an environment returns must
be what its twin does, to the last bit, but for the step with a fault; whoever is not the one that
was told to fail, and is told of a fault or differs from its twin, was harmed. After a fault the
seed that the reset tells is the twin's, too, so a wrong start is seen as well.
"""

import time
from collections.abc import Sequence
from itertools import count, cycle
from typing import Any

from benchmarks.children import stderr_to
from benchmarks.faults.cases import FAULT_STEP, HANGS, NUM_ENVS, NUMBERS, PLAIN, Left, Trial
from benchmarks.faults.target_env import TargetEnv
from benchmarks.faults.ways import Group, Seen, Way, opened
from openenv_gym.conformance import same
from openenv_gym.errors import OpenEnvGymError


def campaign(way: Way, kinds: Sequence[str], faults: int, left: list[Left]) -> list[Trial]:
    """Have ``faults`` faults happen, the kinds by turns; return a trial for each kind.

    Args:
        way: Where.
        kinds: All of them hang, or none.
        faults: How many in all.
        left: Gets what was left behind.
    """
    trials = {kind: Trial(way=way.name, kind=kind, flagged=0) for kind in kinds}
    with stderr_to(), opened(way, hangs=kinds[0] in HANGS, left=left) as group:
        game = _Game(group, trials)
        try:
            for number, kind in zip(range(faults), cycle(kinds), strict=False):
                game.rest()
                game.fail(number % NUM_ENVS, kind)
            game.rest()
        except OpenEnvGymError as exc:
            game.end(exc)
    return list(trials.values())


class _Game:
    """A run of the environments and their twins; ``trials`` are told, by kind, what happens."""

    def __init__(self, group: Group, trials: dict[str, Trial]) -> None:
        self._group, self._trials = group, trials
        self._twins = [TargetEnv() for _ in range(NUM_ENVS)]
        self._numbers = count(PLAIN)
        self._trial: Trial | None = None
        self._victim = -1
        self._began_s = self._told_s = 0.0  # when a round began, and when it was answered
        # When the round of the last fault began, until its victim has been stepped again.
        self._failed_s: float | None = None
        self._harmed: set[int] = set()
        self._strangers: set[int] = set()
        self._is_over = [False] * NUM_ENVS
        for number, twin in enumerate(self._twins):
            twin.reset(seed=number)
        group.reset(seed=0)

    def rest(self) -> None:
        """Play without faults, until the victim of the last one has been stepped again."""
        for _ in range(FAULT_STEP):
            self._round()
        while self._failed_s is not None or any(self._is_over):
            self._round()

    def fail(self, victim: int, kind: str) -> None:
        """Have one environment fail."""
        self._trial, self._victim, self._harmed = self._trials[kind], victim, {victim}
        self._trial.injected += 1
        self._round(NUMBERS[kind])

    def end(self, exc: Exception) -> None:
        """Note that nothing goes on."""
        trial = self._trial or next(iter(self._trials.values()))
        trial.ended, trial.harmed = type(exc).__name__, NUM_ENVS

    def _round(self, fault: int | None = None) -> None:
        numbers = [next(self._numbers) for _ in range(NUM_ENVS)]
        sent: list[Any] = list(numbers)
        if fault is not None:
            sent[self._victim] = fault
        self._began_s = time.perf_counter()
        rows = self._group.step(sent)
        self._told_s = time.perf_counter()
        for i, row in enumerate(rows):
            for seen in row:
                self._take_in(i, numbers[i], seen)
            self._is_over[i] = row[-1].is_over
        if self._trial is not None:
            self._trial.harmed = max(self._trial.harmed, len(self._harmed))

    def _take_in(self, i: int, number: int, seen: Seen) -> None:
        trial = self._trial if i == self._victim else None
        if seen.is_fault:
            self._harmed.add(i)
            if trial is not None:
                trial.flagged = (trial.flagged or 0) + 1
                self._failed_s = self._began_s
        elif i not in self._strangers and not self._is_as_twin(i, number, seen):
            self._harmed.add(i)
            self._strangers.add(i)  # it is another game from here on
        if trial is not None and self._failed_s is not None:
            if seen.ending is None:  # it has begun anew
                trial.recovery_s.append(round(self._told_s - self._failed_s, 4))
            elif not seen.is_fault:  # and been stepped since
                trial.continued += 1
                self._failed_s = None

    def _is_as_twin(self, i: int, number: int, seen: Seen) -> bool:
        twin = self._twins[i]
        if seen.ending is None:
            return same(seen.obs, twin.reset(seed=seen.said.get("seed"))[0])
        obs, *ending, _ = twin.step(number)
        return same((seen.obs, list(seen.ending)), (obs, ending))
