"""One thread at a time: what the calls of two would do to each other's replies is refused."""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable
from typing import Any, Concatenate, ParamSpec, Protocol, TypeVar

from openenv_gym.client.connection import concurrent_call
from openenv_gym.forks import in_children

P = ParamSpec("P")
R = TypeVar("R")


class Turn:
    """Whose turn it is: that of the thread that is in; another one is refused.

    The lock is reentrant, so that a call may be made of others, and an interrupt that comes before
    it is released does not lock its own thread out. In a forked child nobody is in.
    """

    def __init__(self) -> None:
        self._begin_anew()
        _all.add(self)

    def _begin_anew(self) -> None:
        self._lock = threading.RLock()
        self._user = ""

    def __enter__(self) -> None:
        name = threading.current_thread().name
        if not self._lock.acquire(blocking=False):
            raise concurrent_call(name, self._user)
        self._user = name

    def __exit__(self, *exc: object) -> None:
        self._lock.release()


# The threads of the parent are not there to come out.
_all = in_children(Turn._begin_anew)


class TakesTurns(Protocol):
    """What has methods for one thread at a time."""

    _turn: Turn


SelfT = TypeVar("SelfT", bound=TakesTurns)


def alone(method: Callable[Concatenate[SelfT, P], R]) -> Callable[Concatenate[SelfT, P], R]:
    """Let one thread call ``method``, and no other such method of the object meanwhile.

    Raises:
        ConcurrentCallError: another thread is in one; nothing was done.
    """

    @functools.wraps(method)
    def call(self: Any, /, *args: P.args, **kwargs: P.kwargs) -> R:
        with self._turn:
            return method(self, *args, **kwargs)

    return call
