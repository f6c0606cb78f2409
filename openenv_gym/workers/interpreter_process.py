"""A process of another interpreter, seen from the worker that starts it.

It has the sessions' environments, and the worker has the sessions. It ends when it is told to, or
when this process is gone, however it went: it is of the same process group, and has a lifeline.
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from openenv_gym.errors import ConnectionLostError, EnvStartError, ProtocolError
from openenv_gym.faults import Fault
from openenv_gym.forks import in_children
from openenv_gym.interpreter.survey import PACKAGES
from openenv_gym.interpreter.values import pack, unpack
from openenv_gym.protocol import FrameReader, frame_header
from openenv_gym.protocol.framing import Body
from openenv_gym.sockets import BlockingSocket, enlarge_buffers
from openenv_gym.wire.raised import RAISED
from openenv_gym.workers.lifeline import Lifeline
from openenv_gym.workers.output import StderrCopy
from openenv_gym.workers.reports import STDERR_SAYS

START_TIMEOUT_S = 60.0
"""How long an interpreter may take to say that it is there."""

_END_TIMEOUT_S = 2.0
_SHOWN_CHARS = 200
_FOLDER = Path(__file__).parents[1] / "interpreter"
_INSTALLED = ("site-packages", "dist-packages")


class RaisedThereError(Exception):
    """Stands for an exception of a class that is not known here."""


class _Traceback(Exception):
    """Has the traceback of the other interpreter printed before that of this one."""

    def __str__(self) -> str:
        return f"\n\nIn the other interpreter:\n{self.args[0]}"


class InterpreterProcess:
    """Runs ``openenv_gym/interpreter`` in an interpreter, and asks it.

    Args:
        python: The path of the interpreter. It needs numpy, and not this package.

    Attributes:
        python: The same.

    Raises:
        EnvStartError: it cannot be run, is no Python, is too old, or has no numpy.
    """

    def __init__(self, python: str) -> None:
        self.python = python
        ours, theirs = socket.socketpair()
        for end in (ours, theirs):
            enlarge_buffers(end)
        self._socket = BlockingSocket(ours, f"the interpreter {python}")
        self._reader = FrameReader()
        self._lending, lending_there = socket.socketpair()
        self._has_lent = False
        self._lifeline, self._stderr = Lifeline(), StderrCopy()
        try:
            self._process = self._start(theirs.fileno(), lending_there.fileno())
        except OSError as exc:
            self._release()
            raise EnvStartError(f"cannot run an environment with {python}: {exc}") from exc
        finally:
            theirs.close()
            lending_there.close()
            self._lifeline.handed_over()
        _alive.add(self)
        try:
            self._outcome(self._receive(START_TIMEOUT_S))
        except (OSError, ProtocolError, ValueError) as exc:
            code = self.end(0)
            raise EnvStartError(
                f"{python} cannot run an environment: it ended with exit code {code}; expected "
                f"Python 3.8 or later with numpy 1.19 or later. It ran: {python} {_FOLDER}. "
                f"{STDERR_SAYS}{end_of(self._stderr.tail())}"
            ) from exc

    def _start(self, theirs: int, lending: int) -> subprocess.Popen[bytes]:
        printed = os.dup(2)
        fds = [theirs, lending, self._lifeline.there, printed, *self._stderr.fds]
        told = [f"--socket={theirs}", f"--lending={lending}"]
        told += [f"--lifeline={self._lifeline.there}", f"--stderr={printed}"]
        copied = ["--stderr-copy", *map(str, self._stderr.fds)]
        try:
            return subprocess.Popen(
                [self.python, str(_FOLDER), *told, *copied],
                pass_fds=fds,
                stdin=subprocess.DEVNULL,
                stderr=self._stderr.fds[0],  # until it is there, and prints where we print
                env=variables(),
            )
        finally:
            os.close(printed)

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    @property
    def has_ended(self) -> bool:
        """Whether it runs no more."""
        return self._process.poll() is not None

    def ask(self, *request: Any) -> Any:
        """Return what it answers to a request, see :class:`openenv_gym.interpreter.host.Host`.

        Raises:
            ConnectionLostError: it has ended; the error has the fault.
            TypeError: a value of the request cannot travel.
            Exception: what was raised there.
        """
        self.send(*request)
        return self.answer()

    def send(self, *request: Any) -> None:
        """Send a request, whose answer is to be waited for before another one is sent.

        Raises:
            ConnectionLostError: it has ended; the error has the fault.
            TypeError: a value of the request cannot travel.
        """
        body = pack(request, is_exact=True)
        try:
            self._socket.send(frame_header(body), body)
        except ConnectionLostError as exc:
            raise self.lost() from exc

    def answer(self) -> Any:
        """Wait for the answer to what was sent.

        Raises:
            ConnectionLostError: it has ended; the error has the fault.
            Exception: what was raised there.
        """
        try:
            reply = self._receive(None)
        except ConnectionLostError as exc:
            raise self.lost() from exc
        return self._outcome(reply)

    def lend(self, sock: socket.socket) -> None:
        """Give it the socket of the one session that it runs an environment for, unless it has it.

        Raises:
            OSError: it has ended.
        """
        if not self._has_lent:
            socket.send_fds(self._lending, [b"+"], [sock.fileno()])
            self._has_lent = True

    def fileno(self) -> int:
        """The descriptor to wait for an answer with."""
        return self._socket.fileno()

    def _receive(self, timeout_s: float | None) -> tuple[bool, Any]:
        reader = self._reader
        bodies: list[Body] = self._socket.receive_until(reader.feed, timeout_s, reader.room)
        is_well, value = unpack(bodies[0])
        return is_well, value

    def _outcome(self, outcome: tuple[bool, Any]) -> Any:
        is_well, value = outcome
        if not is_well:
            raise raised_there(value)
        return value

    def lost(self) -> ConnectionLostError:
        """Return the error that says how it ended."""
        code = self.end(_END_TIMEOUT_S)
        fault = Fault.of_exit(code, stderr_tail=self._stderr.tail())
        how = f"signal {fault.signal}" if fault.signal else f"exit code {code}"
        return ConnectionLostError(
            f"the interpreter {self.python} ended ({how}) while it ran the environment", fault=fault
        )

    def end(self, timeout_s: float = _END_TIMEOUT_S) -> int | None:
        """Have it close its environments and end; kill it where that takes too long.

        Args:
            timeout_s: How long it may take.

        Returns:
            Its exit code, negative for a signal.
        """
        self._socket.close()
        try:
            self._process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._release()
        return self._process.returncode

    def _release(self) -> None:
        _alive.discard(self)
        self._socket.close()
        self._lending.close()
        self._stderr.print_crash()
        self._stderr.close()
        self._lifeline.close()

    def _forget(self) -> None:
        """In a forked child: it is the parent's process, and its end no leak."""
        self._process.returncode = 0
        self._lending.close()


