"""Spaces of other packages → Gymnasium's: those of gym, and the specs of dm_env.

Neither package is imported. What a space has tells what it is: bounds make a ``Box``, ``nvec`` a
``MultiDiscrete``, and so on.
"""

from __future__ import annotations

import string
from collections import OrderedDict
from collections.abc import Callable, Mapping
from typing import Any

import gymnasium.spaces as gs
import numpy as np

from openenv_gym.errors import SpaceError
from openenv_gym.spaces import from_descriptor

SIDES = ("action_space", "observation_space")
"""The arguments by which the spaces of an object are given."""

_MOST_TEXT = 1 << 16


def is_space(value: Any) -> bool:
    """Return whether ``value`` acts as a space: it can be sampled, and asked what is in it."""
    named = (getattr(value, name, None) for name in ("sample", "contains"))
    return not isinstance(value, type) and all(callable(one) for one in named)


def as_space(value: Any) -> Any:
    """Return the space that a descriptor describes, any other value as it is."""
    if not isinstance(value, dict):
        return value
    try:
        return from_descriptor(value)
    except SpaceError:
        return value


def space_of(space: Any, name: str = "space") -> gs.Space[Any]:
    """Return the space of Gymnasium that has the values of ``space``.

    A ``Dict`` keeps the order of its keys. The random state of a space is not taken over.

    Args:
        space: A space of Gymnasium, which is returned as it is, or of gym.
        name: What the space is called in messages.

    Raises:
        SpaceError: the space is none of these kinds, or Gymnasium refuses what it says.
    """
    if isinstance(space, gs.Space):
        return space
    for attribute, convert in _KINDS:
        if hasattr(space, attribute):
            try:
                return convert(space, name)
            except SpaceError:
                raise
            except (TypeError, ValueError, AssertionError, AttributeError) as exc:
                raise SpaceError(
                    f"{name}: Gymnasium takes no space as {space!r:.80}: {exc}"
                ) from exc
    raise SpaceError(
        f"{name}: expected a space of Gymnasium or gym, got {space!r:.80} "
        f"({type(space).__module__}.{type(space).__qualname__})"
    )


def _multi_discrete(space: Any, name: str) -> gs.Space[Any]:
    dtype: Any = np.dtype(space.dtype).type
    return gs.MultiDiscrete(np.array(space.nvec), dtype=dtype)


def _box(space: Any, name: str) -> gs.Space[Any]:
    dtype = np.dtype(space.dtype)
    shape = tuple(map(int, space.shape))
    low, high = (np.broadcast_to(each, shape) for each in (space.low, space.high))
    return gs.Box(low.astype(dtype), high.astype(dtype), shape, dtype.type)


def _nested(space: Any, name: str) -> gs.Space[Any]:
    inner = space.spaces
    if isinstance(inner, Mapping):
        # `gs.Dict` sorts the keys of a plain dict, but not those of an `OrderedDict`.
        return gs.Dict(
            OrderedDict((key, space_of(one, f"{name}[{key!r}]")) for key, one in inner.items())
        )
    return gs.Tuple([space_of(one, f"{name}[{number}]") for number, one in enumerate(inner)])


def _text(space: Any, name: str) -> gs.Space[Any]:
    known = getattr(space, "character_set", None)
    charset = "".join(sorted(known)) if known else string.printable
    return gs.Text(int(space.max_length), min_length=int(space.min_length), charset=charset)


def _sequence(space: Any, name: str) -> gs.Space[Any]:
    return gs.Sequence(space_of(space.feature_space, f"{name}[...]"))


def _graph(space: Any, name: str) -> gs.Space[Any]:
    edge = space.edge_space
    nodes: Any = space_of(space.node_space, f"{name}.node_space")
    edges: Any = None if edge is None else space_of(edge, f"{name}.edge_space")
    return gs.Graph(nodes, edges)


def _discrete(space: Any, name: str) -> gs.Space[Any]:
    if getattr(space, "shape", ()) in ((), None):
        return gs.Discrete(int(space.n), start=int(getattr(space, "start", 0)))
    n = space.n
    return gs.MultiBinary(int(n) if np.ndim(n) == 0 else [int(one) for one in n])


_KINDS: tuple[tuple[str, Callable[[Any, str], gs.Space[Any]]], ...] = (
    ("nvec", _multi_discrete),
    ("low", _box),
    ("spaces", _nested),
    ("max_length", _text),
    ("feature_space", _sequence),
    ("node_space", _graph),
    ("n", _discrete),
)
"""Which attribute tells a kind of space, in this order."""


def space_of_spec(spec: Any, name: str = "spec") -> gs.Space[Any]:
    """Return the space of Gymnasium that has the values of a spec of dm_env.

    Args:
        spec: An ``Array``, ``BoundedArray``, ``DiscreteArray`` or ``StringArray``, or a mapping, a
            list or a tuple of specs.
        name: What the spec is called in messages.

    Raises:
        SpaceError: it is none of these, or Gymnasium refuses what it says.
    """
    if isinstance(spec, Mapping):
        items = spec.items()
        return gs.Dict(
            OrderedDict((key, space_of_spec(one, f"{name}[{key!r}]")) for key, one in items)
        )
    if isinstance(spec, (list, tuple)):
        return gs.Tuple([space_of_spec(one, f"{name}[{at}]") for at, one in enumerate(spec)])
    if not (hasattr(spec, "shape") and hasattr(spec, "dtype")):
        raise SpaceError(f"{name}: expected a spec of dm_env, got {spec!r:.80}")
    try:
        return _leaf(spec)
    except (TypeError, ValueError, AssertionError) as exc:
        raise _refusal(name, spec, exc) from exc


def _leaf(spec: Any) -> gs.Space[Any]:
    shape = tuple(map(int, spec.shape))
    if hasattr(spec, "num_values"):
        return gs.Discrete(int(spec.num_values))
    if hasattr(spec, "string_type"):
        if shape:
            raise ValueError("an array of strings has no space")
        return gs.Text(_MOST_TEXT, min_length=0, charset=string.printable)
    dtype = np.dtype(spec.dtype)
    least, greatest = _ends(dtype)
    low = np.broadcast_to(getattr(spec, "minimum", least), shape).astype(dtype)
    high = np.broadcast_to(getattr(spec, "maximum", greatest), shape).astype(dtype)
    return gs.Box(low, high, shape, dtype.type)


def _ends(dtype: np.dtype[Any]) -> tuple[Any, Any]:
    """The least and the greatest value of a dtype."""
    if dtype.kind == "f":
        return -np.inf, np.inf
    if dtype.kind == "b":
        return False, True
    if dtype.kind not in "iu":
        raise ValueError(f"there is no space of {dtype}")
    limits = np.iinfo(dtype)
    return limits.min, limits.max


def _refusal(name: str, space: Any, exc: Exception) -> SpaceError:
    return SpaceError(f"{name}: Gymnasium takes no space as {space!r:.80}: {exc}")
