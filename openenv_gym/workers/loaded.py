"""Which version of which source file a worker has loaded a module from.

The worker writes a line for each module when it loads it, to a file without a name, so that the
process that started it can look there at any time and waits for nobody. A version is the time of a
file and its size, by which Python itself tells whether a compiled file is up to date. Packages that
are installed, and Python's own, are left out: nobody edits them.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from importlib.machinery import SourceFileLoader
from typing import Any, NamedTuple

from openenv_gym.workers.output import file_without_a_name

_INSTALLED = tuple(f"{os.sep}{name}{os.sep}" for name in ("site-packages", "dist-packages"))
_OWN = (os.path.dirname(os.__file__) + os.sep, os.path.dirname(os.path.dirname(__file__)) + os.sep)


class Version(NamedTuple):
    """A version of a source file.

    Attributes:
        path: The file.
        time_s: When it was last changed.
        size: How many bytes it has.
    """

    path: str
    time_s: float
    size: int

    def now(self) -> Version:
        """Return the version that would be loaded now; this one where the file is gone."""
        try:
            found = os.stat(self.path)
        except OSError:
            return self
        return Version(self.path, found.st_mtime, found.st_size)


class Loaded:
    """What a worker has loaded, as it says itself.

    Attributes:
        fd: The descriptor for the worker, for :func:`tell_loaded`.
    """

    def __init__(self) -> None:
        self.fd = file_without_a_name()
        self._read_bytes = 0
        self._versions: dict[str, Version] = {}

    def versions(self) -> Mapping[str, Version]:
        """Return the version of each module, by name; what is reloaded has the newest."""
        if self.fd >= 0 and os.fstat(self.fd).st_size > self._read_bytes:
            new = os.pread(self.fd, os.fstat(self.fd).st_size - self._read_bytes, self._read_bytes)
            new = new[: new.rfind(b"\n") + 1]
            self._read_bytes += len(new)
            for line in new.splitlines():
                name, *version = json.loads(line)
                self._versions[name] = Version(*version)
        return self._versions

    def close(self) -> None:
        """Close our descriptor; what was read stays."""
        if self.fd >= 0:
            self.versions()
            os.close(self.fd)
            self.fd = -1


def tell_loaded(fd: int) -> None:
    """Have this process write to ``fd`` what it loads from now on, see :class:`Loaded`."""
    path_stats = SourceFileLoader.path_stats

    def telling(loader: SourceFileLoader, path: str) -> Mapping[str, Any]:
        stats = path_stats(loader, path)
        if not path.startswith(_OWN) and not any(part in path for part in _INSTALLED):
            line = json.dumps([loader.name, path, stats["mtime"], stats["size"]])
            os.write(fd, line.encode() + b"\n")
        return stats

    SourceFileLoader.path_stats = telling  # type: ignore[assignment,method-assign]  # called at each load
