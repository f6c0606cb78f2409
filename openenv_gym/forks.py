"""Forks: what a child leaves alone of its parent's, and what it begins anew."""

from __future__ import annotations

import os
import weakref
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


def in_children(act: Callable[[T], object]) -> weakref.WeakSet[T]:
    """Return a set, for each object of which ``act`` is called in a forked child.

    It is called before anything else runs there, and again in the children of that child.
    """
    objects: weakref.WeakSet[T] = weakref.WeakSet()

    def act_on_all() -> None:
        for each in list(objects):
            act(each)

    if hasattr(os, "register_at_fork"):
        os.register_at_fork(after_in_child=act_on_all)
    return objects
