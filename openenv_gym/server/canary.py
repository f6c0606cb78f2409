"""Whether environments can be built: the server finds out by itself, once somebody could not.

A client whose environment cannot be built may have asked for something odd: a render mode without a
screen, or more sub-environments than there is memory for. So its failure does not count, or one
client could have the server taken out of service. It makes the server build one as it was started
with, and close it again; that one is the canary. While the canary fails, every look at it sends
another one, at most every few seconds, so that an environment that can be built again is found
without a client that tries.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable

from openenv_gym.errors import OpenEnvGymError

PERIOD_S = 2.0
"""Not more often than this a canary is sent."""


class Canary:
    """Knows whether the last environment that the server built for itself could be built.

    Args:
        build: Builds an environment and closes it.
        clock: Returns seconds that only grow.

    Attributes:
        failure: The first line of why the last one failed; "" where none has, or one was opened
            since.
    """

    def __init__(
        self, build: Callable[[], Awaitable[object]], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._build = build
        self._clock = clock
        self._next_s = clock()
        self._task: asyncio.Task[None] | None = None
        self.failure = ""

    def opened(self) -> None:
        """Note that an environment was opened, for whomever."""
        self.failure = ""

    def send(self) -> None:
        """Build another environment, unless one is under way or was just built."""
        is_under_way = self._task is not None and not self._task.done()
        if is_under_way or self._clock() < self._next_s:
            return
        self._next_s = self._clock() + PERIOD_S
        self._task = asyncio.ensure_future(self._try())

    def look(self) -> str:
        """Return why environments cannot be built, "" where they can, as far as is known."""
        if self.failure:
            self.send()
        return self.failure

    async def _try(self) -> None:
        try:
            await self._build()
        except OpenEnvGymError as exc:
            self.failure = str(exc).partition("\n")[0] or type(exc).__name__
        else:
            self.failure = ""

    async def stop(self) -> None:
        """Give up what is under way."""
        task, self._task = self._task, None
        if task is not None and not task.done():
            task.cancel()
            await asyncio.wait({task})

    def forget(self) -> None:
        """Go on in another event loop, or in a forked child: what was under way is gone."""
        self._task = None
