"""Which tests run in one process after another: those of a file, and those of one OpenEnv."""

from __future__ import annotations

import re

from xdist.scheduler import LoadScopeScheduling

_GENERATION = re.compile(r"tests/compat/.*\[(0\.\d+)[-\]]")


class ByFileOrGeneration(LoadScopeScheduling):
    """Begins files in their order; the servers of a generation are begun for all its files."""

    def _split_scope(self, nodeid: str) -> str:
        generation = _GENERATION.match(nodeid)
        return generation[1] if generation else nodeid.partition("::")[0]
