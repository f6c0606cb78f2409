"""Labelled spaces as Python types: ``obs.pole_angle`` and ``obs[2]`` are the same number.

A labelled array or ``Tuple`` becomes a named tuple, a labelled ``Discrete`` an ``IntEnum``. They
remain a tuple and an integer, as in JSON, so that code need not know the names.
"""

from __future__ import annotations

import re
from collections import namedtuple
from collections.abc import Callable
from enum import IntEnum
from functools import singledispatch
from typing import Any, NamedTuple

import gymnasium.spaces as gs
import numpy as np

from openenv_gym.spaces import labels_of
from openenv_gym.spaces.descriptor import Space


class Named(NamedTuple):
    """How the values of one space are shown with names.

    Attributes:
        kind: The type of the shown value; ``Any`` if the space itself has no labels.
        show: A function from a value of the space to the shown value; None if nothing in the
            space has labels.
        value: A function from a shown value back to a value of the space or to its JSON. It
            returns anything else unchanged.
    """

    kind: Any = Any
    show: Callable[[Any], Any] | None = None
    value: Callable[[Any], Any] = lambda shown: shown


@singledispatch
def named(space: Space, name: str) -> Named:
    """Return how the values of ``space`` are shown with names.

    Args:
        space: A space with labels, its own or those of its parts.
        name: The name of the class that is made.

    >>> from openenv_gym.spaces import label
    >>> named(label(gs.Discrete(2), ["left", "right"]), "Move").show(1)
    <Move.right: 1>
    """
    return Named()


@named.register(gs.Box)
@named.register(gs.MultiDiscrete)
@named.register(gs.MultiBinary)
def _(space: gs.Box | gs.MultiDiscrete | gs.MultiBinary, name: str) -> Named:
    if not labels_of(space):
        return Named()
    kind: Any = namedtuple(name, labels_of(space))  # type: ignore[misc]  # known here only
    dtype = np.dtype(space.dtype)

    def value(shown: Any) -> Any:
        if not _has_fields(shown, labels_of(space)):
            return shown
        try:
            array = np.array(shown, dtype)
        except (OverflowError, TypeError, ValueError):
            return list(shown)
        is_exact = dtype.kind == "f" or array.tolist() == list(shown)
        return array if is_exact else list(shown)

    return Named(kind, lambda array: kind(*array.tolist()), value)


@named.register
def _(space: gs.Discrete, name: str) -> Named:
    if not labels_of(space):
        return Named()
    start = int(space.start)
    members = {key: start + i for i, key in enumerate(labels_of(space))}
    kind: Any = IntEnum(name, members)  # type: ignore[misc]  # as above
    return Named(kind, kind, lambda shown: int(shown) if isinstance(shown, IntEnum) else shown)


@named.register(gs.Tuple)
def _(space: gs.Tuple[Any], name: str) -> Named:
    names = labels_of(space)
    keys = names or tuple(map(str, range(len(space.spaces))))
    children = [
        named(child, name + _camel(key)) for key, child in zip(keys, space.spaces, strict=True)
    ]
    if not names and all(child.show is None for child in children):
        return Named()
    kind: Any = namedtuple(name, names) if names else tuple

    def show(value: Any) -> Any:
        shown = [_shown(child, item) for child, item in zip(children, value, strict=True)]
        return kind(*shown) if names else tuple(shown)

    def value(shown: Any) -> Any:
        if not isinstance(shown, tuple) or len(shown) != len(children):
            return shown
        return tuple(child.value(item) for child, item in zip(children, shown, strict=True))

    return Named(kind if names else Any, show, value)


@named.register
def _(space: gs.Dict, name: str) -> Named:
    children = {key: named(child, name + _camel(key)) for key, child in space.spaces.items()}
    if all(child.show is None for child in children.values()):
        return Named()

    def show(value: Any) -> Any:
        return {key: _shown(child, value[key]) for key, child in children.items()}

    def value(shown: Any) -> Any:
        if not isinstance(shown, dict) or shown.keys() != children.keys():
            return shown
        return {key: child.value(shown[key]) for key, child in children.items()}

    return Named(Any, show, value)


def _has_fields(shown: Any, names: tuple[str, ...]) -> bool:
    """Return whether ``shown`` is a named tuple with these field names, of any class."""
    return isinstance(shown, tuple) and getattr(shown, "_fields", None) == names


def _shown(child: Named, value: Any) -> Any:
    return value if child.show is None else child.show(value)


def _camel(key: str) -> str:
    """Return the part of a class name that stands for ``key``."""
    return "".join(part.capitalize() for part in re.split(r"\W|_", key, flags=re.ASCII)) or "Item"
