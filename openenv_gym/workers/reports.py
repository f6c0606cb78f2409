"""What the code of an environment raised, told to two sides: to the client, and to a server's log.

Who reads a traceback learns the paths and lines of the machine that it comes from. An embedded
worker sends it to its trainer, which is the same user. A server says in ``Open.tracebacks`` what is
to become of it: it stands in the server's log in any case, and the client gets it, or a number by
which it is found there.

A worker reports over its control socket, beside the protocol. Its stderr would not do: environments
print there, as much as they like, and some redirect it. The worker never waits for the server to
read a report; reports that do not fit into the socket are counted, and the next one says how many.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import socket
import sys
import traceback
from collections.abc import Callable
from contextvars import ContextVar
from dataclasses import replace
from typing import TypeAlias

import msgspec

from openenv_gym.errors import OpenEnvGymError
from openenv_gym.faults import Fault, FaultKind
from openenv_gym.protocol.events import Failed, Tracebacks, failure
from openenv_gym.wire.error_codes import brief, printable, without_folders

STDERR_SAYS = "The end of its stderr: "
"""Stands in messages before what a process has printed."""

_OURS = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))

_HEAD_CHARS, _TAIL_CHARS = 2_000, 14_000
"""So much of a traceback is reported: its beginning, and its end."""

_READ_BYTES = 1 << 20


class RaisedReport(msgspec.Struct, frozen=True, kw_only=True):
    """One failure of an environment, as a server's log gets it.

    Attributes:
        kind: The kind of the fault.
        number: The number that the client is told where it does not get the traceback.
        text: The traceback, or what else there is to say.
        is_begun_anew: Whether the worker makes a sub-environment anew in place of this one.
        left_out: How many reports before this one could not be sent.
    """

    kind: FaultKind
    number: str
    text: str
    is_begun_anew: bool = False
    left_out: int = 0


Deliver: TypeAlias = Callable[[RaisedReport], None]


def _print(report: RaisedReport) -> None:
    """Print a report where nobody takes it: the server has turned away from this worker."""
    print(f"error {report.number}: {report.text}", file=sys.stderr)


_deliver: ContextVar[Deliver] = ContextVar("deliver", default=_print)


def deliver_to(deliver: Deliver) -> None:
    """Have the reports of this thread, or of this task, taken by ``deliver``."""
    _deliver.set(deliver)


def error_number(exc: BaseException) -> str:
    """Return a number for where ``exc`` was raised: the same for the same class and lines.

    So one that was left out of the log is there under the same number, if it came before. Lines of
    this package do not count, which an environment may be called from in several ways.
    """
    places = (
        f"{frame.f_code.co_filename}:{line}"
        for frame, line in traceback.walk_tb(exc.__traceback__)
        if not frame.f_code.co_filename.startswith(_OURS)
    )
    said = "\n".join([type(exc).__qualname__, *places])
    return hashlib.sha256(said.encode(errors="replace")).hexdigest()[:8]


def pointer_to(number: str) -> str:
    """Return what a client is told in place of a traceback."""
    return f"error {number} in the server's log"


def traceback_for(
    exc: BaseException, kind: FaultKind, tracebacks: Tracebacks, *, is_begun_anew: bool = False
) -> str:
    """Report what an environment raised, and return what its client is told of the traceback.

    Args:
        exc: What the environment raised.
        kind: The kind of fault that this is.
        tracebacks: What is to become of it.
        is_begun_anew: Whether a sub-environment is made anew in place of this one.
    """
    trace = printable("".join(traceback.format_exception(exc)))
    if tracebacks == "sent":
        return trace
    number = error_number(exc)
    said = trace
    if len(trace) > _HEAD_CHARS + _TAIL_CHARS:
        said = f"{trace[:_HEAD_CHARS]}\n...\n{trace[-_TAIL_CHARS:]}"
    _deliver.get()(RaisedReport(kind=kind, number=number, text=said, is_begun_anew=is_begun_anew))
    return trace if tracebacks == "both" else pointer_to(number)


def discreet(exc: OpenEnvGymError, tracebacks: Tracebacks) -> Failed:
    """Return the reply that says ``exc``, with as much as the client may see.

    Args:
        exc: An error of ours.
        tracebacks: What is to become of what the environment's process has printed.
    """
    said = failure(exc)
    if tracebacks != "logged":
        return said
    fault, text = exc.fault, str(exc)
    head, found, _ = text.partition(STDERR_SAYS)
    if found or (fault is not None and fault.stderr_tail):
        number = error_number(exc)
        tail = "" if fault is None else fault.stderr_tail
        kind = FaultKind.WORKER_DIED if fault is None else fault.kind
        _deliver.get()(RaisedReport(kind=kind, number=number, text=printable(f"{text}\n{tail}")))
        head = f"{pointer_to(number)}: {head}"
    shown = brief(printable(without_folders(head)))
    return msgspec.structs.replace(said, message=shown, fault=hidden(fault))


def hidden(fault: Fault | None) -> Fault | None:
    """Return a fault without what its process has printed or raised."""
    return None if fault is None else replace(fault, stderr_tail="", remote_traceback="")


class ControlReports:
    """Sends reports over the control socket of a worker.

    Args:
        control: The socket, whose other end the server has.
    """

    def __init__(self, control: socket.socket) -> None:
        self._control = control
        self._rest = b""  # of a report that was sent in part
        self._left_out = 0

    def __call__(self, report: RaisedReport) -> None:
        """Send a report, unless the socket is full."""
        line = msgspec.json.encode(msgspec.structs.replace(report, left_out=self._left_out))
        try:
            self._send(self._rest)
            self._send(line + b"\n")
        except BlockingIOError:
            self._left_out += 1
        except OSError:  # the server has turned away, and this worker is about to end
            with contextlib.suppress(OSError, ValueError):
                _print(report)
        else:
            self._left_out = 0

    def _send(self, data: bytes) -> None:
        if data:
            sent = self._control.send(data, socket.MSG_DONTWAIT)
            self._rest = data[sent:]


class ReportReader:
    """Reads what a worker reports.

    Args:
        control: Our end of its control socket.
    """

    def __init__(self, control: socket.socket) -> None:
        self._control = control
        self._begun = b""

    def read(self) -> list[RaisedReport]:
        """Return the reports that have come, and wait for none."""
        try:
            new = self._control.recv(_READ_BYTES, socket.MSG_DONTWAIT)
        except OSError:  # nothing came, or the socket was closed
            return []
        *lines, self._begun = (self._begun + new).split(b"\n")
        self._begun = self._begun[-_READ_BYTES:]
        found = []
        for line in lines:
            # An environment has this socket too, and may write anything.
            with contextlib.suppress(msgspec.DecodeError, UnicodeError):
                found.append(msgspec.json.decode(line, type=RaisedReport))
        return found
