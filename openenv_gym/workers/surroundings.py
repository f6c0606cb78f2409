"""What a process has around it, apart from its modules: variables, import path and folder."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

_OF_EACH_TEST = ("PYTEST_CURRENT_TEST",)
"""Variables that change all the time, and are nobody's setting."""


@dataclass(frozen=True)
class Surroundings:
    """The variables, the import path and the folder of a process.

    Attributes:
        variables: The items of ``os.environ``, without ``unwatched``.
        path: The strings of ``sys.path``.
        folder: The current folder; None where it is gone.
        unwatched: Variables of which two processes may have different values and be equal.
        former_path: Folders that were in ``path``, and whose modules the process may still have.
    """

    variables: Mapping[str, str]
    path: tuple[str, ...]
    folder: str | None
    unwatched: Mapping[str, str] = field(default_factory=dict, compare=False)
    former_path: tuple[str, ...] = field(default=(), compare=False)

    @classmethod
    def now(cls) -> Surroundings:
        """Return those of this process; other threads may change them meanwhile."""
        get = os.environ.get  # what another thread deletes is None, and no error
        variables = {name: value for name in os.environ if (value := get(name)) is not None}
        unwatched = {name: variables.pop(name) for name in _OF_EACH_TEST if name in variables}
        path = tuple(entry for entry in sys.path if isinstance(entry, str))
        try:
            folder = os.getcwd()
        except OSError:  # it was deleted
            folder = None
        return cls(variables, path, folder, unwatched)

    def after(self, last: Surroundings) -> Surroundings:
        """Return these as they follow on others: what they have loaded can be found further on."""
        former = filter(os.path.isdir, (*last.path, *last.former_path))
        return replace(self, former_path=tuple(dict.fromkeys(former)))

    @property
    def environ(self) -> dict[str, str]:
        """All variables."""
        return {**self.variables, **self.unwatched}

    @property
    def python_path(self) -> str:
        """``PYTHONPATH`` with which another interpreter imports what this one does.

        Like ``python -m``, it finds modules in the current folder too, but as one of the last
        places.
        """
        here = self.folder or ""
        entries = [entry or here for entry in (*self.path, here, *self.former_path)]
        return os.pathsep.join(dict.fromkeys(filter(None, entries)))
