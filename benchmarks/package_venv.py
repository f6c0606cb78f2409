"""Venvs of packages that cannot live in ours: made once in the checkout, for benchmarks and tests.

Needs the standard library only.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import subprocess
import venv
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

INSTALL_TIMEOUT_S = 900.0
_UNREACHABLE = (
    "NewConnectionError",
    "ConnectTimeoutError",
    "ReadTimeoutError",
    "ProxyError",
    "Temporary failure in name resolution",
    "Failed to establish a new connection",
)


class InstallError(Exception):
    """A venv that could not be made; ``is_unreachable`` for want of a package index."""

    def __init__(self, message: str, *, is_unreachable: bool = False) -> None:
        super().__init__(message)
        self.is_unreachable = is_unreachable


@dataclass(frozen=True, kw_only=True)
class PackageVenv:
    """A venv and what is in it; a stamp that is written last says so."""

    folder: Path
    packages: tuple[str, ...]  # requirements, as pip takes them
    alone: tuple[str, ...] = ()  # those that are installed without what they depend on
    pip_options: tuple[str, ...] = ()
    builders: tuple[str, ...] = ()  # those that are there first, to build the others

    @property
    def python(self) -> Path:
        return self.folder / "bin" / "python"

    @property
    def is_made(self) -> bool:
        """Whether everything is in it, and nothing else was asked for."""
        return self._stamp.is_file() and self._stamp.read_text() == self._contents

    def make(self) -> Path:
        """Return its interpreter, after making it where it is not there yet.

        Several processes may ask at the same time: one makes it, the others wait for that.

        Raises:
            InstallError: it cannot be made, or a package cannot be installed.
        """
        self.folder.mkdir(exist_ok=True)
        with _locked(self.folder):
            if not self.is_made:
                self._make()
        return self.python

    def _make(self) -> None:
        try:
            venv.create(self.folder, clear=True, with_pip=True)
        except (OSError, subprocess.CalledProcessError) as exc:
            raise InstallError(f"there is no venv: {exc}") from exc
        if self.builders:
            self._install(*self.builders)
        if self.alone:
            self._install("--no-deps", *self.alone)
        self._install(*self.packages)
        self._stamp.write_text(self._contents)

    @property
    def _stamp(self) -> Path:
        return self.folder / ".installed"

    @property
    def _contents(self) -> str:
        alone = [f"{name} (alone)" for name in self.alone]
        return "\n".join([*self.packages, *alone, *self.builders])

    def _install(self, *arguments: str) -> None:
        # Retries are also what pip says of an index that it cannot reach.
        options = ["--quiet", "--disable-pip-version-check", "--retries=2", *self.pip_options]
        command = [str(self.python), "-m", "pip", "install", *options, *arguments]
        limits = {"timeout": INSTALL_TIMEOUT_S, "text": True}
        try:
            done = subprocess.run(command, capture_output=True, check=False, **limits)
        except OSError as exc:
            raise InstallError(f"pip cannot be run: {exc}") from exc
        except subprocess.TimeoutExpired:
            raise InstallError(f"pip took over {INSTALL_TIMEOUT_S:g} s") from None
        if done.returncode:
            raise InstallError(
                f"pip said {last_line(done.stderr)!r}",
                is_unreachable=any(sign in done.stderr for sign in _UNREACHABLE),
            )


@contextlib.contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Hold a lock on a folder, which ends with the process that holds it."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def last_line(text: str) -> str:
    """Return the last line of ``text`` that says something."""
    return next((line.strip() for line in reversed(text.splitlines()) if line.strip()), "nothing")
