"""A folder by which instances of ``FaultEnv`` find out who they are, across processes.

A plan names a sub-environment and its incarnation. A process that replaces a dead one has the same
arguments, so that these cannot tell its incarnation. Files outside the process count them. A living
instance holds a lock on its file; the kernel lifts the lock however the process ends.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, kw_only=True)
class FiredFault:
    """A fault that happened.

    Attributes:
        env: The number of the sub-environment, from 0.
        incarnation: The number of its incarnation, from 0.
        when: The number of the step, or ``init``, ``reset`` or ``close``.
        kind: The kind of the fault.
    """

    env: int
    incarnation: int
    when: str
    kind: str


@dataclass(frozen=True, kw_only=True)
class Claim:
    """The sub-environment that an instance is, and its incarnation.

    Attributes:
        env: The number of the sub-environment, from 0.
        incarnation: The number of earlier instances of this sub-environment.
        lock: The descriptor of its locked file, -1 for none.
    """

    env: int
    incarnation: int
    lock: int = -1

    def release(self) -> None:
        """Give up the place to the next incarnation."""
        if self.lock >= 0:
            fcntl.flock(self.lock, fcntl.LOCK_UN)  # copies in forked children give it up too
            os.close(self.lock)


class FaultLedger:
    """Counts incarnations and writes down the faults that happened.

    Args:
        folder: A folder for the ledger alone. It is made if it does not exist.
    """

    def __init__(self, folder: str | os.PathLike[str]) -> None:
        self._folder = Path(folder)
        self._folder.mkdir(parents=True, exist_ok=True)

    def incarnations(self, env: int) -> int:
        """Return how many instances have been the sub-environment ``env``."""
        path = self._path(env)
        return path.stat().st_size if path.exists() else 0

    def fired(self) -> list[FiredFault]:
        """Return the faults that happened, in their order."""
        path = self._folder / "fired"
        if not path.exists():
            return []
        lines = path.read_text(encoding="utf-8").splitlines()
        return [FiredFault(**json.loads(line)) for line in lines]

    def write(self, fault: FiredFault) -> None:
        """Write down a fault that is about to happen."""
        with open(self._folder / "fired", "ab", buffering=0) as file:  # one write: never torn
            file.write(json.dumps(vars(fault)).encode() + b"\n")

    def claim(self, env: int | None = None) -> Claim:
        """Become the next incarnation of a sub-environment.

        Args:
            env: The number of the sub-environment; None for the lowest that no living instance has.
        """
        with self._exclusive():
            number = 0 if env is None else env
            while True:
                lock = self._try_lock(number)
                if lock >= 0 or env is not None:
                    break
                number += 1
            incarnation = self.incarnations(number)
            with open(self._path(number), "ab", buffering=0) as file:
                file.write(b"+")
            return Claim(env=number, incarnation=incarnation, lock=lock)

    def peek(self, env: int | None = None) -> Claim:
        """Return what :meth:`claim` would return, without a lock and without counting."""
        with self._exclusive():
            number = 0 if env is None else env
            while env is None and self._is_held(number):
                number += 1
            return Claim(env=number, incarnation=self.incarnations(number))

    def _path(self, env: int) -> Path:
        return self._folder / f"env-{env}"

    @contextlib.contextmanager
    def _exclusive(self) -> Iterator[None]:
        with open(self._folder / "lock", "ab") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield

    def _is_held(self, env: int) -> bool:
        lock = self._try_lock(env) if self._path(env).exists() else None
        if lock is None or lock < 0:
            return lock is not None
        os.close(lock)
        return False

    def _try_lock(self, env: int) -> int:
        """Return the descriptor of the locked file of ``env``, -1 if a living instance holds it."""
        descriptor = os.open(self._path(env), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            return -1
        return descriptor
