"""Child processes that are spoken to line by line, and that are ended by their own id."""

from __future__ import annotations

import contextlib
import os
import select
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from benchmarks.errors import BenchmarkError

ROOT = Path(__file__).parents[1]
GRACE_S = 5.0
ANSWER_TIMEOUT_S = 120.0


class Child:
    """A process with pipes for stdin and stdout.

    It is expected to end when its stdin does, and so it does even when this process is killed.

    Args:
        name: For messages.
        command: What to run; it can import from the repository.
        pass_fds: Descriptors that it inherits.
        python_path: Further directories that it can import from.
        environ: Variables that it gets beside those of this process.
    """

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        *,
        pass_fds: Sequence[int] = (),
        python_path: Sequence[str] = (),
        environ: Mapping[str, str] | None = None,
    ) -> None:
        self._name = name
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            pass_fds=pass_fds,
            process_group=0,  # Ctrl-C reaches this process only, which ends its children in order
            text=True,
            env={
                **os.environ,
                **(environ or {}),
                "PYTHONPATH": os.pathsep.join([str(ROOT), *python_path]),
            },
        )

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    def kill(self) -> None:
        """End it at once, and wait until it is gone."""
        self._process.kill()
        self._process.wait()

    def ask(self, line: str) -> str:
        """Write a line, and return the line that answers it."""
        self.send(line)
        return self.line()

    def send(self, line: str) -> None:
        """Write a line."""
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(line + "\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            raise BenchmarkError(f"{self._name} ended; what it said is above") from None

    def line(self, timeout_s: float = ANSWER_TIMEOUT_S) -> str:
        """Return the next line that it prints; nobody reads ahead, so none is buffered."""
        stdout = self._process.stdout
        assert stdout is not None
        if not select.select([stdout], [], [], timeout_s)[0]:
            raise BenchmarkError(f"{self._name} said nothing for {timeout_s:g} s")
        line = stdout.readline()
        if not line:
            raise BenchmarkError(f"{self._name} ended early; what it said is above")
        return line.rstrip("\n")

    def stop(self) -> None:
        """Close its stdin, and end it by force if it does not leave."""
        assert self._process.stdin is not None and self._process.stdout is not None
        with contextlib.suppress(BrokenPipeError):  # it may be gone already
            self._process.stdin.close()
        for insist in (self._process.terminate, self._process.kill):
            try:
                self._process.wait(GRACE_S)
                break
            except subprocess.TimeoutExpired:
                insist()
        self._process.wait()
        self._process.stdout.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()


def own_python_path() -> list[str]:
    """Return what this process was given in ``PYTHONPATH``, for children under its Python."""
    return [os.path.abspath(part) for part in os.environ.get("PYTHONPATH", "").split(os.pathsep)]


def seconds_until_line(name: str, command: Sequence[str]) -> float:
    """Return the seconds from the start of a process until it has printed a line."""
    started = time.perf_counter()
    with Child(name, command, python_path=own_python_path()) as child:
        child.line()
        return time.perf_counter() - started