_alive = in_children(InterpreterProcess._forget)


def raised_there(said: Sequence[Any]) -> Exception:
    """Return an exception for what was raised in another interpreter.

    It is of the same class where that is known here by its name, and the traceback is its cause.

    Args:
        said: What :func:`openenv_gym.interpreter.host.said` said of it.
    """
    kinds, args, text, trace = said
    known = next((RAISED[name] for name in kinds if name in RAISED), None)
    kind = known if known is not None and known.__name__ == kinds[0] else _class(kinds[0], known)
    exc: Exception = kind(*args)
    if str(exc) != text:
        exc = kind(text)
    exc.__cause__ = _Traceback(trace)
    return exc


def _class(name: str, base: type[Exception] | None) -> type[Exception]:
    bases = (RaisedThereError,) if base is None else (RaisedThereError, base)
    return type(name, bases, {"__str__": Exception.__str__})


def end_of(text: str) -> str:
    """Return the last lines of what was printed, for a message.

    >>> end_of("")
    'nothing'
    """
    return text[-_SHOWN_CHARS:].strip() or "nothing"


def variables() -> dict[str, str]:
    """Return the environment variables of another interpreter.

    It finds the user's own modules as this process does, and none that is installed for this one.
    """
    others = {name: value for name, value in os.environ.items() if name != "PYTHONHOME"}
    own = [sys.prefix, sys.base_prefix]
    folders = [
        entry
        for entry in sys.path
        if os.path.isdir(entry)
        and not any(name in Path(entry).parts for name in _INSTALLED)
        and not any(Path(entry).is_relative_to(Path(prefix) / "lib") for prefix in own)
    ]
    return {**others, "PYTHONPATH": os.pathsep.join(folders)}


def surveyed(python: str) -> dict[str, Any]:
    """Return what an interpreter can serve, see :func:`openenv_gym.interpreter.survey.survey`.

    Each package has what is known of it besides: what it ``gives``, how to ``install`` it, and
    whether it ``needs_us`` where it is.

    Args:
        python: The path of the interpreter.

    Raises:
        EnvStartError: it can serve nothing.
    """
    process = InterpreterProcess(python)
    try:
        found: dict[str, Any] = process.ask("survey")
    finally:
        process.end()
    for name, package in found["packages"].items():
        known = PACKAGES[name]
        package.update(gives=known.gives, install=known.install, needs_us=known.needs_us)
    return found
