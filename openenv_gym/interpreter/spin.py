"""How long to look again before a wait goes to sleep: as long as that has paid lately."""

from __future__ import annotations

import os
import time
from typing import Callable, TypeVar

T = TypeVar("T")

SPIN_S = 200e-6
"""How long to look again before going to sleep: longer than a round trip through a server."""

_MAX_MISSES = 6

offer_core: Callable[[], None] = getattr(os, "sched_yield", lambda: None)
"""Offers the core to whoever wants it, the peer among them; called between two looks."""


class AdaptiveSpin:
    """Decides in each wait whether to look again for a moment, by what came of it before.

    After a miss, one of the next two waits is slept through from its beginning; after further
    misses 3 of 4, 7 of 8, up to 63 of 64. So a slow peer costs next to nothing, and one that has
    become quick is noticed within 64 waits.
    """

    def __init__(self) -> None:
        self._misses = 0
        self._skips = 0

    def should_look(self) -> bool:
        """Return whether to look again in this wait."""
        if self._skips:
            self._skips -= 1
            return False
        return True

    def hit(self) -> None:
        """Note that something came while we looked."""
        self._misses = 0

    def miss(self) -> None:
        """Note that nothing came."""
        self._misses = min(self._misses + 1, _MAX_MISSES)
        self._skips = (1 << self._misses) - 1

    def wait(self, look: Callable[[], T | None]) -> T | None:
        """Return what ``look`` finds, or None where it is time to sleep.

        Args:
            look: Returns None, or raises ``BlockingIOError``, while there is nothing.
        """
        if self._skips:  # as should_look(), in line, because each step waits
            self._skips -= 1
            return None
        end_s = time.perf_counter() + SPIN_S
        while True:
            try:
                found = look()
            except BlockingIOError:
                found = None
            if found is not None:
                self._misses = 0
                return found
            if time.perf_counter() > end_s:
                self.miss()
                return None
            offer_core()
