"""Processes of tests, forked from an interpreter that has imported what they need already.

Most of the time that a server takes to start is spent on imports, which are the same each time. So
:class:`Preloaded` imports once, and forks a process for each server. That process does what
``python -m openenv_gym.cli serve`` does from then on, with the arguments, variables, folder and
descriptors that it is given. Programs that train can be begun like that too.

Run as a module this file is that interpreter. It has one thread, and each fork has a parent of its
own, which waits for it and says how it ended.
"""

from __future__ import annotations

import fcntl
import importlib
import json
import os
import runpy
import signal
import socket
import struct
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

OF_SERVERS = (
    "openenv_gym.cli",
    "openenv_gym.server.app",
    "openenv_gym.server.mcp",
    "openenv_gym.server.process_backend",
    "openenv_gym.server.relay",
    "openenv_gym.server.run",
    "uvicorn.lifespan.on",
    "uvicorn.loops.asyncio",
)
"""What a server imports before it serves; no simulator is among them."""

SERVER = "openenv_gym.cli"
_STANDARD = 3  # descriptors: stdin, stdout, stderr
_ABOVE_ALL = 500  # descriptors from here on are in nobody's way
_MAX_REQUEST_BYTES = 1 << 20


class Preloaded:
    """The interpreter, as tests see it: a place to begin processes in. It begins with the first.

    Args:
        modules: What it imports.
        variables: Environment variables that these modules read.

    Attributes:
        is_used: Whether processes are forked; otherwise each is a new interpreter.
    """

    def __init__(self, modules: Sequence[str], variables: Mapping[str, str] | None = None) -> None:
        self.is_used = True
        self._modules = modules
        self._variables = variables or {}
        self._control: socket.socket | None = None

    def popen(
        self,
        command: Sequence[str],
        *,
        env: Mapping[str, str],
        cwd: str | Path | None = None,
        stdout: int = 1,
        stderr: int = 2,
        pass_fds: Sequence[int] = (),
        **same: Any,
    ) -> Any:
        """Begin what ``subprocess.Popen`` would begin, which does it where that is no fork.

        Args:
            command: The interpreter, and ``-m openenv_gym.cli`` or a file, with arguments.
            env: Its environment variables.
            cwd: Its folder, that of this process unless given.
            stdout: Where it prints.
            stderr: Where it prints errors.
            pass_fds: What else it inherits.
            **same: As for ``Popen``. In a fork stdin is empty, and it leads a process group.
        """
        python, *names = command
        is_known = names[:2] == ["-m", SERVER] or names[0].endswith(".py")
        if not self.is_used or python != sys.executable or not is_known:
            fds: Any = {"stdout": stdout, "stderr": stderr, "pass_fds": pass_fds}
            return subprocess.Popen(command, env=env, cwd=cwd, **fds, **same)
        request = json.dumps([names, dict(env), str(cwd or os.getcwd()), list(pass_fds)])
        ours, theirs = socket.socketpair()
        with theirs:
            inherited = [theirs.fileno(), stdout, stderr, *pass_fds]
            socket.send_fds(self._control or self._begin(), [request.encode()], inherited)
        return Forked(ours)

    def stop(self) -> None:
        """End the interpreter; what it has forked goes on."""
        if self._control is not None:
            self._control.close()
            self._process.wait()

    def _begin(self) -> socket.socket:
        self._control, there = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        control = str(there.fileno())
        with there:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "tests.support.preloaded", control, *self._modules],
                env={**os.environ, **self._variables},
                cwd=Path(__file__).parents[2],
                stdin=subprocess.DEVNULL,
                pass_fds=(there.fileno(),),
                process_group=0,  # Ctrl-C in a terminal does not reach it
            )
        return self._control


class Forked:
    """A process that :class:`Preloaded` has forked, with what launchers use of ``Popen``.

    Args:
        told: Brings its process id first, and how it ended last.
    """

    def __init__(self, told: socket.socket) -> None:
        self._told = told
        self.returncode: int | None = None
        self.pid = self._read()

    def poll(self) -> int | None:
        """Return how it ended, None while it runs."""
        try:
            return self.wait(0)
        except subprocess.TimeoutExpired:
            return None

    def wait(self, timeout: float | None = None) -> int:
        """Return how it ended."""
        if self.returncode is None:
            self._told.settimeout(timeout)
            try:
                self.returncode = self._read()
            except (BlockingIOError, TimeoutError) as exc:
                raise subprocess.TimeoutExpired(f"process {self.pid}", timeout or 0.0) from exc
            self._told.close()
        return self.returncode

    def send_signal(self, number: int) -> None:
        """Send a signal, to what has not ended."""
        if self.poll() is None:
            os.kill(self.pid, number)

    def terminate(self) -> None:
        """Ask it to end."""
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """End it."""
        self.send_signal(signal.SIGKILL)

    def _read(self) -> int:
        data = self._told.recv(_NUMBER.size, socket.MSG_WAITALL)
        (number,) = _NUMBER.unpack(data)
        return number


_NUMBER = struct.Struct("!i")


def serve_forks(control: socket.socket) -> bool:
    """Fork until the control socket closes; return whether this is a fork, whose time has come."""
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody asks how a parent of a process ended
    while True:
        request, fds, _, _ = socket.recv_fds(control, _MAX_REQUEST_BYTES, 16)
        if not request:
            return False
        if os.fork() == 0:
            control.close()
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            return _become(*json.loads(request), fds)
        for fd in fds:
            os.close(fd)


def _become(
    names: list[str], env: dict[str, str], folder: str, numbers: list[int], fds: list[int]
) -> bool:
    """Fork the process; in it, set everything as a new interpreter would find it."""
    told, *inherited = fds
    pid = os.fork()
    if pid:
        for fd in inherited:
            os.close(fd)
        os.write(told, _NUMBER.pack(pid))
        _, status = os.waitpid(pid, 0)
        os.write(told, _NUMBER.pack(os.waitstatus_to_exitcode(status)))
        os._exit(0)
    os.close(told)
    os.setpgid(0, 0)
    _place(inherited, [1, 2, *numbers])
    os.chdir(folder)
    base = [entry for entry in sys.path[1:] if entry not in _own_path()]
    os.environ.clear()
    os.environ.update(env)
    is_file = names[0] != "-m"
    first = str(Path(names[0]).parent) if is_file else folder
    sys.path[:] = [first, *_own_path(), *base]
    sys.argv = names if is_file else names[1:]
    sys.modules["numpy"].random.seed()  # as the legacy generator of a new process is
    return True


def _own_path() -> list[str]:
    return os.environ.get("PYTHONPATH", "").split(os.pathsep)


def _place(fds: list[int], numbers: list[int]) -> None:
    """Give descriptors the numbers that the process is told they have."""
    apart = [fcntl.fcntl(fd, fcntl.F_DUPFD, _ABOVE_ALL) for fd in fds]
    os.closerange(_STANDARD, _ABOVE_ALL)
    for fd, number in zip(apart, numbers, strict=True):
        os.dup2(fd, number, inheritable=True)
        os.close(fd)


def _main(control: str, *modules: str) -> None:
    for name in modules:
        importlib.import_module(name)
    if serve_forks(socket.socket(fileno=int(control))):
        if sys.argv[0] == SERVER:
            runpy.run_module(SERVER, run_name="__main__", alter_sys=True)
        else:
            runpy.run_path(sys.argv[0], run_name="__main__")


if __name__ == "__main__":
    _main(*sys.argv[1:])
