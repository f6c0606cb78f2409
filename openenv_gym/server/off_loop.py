"""Work that may take long is done beside the event loop, on which all sessions wait.

A thread does not make it free: Python runs one thread at a time, and a function in C, such as the
one that reads JSON, is not interrupted. What it is given is bounded for that reason
(:data:`openenv_gym.wire.messages.MAX_VALUES`), and all else in the thread takes turns with the
loop. It is one thread for all sessions, so that one message at a time takes the memory that its
values need.
"""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from itertools import chain, islice
from typing import Any, ParamSpec, TypeVar

import msgspec
import numpy as np

from openenv_gym.forks import in_children

P = ParamSpec("P")
T = TypeVar("T")

LONG_BYTES = 16 * 2**10
"""Up to this size work is done on the loop, because a thread costs more."""

_POINTER_BYTES = 8


class _Thread:
    """The thread, which begins with the first work."""

    def __init__(self) -> None:
        self.executor: ThreadPoolExecutor
        self.begin_anew()

    def begin_anew(self) -> None:
        """Have no thread yet: a forked child has none of its parent's."""
        self.executor = ThreadPoolExecutor(1, thread_name_prefix="openenv-gym long messages")


_thread = _Thread()
_threads = in_children(_Thread.begin_anew)
_threads.add(_thread)


async def off_loop(work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Return ``work(*args, **kwargs)``, done in a thread where the arguments are long."""
    if not is_long(args):
        return work(*args, **kwargs)
    loop = asyncio.get_running_loop()
    return await loop.run_in_executor(_thread.executor, lambda: _do(work, *args, **kwargs))


def _do(work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Do ``work`` without the collector of garbage.

    It would look at all new values again and again while they are made, and nothing is garbage yet.
    """
    collects = gc.isenabled()
    gc.disable()
    try:
        return work(*args, **kwargs)
    finally:
        if collects:
            gc.enable()


def is_long(value: Any) -> bool:
    """Return whether ``value`` is more than :data:`LONG_BYTES`, without looking at all of it.

    >>> is_long("a" * 20_000), is_long([[], {"a": [1.0] * 9000}]), is_long({"a": "b"})
    (True, True, False)
    """
    size, waiting = 0, [value]
    while waiting and size <= LONG_BYTES:
        item = waiting.pop()
        if isinstance(item, _TEXTS):
            size += len(item)
        elif isinstance(item, np.ndarray):
            size += item.nbytes
        else:
            inside = list(islice(_inside(item), LONG_BYTES))
            size += len(inside) * _POINTER_BYTES
            waiting += inside
    return size > LONG_BYTES


def _inside(item: Any) -> Iterable[Any]:
    if isinstance(item, (list, tuple)):
        return item
    if isinstance(item, dict):
        return chain(item, item.values())
    if isinstance(item, msgspec.Struct):
        return [getattr(item, name) for name in item.__struct_fields__]
    return ()


_TEXTS = (str, bytes, bytearray, memoryview)
