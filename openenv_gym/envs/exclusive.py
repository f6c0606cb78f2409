"""One thread at a time: a second one would take the replies of the first."""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable
from typing import Any, Concatenate, ParamSpec, Protocol, TypeVar

from openenv_gym.client.connection import concurrent_call
from openenv_gym.forks import in_children

P = ParamSpec("P")
R = TypeVar("R")


class ExclusiveUse:
    """The right to use an object, of which one thread at a time has it.

    Attributes:
        lock: Held by the thread that uses the object. It is reentrant, so that one method may call
            another, and so that an interrupt that comes before the release does not lock its own
            thread out.
        user: The identifier of the thread that had it last, of ``threading.get_ident``.
    """

    def __init__(self) -> None:
        self._begin_anew()
        _ALL.add(self)

    def _begin_anew(self) -> None:
        self.lock = threading.RLock()
        self.user = 0

    def refusal(self) -> Exception:
        """Return the error for the current thread, while another one uses the object."""
        names = {thread.ident: thread.name for thread in threading.enumerate()}
        return concurrent_call(threading.current_thread().name, names.get(self.user, ""))


# A thread of the parent that uses an object is not there in a forked child.
_ALL = in_children(ExclusiveUse._begin_anew)


class UsedExclusively(Protocol):
    """An object some methods of which are for one thread at a time."""

    _use: ExclusiveUse


SelfT = TypeVar("SelfT", bound=UsedExclusively)


def exclusive(method: Callable[Concatenate[SelfT, P], R]) -> Callable[Concatenate[SelfT, P], R]:
    """Let one thread call ``method``, and no other such method of the object meanwhile.

    Raises:
        ConcurrentCallError: Another thread is in one of them; nothing was done.
    """

    @functools.wraps(method)
    def call(self: Any, /, *args: P.args, **kwargs: P.kwargs) -> R:
        use: ExclusiveUse = self._use
        lock = use.lock
        if not lock.acquire(blocking=False):
            raise use.refusal()
        try:
            use.user = threading.get_ident()
            return method(self, *args, **kwargs)
        finally:
            lock.release()

    return call
