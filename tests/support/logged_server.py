"""A server whose log is read."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.support.preloaded import Preloaded
from tests.support.waiting import wait_until

STOP_TIMEOUT_S = 60.0


@dataclass(frozen=True)
class LoggedServer:
    """A server that runs.

    Attributes:
        base_url: Its URL.
        path: The file with all that it has said.
    """

    base_url: str
    path: Path

    def log(self) -> str:
        return self.path.read_text(encoding="utf-8", errors="replace")


def logged_server(
    preloaded: Preloaded, path: Path, *arguments: str, **variables: str
) -> AbstractContextManager[LoggedServer]:
    """Run ``openenv-gym serve`` on a free port, with its output in the file ``path``.

    Args:
        preloaded: What begins the process.
        path: The file.
        *arguments: What the command is given.
        **variables: Environment variables beside those of this process.
    """
    command = [sys.executable, "-m", "openenv_gym.cli", "serve", "--port=0", *arguments]
    return running(preloaded, command, path, **variables)


@contextmanager
def running(
    preloaded: Preloaded,
    command: Sequence[str],
    path: Path,
    folder: Path | None = None,
    **variables: str,
) -> Iterator[LoggedServer]:
    """Run a command that serves, with its output in the file ``path``.

    Args:
        preloaded: What begins the process.
        command: The interpreter and what it runs.
        path: The file.
        folder: The folder that it runs in.
        **variables: Environment variables beside those of this process.
    """
    with path.open("wb") as file:
        out = file.fileno()
        environ = {**os.environ, **variables}
        process = preloaded.popen(command, env=environ, cwd=folder, stdout=out, stderr=out)
    url = re.compile(r"openenv-gym serves .* at (\S+)\n")
    try:
        wait_until(lambda: process.poll() is not None or url.search(path.read_text()) is not None)
        found = url.search(path.read_text())
        assert found is not None, path.read_text()
        yield LoggedServer(found[1], path)
    finally:
        process.terminate()
        process.wait(STOP_TIMEOUT_S)
