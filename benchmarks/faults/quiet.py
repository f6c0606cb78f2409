"""Where processes that are started write what they say on stderr: faults are noisy."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path


@contextlib.contextmanager
def stderr_to(path: str | Path = os.devnull) -> Iterator[None]:
    """Have stderr, of what is started meanwhile too, written to the end of a file."""
    kept = os.dup(2)
    file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    try:
        os.dup2(file, 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(file)
