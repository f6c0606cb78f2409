"""Waiting for what others do."""

from __future__ import annotations

import time
from collections.abc import Callable


def wait_until(is_so: Callable[[], bool], timeout_s: float = 30.0) -> None:
    """Wait for a condition; it is an error if that takes longer than ``timeout_s``."""
    end_s = time.monotonic() + timeout_s
    while not is_so():
        assert time.monotonic() < end_s
        time.sleep(0.02)
