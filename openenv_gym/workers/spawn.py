"""A new interpreter that runs this package's worker or forkserver."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence

from openenv_gym.errors import ServerError
from openenv_gym.workers.surroundings import Surroundings

PYTHON_PATH = "PYTHONPATH"


class ChildProcess:
    """What is alike of the worker processes that this process has started itself."""

    returncode: int | None

    def poll(self) -> int | None:
        """Return how it ended, negative for a signal; None while it runs."""
        raise NotImplementedError

    @property
    def has_begun(self) -> bool:
        """Whether there is a process; there is, since it was started by this one."""
        return True

    @property
    def has_ended(self) -> bool:
        """Whether it runs no more."""
        return self.poll() is not None

    @property
    def is_reaped(self) -> bool:
        """Whether its process id may be another process's by now."""
        return self.returncode is not None

    def note_killed(self) -> None:
        """How it ended is known, however it did."""

    def release(self) -> None:
        """Nothing more is asked of it."""

    def forget(self) -> None:
        """In a forked child: it is not this process's to wait for, and its end no leak."""
        self.returncode = 0


class SpawnedProcess(subprocess.Popen[bytes], ChildProcess):
    """``python -m openenv_gym.workers``, which leads a process group of its own.

    What it starts is of that group, and ends with it.

    Args:
        python: The interpreter.
        fds: What it inherits: its control socket and its lifeline.
        output: The descriptor that it prints to; None for where this process prints.
        arguments: Further ones of the module.
        more_fds: What else it inherits.
        surroundings: The variables, the import path and the folder that it begins in; None for
            those of this process now.

    Raises:
        ServerError: the interpreter cannot be run, or the folder is gone.
    """

    def __init__(
        self,
        python: str,
        fds: tuple[int, int],
        output: int | None,
        arguments: Sequence[str],
        more_fds: Sequence[int] = (),
        surroundings: Surroundings | None = None,
    ) -> None:
        control, lifeline = fds
        names = [f"--control={control}", f"--lifeline={lifeline}", *arguments]
        safe_path, environ, folder = [], variables_for(python), None
        if surroundings is not None:
            safe_path, environ, folder = ["-P"], surroundings.environ, surroundings.folder
            names.append(f"--python-path={environ.get(PYTHON_PATH, '')}")
            environ[PYTHON_PATH] = surroundings.python_path
        try:
            super().__init__(
                [python, *safe_path, "-m", "openenv_gym.workers", *names],
                pass_fds=(*fds, *more_fds),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                env=environ,
                cwd=folder,
                process_group=0,
            )
        except OSError as exc:
            where = f" in {folder}" if folder else ""
            raise ServerError(f"cannot run a worker with {python}{where}: {exc}") from exc


def variables_for(python: str) -> dict[str, str]:
    """Return the environment variables of a process of ``python``.

    It imports what this process does, unless its interpreter is another.
    """
    if python != sys.executable:
        return dict(os.environ)
    return {**os.environ, PYTHON_PATH: os.pathsep.join(filter(None, sys.path))}
