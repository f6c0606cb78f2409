"""The worker process: one loop over the sockets of its sessions.

It is handed two inherited descriptors. Over the *control* socket come the sockets of new
sessions (``SCM_RIGHTS``), each alone or with a file of what the session builds. So no name in a
file system, no port and no secret is needed: who holds the other end is who started the worker. The
*lifeline* carries nothing; when its other end closes, the process that started this one is gone,
however it went, and the kernel ends the worker by a signal, even in the middle of a step that never
returns.

The loop has one thread. A session that computes delays the others of the same worker; sessions
that must not be delayed, or must not die with each other, get workers of their own.
"""

from __future__ import annotations

import argparse
import contextlib
import faulthandler
import os
import selectors
import signal
import socket
import sys
from collections.abc import Sequence

from openenv_gym.errors import OpenEnvGymError
from openenv_gym.interpreter.leaving import leave
from openenv_gym.interpreter.lifeline import watch_lifeline
from openenv_gym.interpreter.spin import AdaptiveSpin
from openenv_gym.interpreter.stderr import copy_stderr
from openenv_gym.protocol import FrameReader, frame_header
from openenv_gym.sockets import RECEIVE_BYTES, send_parts
from openenv_gym.workers.built_env import Builder, Lender, build
from openenv_gym.workers.forkserver import run_forkserver
from openenv_gym.workers.handed import HandedBuilder
from openenv_gym.workers.loaded import tell_loaded
from openenv_gym.workers.memory import be_killed_first, limit_memory
from openenv_gym.workers.reports import ControlReports, deliver_to
from openenv_gym.workers.session import WorkerSession

_MAX_FDS = 2


class _Channel:
    """One session and its socket.

    Args:
        sock: The socket.
        builder: Makes its environment.

    Attributes:
        awaited: What to wait for: the socket, or the descriptor of who has it.
    """

    def __init__(self, sock: socket.socket, builder: Builder) -> None:
        self.sock = sock
        self.awaited: socket.socket | int = sock
        self._lender: Lender | None = None  # while it is lent
        self._reader = FrameReader()
        self._session = WorkerSession(builder)

    def serve(self) -> bool:
        """Answer what has arrived, or take the socket back; return whether the session goes on."""
        if self._lender is not None:
            self._take_back(self._lender)
            return True
        try:
            data = self.sock.recv(RECEIVE_BYTES)
            if not data:
                return False
            for body in self._reader.feed(data):
                reply = self._session.handle(body)
                send_parts(self.sock, (frame_header(reply), reply))
        except (OSError, OpenEnvGymError):
            # The client is gone, or speaks no protocol of ours: its session is over.
            return False
        self._lend()
        return not self._session.is_closed

    def _lend(self) -> None:
        lender = self._session.lender
        if lender is None or not self._reader.is_between:
            return
        descriptor = lender.lend(self.sock)
        if descriptor is not None:
            self._lender, self.awaited = lender, descriptor

    def _take_back(self, lender: Lender) -> None:
        self._lender, self.awaited = None, self.sock
        self._session.note_steps(*lender.take_back())

    def close(self) -> None:
        if self._lender is not None:
            with contextlib.suppress(OSError):  # the client is gone
                self.sock.shutdown(socket.SHUT_RDWR)  # at which it is given back
            self._take_back(self._lender)
        self._session.close()
        self.sock.close()


