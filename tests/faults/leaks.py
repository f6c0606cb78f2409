"""What is left of environments that were closed: processes, sessions, files, descriptors."""

from __future__ import annotations

import contextlib
import os
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from openenv_gym.launchers.embedded import EMBEDDED
from tests.conftest import own_descendants
from tests.support.family import workers_of

WAIT_S = 60.0  # only what is left for good takes as long
SHARED_MEMORY = "shared memory"
_OF_OTHERS = "torchinductor_"


@contextlib.contextmanager
def use_folder(folder: Path) -> Iterator[None]:
    """Have temporary files made in ``folder``, by processes that are started meanwhile too."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TMPDIR", str(folder))
        patch.setattr(tempfile, "tempdir", None)
        yield


def is_of_others(path: str) -> bool:
    """Whether a file is in use by a process that is none of ours: all share one shared memory."""
    here = psutil.Process()
    own = {here.pid, *(process.pid for process in here.children(recursive=True))}
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):  # it has ended, or is not to be looked at
            if process.pid not in own and path in _files_of(process):
                return True
    return False


def _files_of(process: psutil.Process) -> set[str]:
    mapped = {each.path for each in process.memory_maps()}
    return mapped | {each.path for each in process.open_files()}


class Leaks:
    """Compares what there is with what there was when this was made.

    Embedded workers are ended before and after, since one that idles is no leak.

    Args:
        server: Whose worker processes are counted; each is a session, or waits for one.
    """

    def __init__(self, server: Any = None) -> None:
        self._server = server
        EMBEDDED.stop()
        self._spares = 1 if server is not None else 0  # as many as `serve` has unless told
        self._before = self._here()

    def found(self) -> list[str]:
        """Return what is left, after a while at most."""
        EMBEDDED.stop()
        end_s = time.monotonic() + WAIT_S
        while (left := self._left()) and time.monotonic() < end_s:
            time.sleep(0.05)
        return left

    def _left(self) -> list[str]:
        now = self._here()
        new = {name: now[name] - known for name, known in self._before.items()}
        new[SHARED_MEMORY] = {
            name for name in new[SHARED_MEMORY] if not is_of_others(f"/dev/shm/{name}")
        }
        left = [f"{name}: {names}" for name, names in new.items() if names]
        workers = self._workers()
        if workers > self._spares:
            left.append(
                f"{workers} workers of the server, {self._spares} of them wait for a session"
            )
        return left

    def _here(self) -> dict[str, set[Any]]:
        children = {process.pid for process in own_descendants()} if self._server is None else set()
        return {
            "children": children,
            "descriptors": set(range(psutil.Process().num_fds())),
            SHARED_MEMORY: set(os.listdir("/dev/shm")) if os.path.isdir("/dev/shm") else set(),
            "temporary files": {
                name
                for name in os.listdir(tempfile.gettempdir())
                if not name.startswith(_OF_OTHERS)
            },
        }

    def _workers(self) -> int:
        return 0 if self._server is None else len(workers_of(self._server.pid))
