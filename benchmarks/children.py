"""Child processes that are spoken to line by line, and that are ended by their own id."""

import contextlib
import os
import select
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Self

ROOT = Path(__file__).parents[1]
GRACE_S = 5.0
ANSWER_TIMEOUT_S = 120.0


class BenchmarkError(Exception):
    """A benchmark cannot run; the message says in one sentence why, and what to do."""


class Child:
    """A process with pipes for stdin and stdout, which leads a process group of its own.

    It is expected to end when its stdin does, and so it does even when this process is killed.

    It can import from the repository; what ``PYTHONPATH`` has besides is for our own Python only.
    """

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        *,
        pass_fds: Sequence[int] = (),
        environ: Mapping[str, str] | None = None,
    ) -> None:
        self._name, self._unread = name, b""
        own = os.environ.get("PYTHONPATH", "") if command[0] == sys.executable else ""
        path = os.pathsep.join(
            [str(ROOT), *map(os.path.abspath, filter(None, own.split(os.pathsep)))]
        )
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            bufsize=0,  # `select` sees nothing of what a buffer has read ahead
            pass_fds=pass_fds,
            process_group=0,  # Ctrl-C reaches this process only, which ends its children in order
            env={**os.environ, **(environ or {}), "PYTHONPATH": path},
        )
        assert self._process.stdin is not None and self._process.stdout is not None
        self._stdin, self._stdout = self._process.stdin, self._process.stdout

    @property
    def pid(self) -> int:
        return self._process.pid

    def kill(self) -> None:
        """End it and its process group at once, and wait until it is gone."""
        with contextlib.suppress(ProcessLookupError):  # all of them have ended
            os.killpg(self.pid, signal.SIGKILL)
        self._process.wait()

    def ask(self, line: str) -> str:
        """Write a line, and return the line that answers it."""
        try:
            self._stdin.write(f"{line}\n".encode())
        except BrokenPipeError:
            raise BenchmarkError(f"{self._name} ended; what it said is above") from None
        return self.line()

    def line(self, timeout_s: float = ANSWER_TIMEOUT_S) -> str:
        """Return the next line that it prints."""
        end_s = time.monotonic() + timeout_s
        while b"\n" not in self._unread:
            left_s = max(0.0, end_s - time.monotonic())
            if not select.select([self._stdout], [], [], left_s)[0]:
                raise BenchmarkError(f"{self._name} said nothing for {timeout_s:g} s")
            data = os.read(self._stdout.fileno(), 1 << 16)
            if not data:
                raise BenchmarkError(f"{self._name} ended early; what it said is above")
            self._unread += data
        line, _, self._unread = self._unread.partition(b"\n")
        return line.decode()

    def stop(self) -> None:
        """Close its stdin, and end it by force if it does not leave."""
        self._stdin.close()
        for insist in (self._process.terminate, self._process.kill):
            try:
                self._process.wait(GRACE_S)
                break
            except subprocess.TimeoutExpired:
                insist()
        self._process.wait()
        self._stdout.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.stop()


@contextlib.contextmanager
def stderr_to(path: str | Path = os.devnull) -> Iterator[None]:
    """Append stderr to a file, that of processes which are started meanwhile too."""
    before = os.dup(2)
    file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    try:
        os.dup2(file, 2)
        yield
    finally:
        os.dup2(before, 2)
        os.close(before)
        os.close(file)


def end_with_stdin() -> None:
    """End this process when stdin ends."""

    def wait() -> None:
        while os.read(0, 1):
            pass
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=wait, name="lifeline", daemon=True).start()