class Worker:
    """The loop.

    Args:
        control: Brings the sockets of new sessions; its end is the order to stop, and a minus sign
            the order to stop after the last session.
        builder: Makes the environment of a session that comes without a file of what it builds.
    """

    def __init__(self, control: socket.socket, builder: Builder = build) -> None:
        self._control = control
        self._builder = builder
        self._selector = selectors.DefaultSelector()
        self._selector.register(control, selectors.EVENT_READ)
        self._is_retired = False

    def run(self) -> None:
        """Serve until the order to stop comes, then close every environment."""
        serving, spin = True, AdaptiveSpin()
        while serving:
            for key, _ in spin.wait(self._look) or self._selector.select():
                if key.fileobj is self._control:
                    serving = self._accept()
                else:
                    self._serve(key.data)
            if self._is_retired and len(self._selector.get_map()) == 1:  # the control socket
                break
        for key in list(self._selector.get_map().values()):
            if key.data is not None:
                self._end(key.data, key.data.awaited)

    def _look(self) -> list[tuple[selectors.SelectorKey, int]] | None:
        return self._selector.select(0) or None

    def _accept(self) -> bool:
        data, fds, _, _ = socket.recv_fds(self._control, 1, _MAX_FDS)
        if fds:
            sock = socket.socket(fileno=fds[0])
            sock.setblocking(True)
            builder = HandedBuilder.of_file(fds[1]) if fds[1:] else self._builder
            self._selector.register(sock, selectors.EVENT_READ, _Channel(sock, builder))
        self._is_retired |= data == b"-"
        return bool(data)

    def _serve(self, channel: _Channel) -> None:
        awaited = channel.awaited
        if not channel.serve():
            self._end(channel, awaited)
        elif channel.awaited is not awaited:
            self._selector.unregister(awaited)
            self._selector.register(channel.awaited, selectors.EVENT_READ, channel)

    def _end(self, channel: _Channel, awaited: socket.socket | int) -> None:
        self._selector.unregister(awaited)
        channel.close()


def main() -> None:
    """Run a worker, or a forkserver, on the descriptors named on the command line."""
    parser = argparse.ArgumentParser(prog="python -m openenv_gym.workers", description=__doc__)
    parser.add_argument("--control", type=int, required=True, help="inherited descriptor")
    parser.add_argument("--lifeline", type=int, required=True, help="inherited descriptor")
    parser.add_argument("--memory-limit", type=float, help="in MiB")
    parser.add_argument("--stderr-copy", type=int, nargs=2, help="inherited descriptors")
    parser.add_argument("--loaded", type=int, help="inherited descriptor")
    parser.add_argument("--python-path", help="PYTHONPATH from now on")
    parser.add_argument(
        "--fork-with",
        metavar="MODULES",
        help="be a forkserver, which imports these, with commas between",
    )
    options = parser.parse_args()
    control, lifeline = options.control, options.lifeline
    if options.fork_with is not None:
        begun = run_forkserver(control, lifeline, options.fork_with.split(","))
        if begun is None:
            return
        control, lifeline = begun
    if options.loaded is not None:
        tell_loaded(options.loaded)
    if options.python_path is not None:  # another one was needed to begin
        os.environ.update(PYTHONPATH=options.python_path)
        if not options.python_path:
            del os.environ["PYTHONPATH"]
    work(control, lifeline, options.stderr_copy, options.memory_limit)
    leave()


def work(
    control: int,
    lifeline: int,
    stderr_copy: Sequence[int] | None = None,
    memory_limit_mb: float | None = None,
    builder: Builder = build,
) -> None:
    """Be a worker until the order to stop comes.

    Args:
        control: The descriptor of its control socket.
        lifeline: The descriptor of its lifeline.
        stderr_copy: The descriptors of a :class:`StderrCopy`.
        memory_limit_mb: How large its address space may become, in MiB; None for no limit.
        builder: Makes the environment of a session that comes without a file of what it builds.
    """
    if stderr_copy:
        copy_stderr(*stderr_copy)
    else:
        faulthandler.enable()  # a crash in C says where, which is the end of what it prints
    sys.stdout.reconfigure(line_buffering=True)  # type: ignore[union-attr]  # Python's own
    be_killed_first()
    if memory_limit_mb:
        limit_memory(memory_limit_mb)
    # Ctrl-C reaches the whole process group; the parent decides what it means.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    watch_lifeline(lifeline)
    line = socket.socket(fileno=control)
    deliver_to(ControlReports(line))
    Worker(line, builder).run()
