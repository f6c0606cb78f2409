"""The transport over a worker's Unix socket: framed bodies on a stream.

The worker at the other end is often a child of this process, which can then say more of a loss
than that the socket has ended: how the process ended, and what it wrote last. That has to be known
when the exception is made, so a loss waits a moment for the exit code.

A worker that hangs holds up every session in it, and would go on for ever. It is killed when a
reply is late. The reply to a goodbye is another matter: it may be late because the worker is in
the step of another session, whose own deadline has not come. So the worker is killed only where no
other session waits for it.
"""

from __future__ import annotations

import socket
import threading
import weakref
from typing import Protocol

from openenv_gym.client.transport import Transport
from openenv_gym.errors import ConnectionLostError, ProtocolError, RequestTimeoutError
from openenv_gym.faults import Fault, FaultKind
from openenv_gym.protocol import Body, FrameReader, frame_header
from openenv_gym.sockets import BlockingSocket

EXIT_TIMEOUT_S = 5.0
"""How long to wait for the exit code of a worker that has closed its socket."""


class Peer(Protocol):
    """The process at the other end, where it is a child of this one."""

    def fault(self, timeout_s: float) -> Fault | None:
        """Return how it ended, None if it still runs after ``timeout_s``."""

    def stderr_tail(self) -> str:
        """Return the end of what it wrote to stderr, where that is known."""

    def kill(self) -> None:
        """End it at once."""

    def see_off(self) -> None:
        """Wait a moment for its end, where it ends with the session that is over now."""


_of_process: weakref.WeakKeyDictionary[Peer, weakref.WeakSet[StreamTransport]]
_of_process = weakref.WeakKeyDictionary()
"""The transports that lead to the same process."""


class StreamTransport(Transport):
    """Bodies with their length before them.

    Args:
        sock: A connected stream socket; the transport owns it.
        peer: What it leads to, for messages.
        process: The process there, to tell how it was lost; None where it is no child.
    """

    def __init__(self, sock: socket.socket, peer: str, process: Peer | None = None) -> None:
        self._socket = BlockingSocket(sock, peer)
        self._reader = FrameReader()
        self._bodies: list[Body] = []
        self._process = process
        # For the transports of other sessions on the same process, which know no connection.
        self._is_waiting = self._is_late = False
        if process is not None:
            _of_process.setdefault(process, weakref.WeakSet()).add(self)

    def send(self, body: Body, timeout_s: float | None = None) -> None:
        """Send one body."""
        self._is_waiting = True
        try:
            self._socket.send(frame_header(body), body, timeout_s=timeout_s)
        except ConnectionLostError as exc:
            raise self._explained(exc) from exc.__cause__

    def receive(self, timeout_s: float | None) -> Body:
        """Wait for one body."""
        if not self._bodies:
            try:
                reader = self._reader
                self._bodies = self._socket.receive_until(reader.feed, timeout_s, reader.room)
            except ProtocolError as exc:
                said = f"{self._socket.peer} sent no frame: {exc}"
                raise self._explained(ConnectionLostError(said)) from exc
            except ConnectionLostError as exc:
                raise self._explained(exc) from exc.__cause__
            except RequestTimeoutError as exc:
                self._is_late = True
                tail = "" if self._process is None else self._process.stderr_tail()
                fault = Fault(kind=FaultKind.STEP_TIMEOUT, stderr_tail=tail)
                raise RequestTimeoutError(str(exc), fault=fault) from exc.__cause__
        self._is_waiting = False
        return self._bodies.pop(0)

    def kill_peer(self) -> None:
        """Kill the process there, where it is a child of this one, and see it off."""
        if self._process is not None:
            self._process.kill()
            self._process.fault(EXIT_TIMEOUT_S)  # which reaps it

    def see_off_peer(self) -> None:
        """Wait a moment for a process that ends with the session."""
        if self._process is not None:
            self._process.see_off()

    def _explained(self, exc: ConnectionLostError) -> ConnectionLostError:
        """Return ``exc`` with how the process there ended, unless we closed the socket."""
        if self._process is None:
            return exc
        if not threading.main_thread().is_alive():
            _wait_for_the_end()
        fault = self._process.fault(EXIT_TIMEOUT_S) if self._socket.fileno() >= 0 else None
        if fault is None:
            return exc
        number, code = fault.signal, fault.exitcode
        how = f"exit code {code}" if number is None else f"signal {number}"
        return ConnectionLostError(f"{exc}; its process ended with {how}", fault=fault)

    def close(self) -> None:
        """Close the socket, and kill a process that owes an answer to nobody else and hangs."""
        self._socket.close()
        self._is_waiting = False
        if self._is_late and self._process is not None:
            self._is_late = False
            # Another session that waits has its own deadline, and may be what this one waited for.
            if not any(other._is_waiting for other in _of_process[self._process]):
                self.kill_peer()

    def has_hung_up(self) -> bool:
        """Whether the peer is known to be gone."""
        return self._socket.has_hung_up()

    def sleep_at_once(self) -> None:
        """Leave the core to others while nothing comes."""
        self._socket.looks_again = False

    def fileno(self) -> int:
        """The descriptor of the socket."""
        return self._socket.fileno()


def _wait_for_the_end() -> None:
    """At the end of the interpreter, when workers are ended, let a daemon thread do nothing more.

    What it would raise is nobody's, and what it would begin anew would outlive nobody.
    """
    if threading.current_thread() is not threading.main_thread():
        threading.Event().wait()
