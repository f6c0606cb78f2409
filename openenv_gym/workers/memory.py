"""Memory of workers: who is killed first where there is none left, and how much one may take."""

from __future__ import annotations

import contextlib
import resource
from pathlib import Path

_KILLED_FIRST = "1000"


def be_killed_first() -> None:
    """Ask the kernel to kill this process before others where memory runs out, where it can."""
    with contextlib.suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text(_KILLED_FIRST)


def limit_memory(limit_mb: float) -> None:
    """Limit the address space of this process: what asks for more gets a ``MemoryError``."""
    limit = int(limit_mb * 2**20)
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))


def oom_kills() -> int | None:
    """Return how many processes the kernel of this machine killed for want of memory.

    None where it does not say. Those of other containers count too.
    """
    with contextlib.suppress(OSError):
        for line in Path("/proc/vmstat").read_text().splitlines():
            name, _, value = line.partition(" ")
            if name == "oom_kill":
                return int(value)
    return None
