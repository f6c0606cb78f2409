"""When which sub-environment is to fail in a campaign, as a plan of ``FaultEnv``."""

from __future__ import annotations

import itertools
import signal
from collections.abc import Iterator
from typing import Any

HANG_EACH = 40
GAP = 5

_CRASHES = (
    *("raise", "kill", "abort", "exit", "segfault", "sys_exit", "interrupt"),
    *({"kind": "bad_observation", "how": "shape"}, {"kind": "exit", "code": 0}),
)
_HANGS = ("sleep", {"kind": "kill", "signal": int(signal.SIGSTOP)}, "hold_gil")


def campaign(num_envs: int, faults: int, reset_takes: int, episode_steps: int) -> dict[str, Any]:
    """Return a plan with ``faults`` faults of all kinds, one at a time, in turns.

    No two fall into one step of the vector environment, so that a ledger can tell who begins anew.

    Args:
        num_envs: Of how many sub-environments.
        faults: In all.
        reset_takes: How many steps of the vector environment a reset takes: 1 where it resets in
            the next step.
        episode_steps: How long the episodes are.
    """
    plan: dict[str, Any] = {}
    began = [0] * num_envs
    incarnations = [0] * num_envs
    kinds = _kinds()
    for fault in range(faults):
        env, at = fault % num_envs, (fault + 1) * GAP
        own = 1
        while (now := _when(began[env], own, reset_takes, episode_steps)) < at:
            own += 1
        plan[f"{env}/{incarnations[env]}/{own}"] = next(kinds)
        began[env] = now + reset_takes
        incarnations[env] += 1
    return plan


def _when(began: int, own: int, reset_takes: int, episode_steps: int) -> int:
    """The step of the vector environment in which a sub-environment makes its own one."""
    return began + own + reset_takes * ((own - 1) // episode_steps)


def _kinds() -> Iterator[Any]:
    hangs = itertools.cycle(_HANGS)
    for number, crash in enumerate(itertools.cycle(_CRASHES), 1):
        yield crash
        if number % (HANG_EACH - 1) == 0:
            yield next(hangs)
