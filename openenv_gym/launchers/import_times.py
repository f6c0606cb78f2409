"""When this process last loaded each module: with its source file as it is, or as it was."""

from __future__ import annotations

import sys
import time
from typing import Any


class ImportTimes:
    """A finder of modules that finds none, and notes what is looked for.

    ``import`` and ``importlib.reload`` ask the finders in ``sys.meta_path`` for each module that
    they load, and no other place tells when a module was loaded.
    """

    def __init__(self) -> None:
        self._begun_s = time.time()
        self._times_s: dict[str, float] = {}

    def watch(self) -> None:
        """Note from now on."""
        if self not in sys.meta_path:
            sys.meta_path.insert(0, self)

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> None:
        """Note that module ``name`` is loaded now, and leave it to the other finders."""
        self._times_s[name] = time.time()

    def is_older(self, name: str, time_s: float) -> bool:
        """Return whether this process has module ``name`` as it was before ``time_s``.

        What was loaded before :meth:`watch` is taken for loaded then.
        """
        return name in sys.modules and self._times_s.get(name, self._begun_s) < time_s
