"""Python's collector of garbage."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def no_collection() -> Iterator[None]:
    """Nothing is collected, as between two collections that are far apart."""
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
