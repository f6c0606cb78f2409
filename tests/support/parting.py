"""An environment that leaves traces of its end, registered when this is imported."""

from __future__ import annotations

import atexit
import ctypes
import os
import time
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium import spaces

HANGS = 1
"""The action after which closing never ends."""

_kept: list[Any] = []
"""What is freed with the interpreter, and not before."""


class _Freed:
    def __init__(self, file: Path) -> None:
        self._file, self._pid = file, os.getpid()
        self._write = os.write  # a module may be empty when an interpreter is taken apart
        self._fd = os.open(file, os.O_CREAT | os.O_WRONLY)

    def __del__(self) -> None:
        self._write(self._fd, b"freed")


class Parting(gym.Env[np.ndarray, int]):
    """Takes a moment to close, and says when it did.

    Args:
        folder: Where it leaves ``closed`` with the times of the beginning and the end of each
            closing, ``atexit`` when the handlers run, and ``freed``, which is written into when the
            interpreter is taken apart.
        close_s: How long closing takes.
        is_loud: Whether it prints what stays in the buffers of Python and C until they are flushed.
    """

    def __init__(self, folder: str, close_s: float = 0.0, is_loud: bool = False) -> None:
        self.action_space = spaces.Discrete(2)
        self.observation_space = spaces.Box(-1, 1, (1,), np.float32)
        self._folder, self._close_s, self._is_loud = Path(folder), close_s, is_loud
        self._hangs = False
        atexit.register((self._folder / "atexit").touch)
        _kept.append(_Freed(self._folder / "freed"))

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None):
        super().reset(seed=seed)
        return np.zeros(1, np.float32), {}

    def step(self, action: int):
        self._hangs = action == HANGS
        return np.zeros(1, np.float32), 0.0, False, False, {}

    def close(self) -> None:
        begin = time.monotonic()
        time.sleep(3600 if self._hangs else self._close_s)
        if self._is_loud:
            print("from Python", end="")
            ctypes.CDLL(None).printf(b"from C")
        line = f"{begin} {time.monotonic()}\n".encode()
        fd = os.open(self._folder / "closed", os.O_CREAT | os.O_APPEND | os.O_WRONLY)
        os.write(fd, line)
        os.close(fd)


gym.register("Parting-v0", Parting)
