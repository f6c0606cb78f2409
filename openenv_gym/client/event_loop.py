"""One event loop in a daemon thread, so that blocking code can drive what is asynchronous.

All asynchronous clients of a process share it: it answers their pings while the caller computes,
and several requests are under way at once.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Coroutine
from concurrent.futures import Future
from typing import Any

from openenv_gym.forks import in_children


class LoopThread:
    """Starts its loop when it is first needed, and another one in a forked child."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._inherited: list[asyncio.AbstractEventLoop] = []

    @property
    def loop(self) -> asyncio.AbstractEventLoop:
        """The loop, which runs."""
        with self._lock:
            if self._loop is None:
                self._loop = asyncio.new_event_loop()
                name = "openenv-gym-event-loop"
                threading.Thread(target=self._loop.run_forever, name=name, daemon=True).start()
            return self._loop

    def submit(self, coroutine: Coroutine[Any, Any, Any]) -> Future[Any]:
        """Run ``coroutine`` on the loop, and return the future of its result."""
        return asyncio.run_coroutine_threadsafe(coroutine, self.loop)

    def _forked(self) -> None:
        """In a child no thread runs the loop; it is kept, because closing it closes sockets."""
        if self._loop is not None:
            self._inherited.append(self._loop)
        self._lock, self._loop = threading.Lock(), None


EVENT_LOOP = LoopThread()
"""That of this process: a socket of an asynchronous client belongs to one loop."""

in_children(LoopThread._forked).add(EVENT_LOOP)
