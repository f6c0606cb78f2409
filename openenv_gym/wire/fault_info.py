"""Faults on the wire; what infos say of the reset after one, and the seed of that reset."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from openenv_gym.faults import Fault, FaultKind

FAULT_KEY = "openenv"
"""The key of an info that only steps with a fault and the resets after one have."""


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


def fault_to_wire(fault: Fault | None) -> dict[str, Any] | None:
    """Return what an error says of a session that was lost, None where nothing was lost.

    The code of the error tells that the environment raised, and the traceback has a field of its
    own.
    """
    if fault is None or fault.kind in _SAID_BY_CODE:
        return None
    tail = {"stderr_tail": fault.stderr_tail} if fault.stderr_tail else {}
    return {"kind": fault.kind.value, "signal": fault.signal, "exitcode": fault.exitcode, **tail}


_SAID_BY_CODE = (FaultKind.ENV_RAISED, FaultKind.CRASH_LOOP)


def fault_from_wire(data: Any) -> Fault | None:
    """Return the fault in an error, None where it says nothing of one.

    The peer may have another version: keys that this one does not know are left out, and a kind
    that it does not know is a lost connection.

    >>> fault_from_wire({"kind": "worker_died", "signal": 11, "colour": "red"}).signal
    11
    """
    if not isinstance(data, dict) or not isinstance(data.get("kind"), str):
        return None
    kind = _KINDS.get(data["kind"], FaultKind.CONNECTION_LOST)
    known = {key: data[key] for key, type_ in _FIELDS.items() if type(data.get(key)) is type_}
    return Fault(kind=kind, **known)


_KINDS = {kind.value: kind for kind in FaultKind}
_FIELDS: dict[str, type] = {
    "signal": int,
    "exitcode": int,
    "action_applied": bool,
    "stderr_tail": str,
    "remote_traceback": str,
}


def fault_from_info(said: Mapping[str, Any]) -> Fault | None:
    """Return the fault that a worker says of a sub-environment, as ``Fault.as_info`` wrote it.

    >>> fault_from_info(Fault(kind=FaultKind.OOM).as_info(0)).kind
    <FaultKind.OOM: 'oom'>
    """
    return fault_from_wire({**said, "kind": said["fault"]})


def restart_info(incarnation: int, seed: int | None) -> dict[str, Any]:
    """Return what the info of the reset after a fault says.

    Args:
        incarnation: How often the environment has been made anew.
        seed: The seed of that reset.
    """
    return {"incarnation": incarnation, "seed": seed}


def base_seeds_of(seed: Any, count: int, first_env: int = 0) -> list[int | None]:
    """Return what the seeds after faults are derived from, of each sub-environment.

    >>> base_seeds_of(9, 2, first_env=2), base_seeds_of([5, None], 2)
    ([7, 7], [5, None])

    Args:
        seed: The seed that a reset was given: a number for the first of them, which counts up
            from that of the first one of all; or one for each.
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
