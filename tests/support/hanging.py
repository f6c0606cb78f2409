"""An environment that hangs in every way that one can, registered when this is imported."""

from __future__ import annotations

import ctypes
import os
import signal
import sys
import time
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium import spaces

FOREVER_S = 3600


class Hanging(gym.Env[np.ndarray, int]):
    """Observes the number of its steps; an action other than 0 does what its name says.

    Args:
        flag: A file; where it is there, this hangs while it is built, and says so in it. It may
            come later: a server builds one before it serves.
        gate: A file that a slow step waits for, which takes a second and a half without one.
    """

    SLEEP, SPIN, STOP, HOLD_GIL, IGNORE_SIGTERM, FORK, SLOW, PRINT, ALLOCATE = range(1, 10)
    WAYS = {
        "sleep": SLEEP,
        "spin": SPIN,
        "stop": STOP,
        "gil": HOLD_GIL,
        "sigterm": IGNORE_SIGTERM,
        "fork": FORK,
    }

    metadata = {"render_modes": []}

    def __init__(self, flag: str | None = None, gate: str | None = None) -> None:
        if flag is not None and os.path.exists(flag):
            with open(flag, "a") as file:
                file.write("hangs now\n")
            time.sleep(FOREVER_S)
        self._gate = gate
        self.action_space = spaces.Discrete(10)
        self.observation_space = spaces.Box(0, np.inf, (2,), np.float64)
        self._hangs_at_the_end = False

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None):
        super().reset(seed=seed)
        self.steps = 0
        if options and options.get("hang") == "reset":
            time.sleep(FOREVER_S)
        self._hangs_at_the_end = bool(options and options.get("hang") == "close")
        return self._observe(), dict(options or {})

    def step(self, action: int):
        self.steps += 1
        if action in (self.SLOW, self.SLEEP):
            print("sleeps now", file=sys.stderr, flush=True)  # for who waits for that
        if action == self.SLOW:
            self._take_long()
        elif action == self.PRINT:
            print("printed", "x" * 100_000)
            os.write(2, b"y" * 300_000 + b" the last words\n")
            os.abort()
        elif action == self.ALLOCATE:
            bytearray(8 << 30)
        elif action:
            self._hang(action)
        return self._observe(), 1.0, False, False, {}

    def close(self) -> None:
        if self._hangs_at_the_end:
            time.sleep(FOREVER_S)

    def _take_long(self) -> None:
        if self._gate is None:
            time.sleep(1.5)
        while self._gate is not None and not os.path.exists(self._gate):
            time.sleep(0.02)

    def _hang(self, action: int) -> None:
        while action == self.SPIN:
            pass
        if action == self.STOP:
            os.kill(os.getpid(), signal.SIGSTOP)
        if action == self.HOLD_GIL:
            ctypes.PyDLL(None).sleep(FOREVER_S)
        if action == self.IGNORE_SIGTERM:
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
        if action == self.FORK:
            os.fork()  # the child has the sockets too
        time.sleep(FOREVER_S)

    def _observe(self) -> np.ndarray:
        return np.array([self.steps, self.np_random.random()])


class Deadly(Hanging):
    """Ends its process while it is built where a file is there, and notes in that that it was.

    Args:
        log: The file.
    """

    def __init__(self, log: str) -> None:
        super().__init__()
        if not os.path.exists(log):
            return
        with open(log, "a") as file:
            file.write("built\n")
        print("cannot go on", file=sys.stderr)
        os._exit(7)


gym.register("Hanging-v0", Hanging)
gym.register("Deadly-v0", Deadly)
