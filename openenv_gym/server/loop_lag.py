"""How late the event loop is: a callback that is due twice a second, and notes when it came."""

from __future__ import annotations

import asyncio
import time

PERIOD_S = 0.5


class LoopLag:
    """Measures one event loop after the other."""

    def __init__(self) -> None:
        self._handle: asyncio.TimerHandle | None = None
        self._due_s = 0.0
        self._late_s = 0.0

    @property
    def lag_s(self) -> float:
        """How late the last callback came, or how late the next one is already, in seconds."""
        if self._handle is None:
            return 0.0
        return max(0.0, self._late_s, time.monotonic() - self._due_s)

    def move(self) -> None:
        """Measure the loop that runs now; the one before may be gone."""
        self.stop()
        self._wind()

    def stop(self) -> None:
        """Measure no more."""
        if self._handle is not None:
            self._handle.cancel()
        self.forget()

    def forget(self) -> None:
        """Measure no more, in a forked child."""
        self._handle, self._late_s = None, 0.0

    def _wind(self) -> None:
        self._due_s = time.monotonic() + PERIOD_S
        self._handle = asyncio.get_running_loop().call_later(PERIOD_S, self._tick)

    def _tick(self) -> None:
        self._late_s = time.monotonic() - self._due_s
        self._wind()
