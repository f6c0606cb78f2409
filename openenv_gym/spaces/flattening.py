"""``flatten=True``: observations as one row of numbers, actions as algorithms take them.

Stable-Baselines3 and others want an observation that is a ``Box`` with an axis, and an action that
is a ``Discrete``, a ``MultiDiscrete`` or a ``Box``, with one axis and counted from zero. Here the
numbers of any other space are laid side by side, and an action is put together again before it is
sent.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any, NamedTuple

import gymnasium.spaces as gs
import numpy as np

from openenv_gym.errors import SpaceError
from openenv_gym.spaces.budget import SpaceBudget
from openenv_gym.spaces.descriptor import Space
from openenv_gym.spaces.fields import paths_of
from openenv_gym.spaces.infer_sides import Side
from openenv_gym.spaces.open_ends import open_ends
from openenv_gym.spaces.schema_space import object_of

_MOST_NUMBERS = 1 << 24


class Flattening(NamedTuple):
    """A flat space, and what leads to it or back.

    Attributes:
        space: The flat space.
        convert: Returns the flat observation of an observation; or the action of a flat action.
    """

    space: Space
    convert: Callable[[Any], Any]


def flat_observation(side: Side, *, is_asked: bool, budget: SpaceBudget) -> tuple[Side, Flattening]:
    """Return the fields of numbers, and how they become one row.

    The row is the one of ``gymnasium.wrappers.FlattenObservation``.

    Args:
        side: The observation side.
        is_asked: Whether the caller named the fields or the space. Otherwise those of texts and
            lists are left to the info, and the side says so.
        budget: What is left to make spaces with.

    Raises:
        SpaceError: there are no numbers, or a field that was asked for has none.
    """
    form, names = side.form, paths_of(side.key)
    forms = {names[0]: form} if isinstance(side.key, str) else form.fields
    spaces = {name: forms[name].space for name in names}
    left_out = {name: space for name, space in spaces.items() if not _is_flat(space)}
    numeric = [name for name in names if name not in left_out]
    if not numeric or (left_out and is_asked):
        shown = ", ".join(f"$.observation.{name} ({space})" for name, space in left_out.items())
        raise SpaceError(
            f"flatten=True lays numbers side by side, got {shown}; name fields of numbers with "
            "observation_key=, or give their space with observation_space="
        )
    if left_out:
        warnings = tuple(
            f"$.observation.{name}: flatten=True has no numbers for it, so that it is in the info "
            "alone; name the fields with observation_key="
            for name in left_out
        )
        fields = {name: form.fields[name] for name in numeric}
        key, form = tuple(numeric), object_of(fields, {})
        side = replace(side, key=key, form=form, warnings=side.warnings + warnings)
    space: Any = side.form.space
    if gs.flatdim(space) > _MOST_NUMBERS:
        raise SpaceError(
            f"flatten=True gives at most {_MOST_NUMBERS} numbers, got {gs.flatdim(space)} for "
            f"{space}; name other fields with observation_key="
        )
    dtype = space.dtype if isinstance(space, gs.Box) else np.dtype(np.float64)
    budget.array((gs.flatdim(space),), dtype, "$.observation")
    return side, Flattening(gs.flatten_space(space), lambda value: gs.flatten(space, value))


def flat_action(side: Side) -> Flattening:
    """Return how a flat action becomes the action.

    Raises:
        SpaceError: the action is no number, has no bounds, or has numbers of both kinds.
    """
    path = f"$.action.{side.key}" if isinstance(side.key, str) else "$.action"
    space = side.form.space
    parts = list(_parts(space, path))
    kinds = {part.counts is None for part in parts}
    if len(kinds) != 1:
        got = f"both in {space}" if kinds else "nothing to choose"
        raise SpaceError(
            f"{path}: flatten=True makes an action of choices or of floats, got {got}; fix a "
            "part with fixed_action=, or choose one with action_key="
        )
    flat: Space
    if kinds == {True}:
        lows, highs = zip(*[part.ends for part in parts], strict=True)
        low, high = (np.concatenate(ends).astype(np.float32) for ends in (lows, highs))
        flat = gs.Box(low, high, low.shape, np.float32)
    else:
        counts = np.concatenate([part.counts for part in parts])
        flat = gs.MultiDiscrete(counts) if len(counts) > 1 else gs.Discrete(int(counts[0]))
    return Flattening(flat, lambda value: _unflat(space, np.ravel(value))[0])


class _Part(NamedTuple):
    """One array or number of an action.

    Attributes:
        counts: How many choices each of its numbers has; None for floats.
        ends: The bounds of its floats.
    """

    counts: Any
    ends: Any = None


def _is_flat(space: Any) -> bool:
    if isinstance(space, gs.Dict):
        return all(map(_is_flat, space.spaces.values()))
    if isinstance(space, gs.Tuple):
        return all(map(_is_flat, space.spaces))
    return isinstance(space, gs.Box | gs.Discrete | gs.MultiDiscrete | gs.MultiBinary)


def _parts(space: Any, path: str) -> Iterator[_Part]:
    if isinstance(space, gs.Dict):
        for name, child in space.spaces.items():
            yield from _parts(child, f"{path}.{name}")
    elif isinstance(space, gs.Tuple):
        for number, child in enumerate(space.spaces):
            yield from _parts(child, f"{path}[{number}]")
    elif isinstance(space, gs.Box) and space.dtype.kind == "f":
        yield _Part(None, (space.low.ravel(), space.high.ravel()))
    else:
        yield _Part(_counts(space, path))


def _counts(space: Any, path: str) -> Any:
    if isinstance(space, gs.Discrete):
        return np.array([int(space.n)])
    if isinstance(space, gs.MultiDiscrete):
        return space.nvec.ravel()
    if isinstance(space, gs.MultiBinary):
        return np.full(int(np.prod(space.shape)), 2)
    if isinstance(space, gs.Box):
        if ends := open_ends(space, path):
            raise SpaceError(f"{ends[0]}, which flatten=True needs; pass action_space=")
        about = space.high.astype(np.float64) - space.low.astype(np.float64)
        if (about <= _MOST_NUMBERS).all():  # so that the exact numbers do not overflow
            return (space.high.astype(np.int64) - space.low.astype(np.int64) + 1).ravel()
    raise SpaceError(
        f"{path}: flatten=True makes an action of numbers, got {space}; choose another field with "
        "action_key= or fixed_action=, or give a space with action_space="
    )


def _unflat(space: Any, row: Any) -> tuple[Any, Any]:
    """Return the value of ``space`` at the beginning of ``row``, and the rest of the row."""
    if isinstance(space, gs.Dict):
        values = {}
        for name, child in space.spaces.items():
            values[name], row = _unflat(child, row)
        return values, row
    if isinstance(space, gs.Tuple):
        items = []
        for child in space.spaces:
            item, row = _unflat(child, row)
            items.append(item)
        return tuple(items), row
    if isinstance(space, gs.Discrete):
        return int(row[0]) + int(space.start), row[1:]
    size = int(np.prod(space.shape))
    numbers, rest = row[:size].reshape(space.shape), row[size:]
    if isinstance(space, gs.MultiDiscrete):
        numbers = numbers + space.start
    elif isinstance(space, gs.Box):
        is_float = space.dtype.kind == "f"  # whose bounds were rounded
        numbers = np.clip(numbers, space.low, space.high) if is_float else numbers + space.low
    return np.asarray(numbers).astype(space.dtype), rest
