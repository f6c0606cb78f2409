"""What ``info["openenv"]`` says of a fault and of the reset after it; the seed of that reset."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

FAULT_KEY = "openenv"
"""The key of an info that only steps with a fault and the resets after one have."""

FAULTS_BY_CLOSE_CODE = {1012: "server_draining", 4408: "session_expired"}
"""What the code says with which a server closes a WebSocket."""


def fault_info(
    kind: str,
    incarnation: int,
    *,
    action_applied: bool | None,
    known: Mapping[str, Any] | None = None,
    remote_traceback: str = "",
) -> dict[str, Any]:
    """Return what the info of a faulted step says.

    Args:
        kind: Of the fault.
        incarnation: How often the environment had been made anew before it.
        action_applied: Whether the environment got the action; None where nobody knows.
        known: What else is known of it: ``signal``, ``exitcode``, ``stderr_tail``.
        remote_traceback: That of the environment's process.
    """
    known = known or {}
    return {
        "fault": kind,
        "signal": known.get("signal"),
        "exitcode": known.get("exitcode"),
        "action_applied": action_applied,
        "incarnation": incarnation,
        "remote_traceback": remote_traceback,
        "stderr_tail": known.get("stderr_tail") or "",
    }


def read_fault(data: Any) -> dict[str, Any] | None:
    """Return what a server's error says of a fault, None where that is nothing that we know.

    >>> read_fault({"kind": "worker_died", "signal": 11, "exitcode": None, "colour": "red"})
    {'kind': 'worker_died', 'signal': 11, 'exitcode': None}
    """
    if not isinstance(data, dict) or not isinstance(data.get("kind"), str):
        return None
    return {
        key: data[key] for key, kinds in _FAULT_FIELDS.items() if type(data.get(key, _NO)) in kinds
    }


_NO = object()
_FAULT_FIELDS: dict[str, tuple[type, ...]] = {
    "kind": (str,),
    "signal": (int, type(None)),
    "exitcode": (int, type(None)),
    "stderr_tail": (str,),
}


def restart_info(incarnation: int, seed: int | None) -> dict[str, Any]:
    """Return what the info of the reset after a fault says.

    Args:
        incarnation: Of the environment that was made, counted from 0.
        seed: The one of its reset.
    """
    return {"incarnation": incarnation, "seed": seed}


def base_seeds_of(seed: Any, count: int, first_env: int = 0) -> list[int | None]:
    """Return what the seeds after faults are derived from, of each sub-environment.

    >>> base_seeds_of(9, 2, first_env=2), base_seeds_of([5, None], 2)
    ([7, 7], [5, None])

    Args:
        seed: Of a reset: a number for the first of them, which counts up from that of the first
            one of all; or one for each.
        count: How many there are.
        first_env: The number of the first of them in the whole vector environment.
    """
    if seed is None:
        return [None] * count
    if isinstance(seed, (int, np.integer)):
        return [int(seed) - first_env] * count
    return [None if one is None else int(one) for one in seed]


def seed_after_fault(base_seed: int | None, env_index: int, incarnation: int) -> int | None:
    """Return the seed of an environment that was made anew, None where there was none before.

    >>> seed_after_fault(7, 0, 1), seed_after_fault(7, 0, 2)
    (1834709978, 856967280)
    """
    if base_seed is None:
        return None
    sequence = np.random.SeedSequence(base_seed, spawn_key=(env_index, incarnation))
    return int(sequence.generate_state(1)[0])
