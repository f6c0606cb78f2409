"""What an action space leaves open: integers without bounds, arrays of any length.

Such a space is right, because the schema says no more. But a server numbers its few actions, and an
agent that samples integers without bounds hits none of them, so that whoever makes it is told. A
float without bounds is usual in Gymnasium, and algorithms that need bounds ask for them.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import singledispatch
from typing import Any

import gymnasium.spaces as gs

from openenv_gym.spaces.descriptor import Space


def open_ends(space: Space, path: str) -> list[str]:
    """Return what ``space`` leaves open, one sentence for each place.

    Texts have no bounds that matter, and neither have arrays of texts.

    >>> open_ends(gs.Sequence(gs.Discrete(3)), "$.action.cards")
    ['$.action.cards: its length is not known']

    Args:
        space: The space of an action.
        path: The path of the action, for the sentences.
    """
    return list(_open_ends(space, path))


@singledispatch
def _open_ends(space: Space, path: str) -> Iterator[str]:
    yield from ()


@_open_ends.register
def _(space: gs.Box, path: str) -> Iterator[str]:
    if space.dtype.kind not in "iu":
        return
    ends = {"minimum": space.bounded_below.all(), "maximum": space.bounded_above.all()}
    if missing := [name for name, is_known in ends.items() if not is_known]:
        yield f"{path}: its {' and '.join(missing)} {'are' if missing[1:] else 'is'} not known"


@_open_ends.register
def _(space: gs.Sequence, path: str) -> Iterator[str]:
    if _has_numbers(space.feature_space):
        yield f"{path}: its length is not known"
        yield from _open_ends(space.feature_space, f"{path}[*]")


@_open_ends.register
def _(space: gs.Dict, path: str) -> Iterator[str]:
    for name, child in space.spaces.items():
        yield from _open_ends(child, f"{path}.{name}")


@_open_ends.register(gs.Tuple)
def _(space: gs.Tuple[Any], path: str) -> Iterator[str]:
    for number, child in enumerate(space.spaces):
        yield from _open_ends(child, f"{path}[{number}]")


def _any_of(space: Any, path: str) -> Iterator[str]:
    for child in space.spaces:
        yield from _open_ends(child, path)


if hasattr(gs, "OneOf"):  # since Gymnasium 1.0
    _open_ends.register(gs.OneOf, _any_of)


def _has_numbers(space: Space) -> bool:
    return isinstance(space, gs.Box | gs.Discrete | gs.MultiDiscrete | gs.MultiBinary)
