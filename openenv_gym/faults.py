"""What can go wrong with a session, as data: one table of the kinds of faults.

A fault is anything but a legal reply. Whoever finds one makes a :class:`Fault` and raises an
exception that has it; nobody adds to it later. What becomes of it, :mod:`openenv_gym.recovery`
decides. A new kind is a member of :class:`FaultKind` and a row of :data:`FAULTS`.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Any


class FaultKind(StrEnum):
    """The kinds of faults, by the name that ``info["openenv"]["fault"]`` and the wire have."""

    ENV_RAISED = "env_raised"
    WORKER_DIED = "worker_died"
    OOM = "oom"
    STEP_TIMEOUT = "step_timeout"
    CONNECTION_LOST = "connection_lost"
    SERVER_DRAINING = "server_draining"
    SESSION_EXPIRED = "session_expired"
    BAD_REPLY = "bad_reply"
    CRASH_LOOP = "crash_loop"


@dataclass(frozen=True, kw_only=True, slots=True)
class FaultRow:
    """What is known of every fault of one kind.

    Attributes:
        meaning: The sentence that says what happened.
        detected_by: Which part finds the fault, and what it sees.
        action_applied: Whether the action of the step has acted on the environment; None where
            nobody can know.
        is_begun_anew: Whether the environment is made anew and training goes on; else the fault
            is raised.
    """

    meaning: str
    detected_by: str
    action_applied: bool | None
    is_begun_anew: bool = True


FAULTS: dict[FaultKind, FaultRow] = {
    FaultKind.ENV_RAISED: FaultRow(
        meaning="the environment's code raised; `remote_traceback` says where, if the server tells",
        detected_by="the worker, which catches the exception of the environment",
        action_applied=True,
    ),
    FaultKind.WORKER_DIED: FaultRow(
        meaning="the process of the environment ended; `signal` or `exitcode` says how",
        detected_by="the process that started the worker, whose socket ends",
        action_applied=None,
    ),
    FaultKind.OOM: FaultRow(
        meaning="the environment needed more memory than there was",
        detected_by="the worker, by a `MemoryError`; or the server, by the kernel's count of kills",
        action_applied=None,
    ),
    FaultKind.STEP_TIMEOUT: FaultRow(
        meaning="no reply came within `timeout_s`, or within the server's own deadline",
        detected_by="the client, which waits no longer; or the watchdog of the server, which kills",
        action_applied=None,
    ),
    FaultKind.CONNECTION_LOST: FaultRow(
        meaning="the connection broke, and the session could not be taken up again",
        detected_by="the client: its socket ends, and the session cannot be taken up again",
        action_applied=None,  # False where the step was not sent
    ),
    FaultKind.SERVER_DRAINING: FaultRow(
        meaning="the server is shutting down and said so",
        detected_by="the client, by the close code 1012 or the error that answers its last request",
        action_applied=None,
    ),
    FaultKind.SESSION_EXPIRED: FaultRow(
        meaning="the server ended a session that was idle for too long, and said so",
        detected_by="the client, by the close code 4408",
        action_applied=None,
    ),
    FaultKind.BAD_REPLY: FaultRow(
        meaning="the reply cannot be read, or answers another request",
        detected_by="the client, which cannot read the reply; or the server, that of its worker",
        action_applied=None,
    ),
    FaultKind.CRASH_LOOP: FaultRow(
        meaning="the environment faulted more often than it may; `EnvCrashLoopError` is raised",
        detected_by="the budget of restarts, in the client or in the worker",
        action_applied=None,
        is_begun_anew=False,
    ),
}

CLOSE_CODES = {1012: FaultKind.SERVER_DRAINING, 4408: FaultKind.SESSION_EXPIRED}
"""What a server says by the code with which it closes a WebSocket."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Fault:
    """One fault: what happened to a session, and what is known of how.

    Attributes:
        kind: The kind, which has a row in :data:`FAULTS`.
        signal: The number of the signal that ended the worker, None where none did.
        exitcode: The exit code of the worker, None where it has none.
        action_applied: Whether the action of the step has acted; None where nobody knows.
        stderr_tail: The end of what the worker wrote to stderr, "" where that is not known.
        remote_traceback: The traceback of the environment's process, "" where there is none, or
            the server does not show it.
    """

    kind: FaultKind
    signal: int | None = None
    exitcode: int | None = None
    action_applied: bool | None = None
    stderr_tail: str = ""
    remote_traceback: str = ""

    @classmethod
    def of_exit(
        cls, code: int | None, kind: FaultKind = FaultKind.WORKER_DIED, stderr_tail: str = ""
    ) -> Fault:
        """Return the fault of a worker that ended.

        >>> Fault.of_exit(-11).signal, Fault.of_exit(7).exitcode
        (11, 7)

        Args:
            code: The exit code, negative for a signal; None where nobody knows it.
            kind: What the fault is, where the reason of the end is known.
            stderr_tail: The end of what the worker wrote to stderr.
        """
        number = None if code is None or code >= 0 else -code
        exitcode = code if number is None else None
        return cls(kind=kind, signal=number, exitcode=exitcode, stderr_tail=stderr_tail)

    @property
    def row(self) -> FaultRow:
        """What is known of every fault of this kind."""
        return FAULTS[self.kind]

    def as_info(self, incarnation: int) -> dict[str, Any]:
        """Return what ``info["openenv"]`` says of the step that ended in this fault.

        Args:
            incarnation: How often the environment had been made anew before.
        """
        return {
            "fault": self.kind.value,
            "signal": self.signal,
            "exitcode": self.exitcode,
            "action_applied": self.action_applied,
            "incarnation": incarnation,
            "remote_traceback": self.remote_traceback,
            "stderr_tail": self.stderr_tail,
        }


def fault_of_close(code: int) -> Fault | None:
    """Return the fault that the close code of a WebSocket means, None where it means none."""
    kind = CLOSE_CODES.get(code)
    return None if kind is None else Fault(kind=kind)
