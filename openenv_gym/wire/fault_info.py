"""Faults on the wire; what infos say of the reset after one, and the seed of that reset."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from openenv_gym.faults import Fault, FaultKind
from openenv_gym.texts import MAX_TRACE_CHARS, escaped

FAULT_KEY = "openenv"
"""The key of an info that only steps with a fault and the resets after one have."""


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
    for name in known.keys() & _TEXTS:
        known[name] = escaped(known[name], MAX_TRACE_CHARS)
    return Fault(kind=kind, **known)


_KINDS = {kind.value: kind for kind in FaultKind}
_FIELDS: dict[str, type] = {
    "signal": int,
    "exitcode": int,
    "action_applied": bool,
    "stderr_tail": str,
    "remote_traceback": str,
}
_TEXTS = frozenset(name for name, kind in _FIELDS.items() if kind is str)


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
