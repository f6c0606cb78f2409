"""Hypothesis strategies: any space of Gymnasium, nested, and the values that it contains.

What Gymnasium itself cannot construct, sample or compare is left out, each with its reason.
"""

from __future__ import annotations

import functools
import math
import warnings
from collections.abc import Iterator
from typing import Any

import gymnasium.spaces as gs
import numpy as np
from hypothesis import strategies as st

Draw = st.DrawFn

SHAPES = ((), (0,), (1,), (3,), (2, 2), (0, 2), (2, 0), (2, 1, 2))
INTEGERS = tuple(np.dtype(f"{sign}int{bits}") for sign in ("", "u") for bits in (8, 16, 32, 64))
FLOATS = tuple(np.dtype(f"float{bits}") for bits in (16, 32, 64))
ODD_CHARACTERS = "]^\\-[.*$/\n\r\t\"'\u2028\0 é漢🙂𐍈azAZ09"

# Two lone surrogates beside each other are one character after JSON, and neither is UTF-8.
characters = st.sampled_from(ODD_CHARACTERS) | st.characters(exclude_categories=["Cs"])
ODD_KEYS = ("zulu", "", "$ref", "a/b~c", "é 漢", "properties", "__class__", "0")
keys = st.sampled_from(ODD_KEYS) | st.text(characters, max_size=4)


@functools.cache
def spaces(depth: int = 3) -> st.SearchStrategy[gs.Space[Any]]:
    """Any space: a leaf, or containers around leaves, up to ``depth`` of them.

    Levels, each built once, are four times as fast as ``st.recursive``.
    """
    return leaves() | _containers(spaces(depth - 1)) if depth else leaves()


@functools.cache
def leaves() -> st.SearchStrategy[gs.Space[Any]]:
    return st.one_of(
        *(boxes(), discretes(), multi_discretes(), multi_binaries(), texts()),
        st.builds(gs.Graph, elements(), st.none() | elements()),
    )


@functools.cache
def elements() -> st.SearchStrategy[gs.Space[Any]]:
    """The spaces that Gymnasium before 1.1 allows as nodes and edges."""
    return boxes() | discretes()


_shapes = st.sampled_from(SHAPES)
_dtypes = st.sampled_from((np.dtype(bool), *INTEGERS, *FLOATS))
_integers = st.sampled_from(INTEGERS)
_booleans = st.booleans()
_seeds = st.integers(0, 2**16)
_lengths = st.integers(0, 3)
_charsets = st.lists(characters, min_size=1, max_size=8, unique=True)  # none cannot be sampled


@st.composite
def boxes(draw: Draw) -> gs.Box:
    dtype, shape = draw(_dtypes), draw(_shapes)
    size = math.prod(shape) if draw(_booleans) else 1
    pairs = [sorted([draw(_bounds(dtype)), draw(_bounds(dtype))]) for _ in range(size)]
    low, high = np.array(pairs, dtype).reshape(size, 2).T
    if dtype.kind == "f":  # infinities only as Gymnasium means them: no bound on that side
        low = np.where([draw(_booleans) for _ in low], -np.inf, low).astype(dtype)
        high = np.where([draw(_booleans) for _ in high], np.inf, high).astype(dtype)
    low, high = (_spread(bound, shape) for bound in (low, high))
    return gs.Box(low, high, shape, dtype.type)


def _spread(bound: np.ndarray[Any, Any], shape: tuple[int, ...]) -> np.ndarray[Any, Any]:
    return (np.full(shape, bound[0]) if len(bound) == 1 else bound.reshape(shape)).copy()


@functools.cache
def _bounds(dtype: np.dtype[Any]) -> st.SearchStrategy[Any]:
    if dtype.kind == "b":
        return _booleans
    if dtype.kind == "f":
        width: Any = 8 * dtype.itemsize
        return st.floats(allow_nan=False, allow_infinity=False, width=width)
    limits = np.iinfo(dtype)
    corners = st.sampled_from([int(limits.min), int(limits.max), 0, 1])
    return corners | st.integers(int(limits.min), int(limits.max))


def _count(draw: Draw, dtype: np.dtype[Any]) -> tuple[int, int]:
    """A start and a count, of which ``start + n - 1`` stays within the dtype.

    Beyond it Gymnasium's arithmetic wraps, and the space contains nothing.
    """
    highest = int(np.iinfo(dtype).max)
    start = draw(_bounds(dtype))
    most = min(highest - start + 1, highest)
    return start, min(draw(_bounds(dtype)) % 2**63 or 3, most)


@st.composite
def discretes(draw: Draw) -> gs.Discrete:
    dtype = draw(_integers)
    start, n = _count(draw, dtype)
    return gs.Discrete(n, start=start, dtype=dtype.type)


@st.composite
def multi_discretes(draw: Draw) -> gs.MultiDiscrete:
    dtype, shape = draw(_integers), draw(_shapes)
    pairs = [_count(draw, dtype) for _ in range(math.prod(shape))]
    start, nvec = np.array(pairs, dtype).reshape(-1, 2).T
    return gs.MultiDiscrete(nvec.reshape(shape), dtype=dtype.type, start=start.reshape(shape))


@functools.cache
def multi_binaries() -> st.SearchStrategy[gs.Space[Any]]:
    lengths = st.lists(st.integers(1, 3), max_size=3)  # Gymnasium refuses a length of 0
    return st.builds(gs.MultiBinary, st.integers(1, 5) | lengths)


@st.composite
def texts(draw: Draw) -> gs.Text:
    least = draw(_lengths)
    charset = "".join(draw(_charsets))
    return gs.Text(least + draw(_lengths), min_length=least, charset=charset)


def _containers(child: st.SearchStrategy[Any]) -> st.SearchStrategy[gs.Space[Any]]:
    kinds = [
        st.lists(st.tuples(keys, child), max_size=4, unique_by=lambda pair: pair[0]).map(gs.Dict),
        st.lists(child, max_size=3).map(gs.Tuple),
        st.builds(gs.Sequence, child),
        st.builds(gs.Sequence, child.filter(can_stack), stack=st.just(True)),
    ]
    if hasattr(gs, "OneOf"):  # since Gymnasium 1.0
        kinds.append(st.lists(child, min_size=1, max_size=3).map(gs.OneOf))
        compound = child.filter(can_stack)  # also only since then
        kinds.append(st.builds(gs.Graph, compound, st.none() | compound))
    return st.one_of(kinds)


def can_stack(space: gs.Space[Any]) -> bool:
    """Whether Gymnasium can look into stacked values of ``space``.

    ``iterate`` fails on an empty Dict, and yields nothing for an empty Tuple, so that
    ``contains`` sees none of the values beside it; of stacked arrays without axes it yields
    scalars, which no MultiBinary and no MultiDiscrete contains.
    """
    if isinstance(space, (gs.MultiBinary, gs.MultiDiscrete)):
        return bool(space.shape)
    if isinstance(space, (gs.Dict, gs.Tuple)):
        children = space.spaces.values() if isinstance(space, gs.Dict) else space.spaces
        return bool(children) and all(map(can_stack, children))
    return True


@st.composite
def values(draw: Draw, space: gs.Space[Any]) -> Any:
    """A value of ``space``: sampled leaves, and those at the corners of what it contains."""
    return _value(space, draw)


@st.composite
def spaces_and_values(draw: Draw, depth: int = 3) -> tuple[gs.Space[Any], Any]:
    space = draw(spaces(depth))
    return space, draw(values(space))


@functools.singledispatch
def _value(space: gs.Space[Any], draw: Draw) -> Any:
    """Any value of a Discrete or MultiBinary, the kinds that every Gymnasium samples well."""
    space.seed(draw(_seeds))
    return space.sample()


def _sampled(space: gs.Space[Any], draw: Draw) -> Any:
    """A sample, or None where Gymnasium cannot: its arithmetic with wide bounds overflows."""
    space.seed(draw(_seeds))
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        try:
            value = space.sample()
        except (OverflowError, ValueError):
            return None
        # A Box of integers without axes gives a scalar, where all others give arrays.
        value = np.asarray(value) if isinstance(value, np.generic) else value
        return value if space.contains(value) else None


@_value.register
def _(space: gs.Discrete, draw: Draw) -> Any:
    last = int(space.start) + int(space.n) - 1
    number = (int(space.start), last, (int(space.start) + last) // 2)[draw(_lengths) % 3]
    return number if draw(_booleans) else np.dtype(space.dtype).type(number)


@_value.register(gs.Box)
@_value.register(gs.MultiDiscrete)
def _(space: gs.Box | gs.MultiDiscrete, draw: Draw) -> Any:
    if draw(_booleans) and (value := _sampled(space, draw)) is not None:
        return value
    low, high = _limits(space)
    dtype = np.dtype(space.dtype)
    rng = np.random.default_rng(draw(_seeds))
    pairs = zip(low.ravel(), high.ravel(), strict=True)
    elements = [rng.choice(np.array(_corners(*pair, dtype), dtype)) for pair in pairs]
    return np.array(elements, dtype).reshape(space.shape)


def _limits(space: gs.Box | gs.MultiDiscrete) -> tuple[np.ndarray[Any, Any], ...]:
    if isinstance(space, gs.Box):
        return space.low, space.high
    return space.start, space.start + (space.nvec - 1)


def _corners(low: Any, high: Any, dtype: np.dtype[Any]) -> list[Any]:
    """Bounds and odd numbers between; NaN too, which no Box contains, where a bound is open."""
    if dtype.kind != "f":
        return [low, high]
    limits = np.finfo(dtype)
    odd = (0.0, -0.0, 0.1, 1.0, limits.max, limits.min, limits.tiny, limits.smallest_subnormal)
    found = [low, high, *(item for item in np.array(odd, dtype) if low <= item <= high)]
    is_open = not (np.isfinite(low) and np.isfinite(high))
    return [*found, dtype.type(np.nan)] if is_open else found


@_value.register
def _(space: gs.Text, draw: Draw) -> str:
    rng = np.random.default_rng(draw(_seeds))
    length = rng.choice([space.min_length, space.max_length])
    # By index, because numpy, and so Gymnasium's own sample, loses the character "\0".
    return "".join(
        space.character_list[rng.integers(len(space.character_list))] for _ in range(length)
    )


@_value.register
def _(space: gs.Dict, draw: Draw) -> Any:
    return {key: _value(child, draw) for key, child in space.spaces.items()}


@_value.register(gs.Tuple)
def _(space: gs.Tuple[Any], draw: Draw) -> Any:
    return tuple(_value(child, draw) for child in space.spaces)


@_value.register
def _(space: gs.Sequence, draw: Draw) -> Any:
    feature, length = space.feature_space, draw(_lengths)
    items = tuple(_value(feature, draw) for _ in range(length))
    return stacked(feature, items) if space.stack else items


def stacked(feature: gs.Space[Any], items: tuple[Any, ...]) -> Any:
    """``items`` as Gymnasium stacks them, of which its own function wants at least one."""
    if isinstance(feature, gs.Dict):
        pairs = feature.spaces.items()
        return {key: stacked(child, tuple(item[key] for item in items)) for key, child in pairs}
    if isinstance(feature, gs.Tuple):
        columns = zip(*items, strict=True) if items else [()] * len(feature.spaces)
        return tuple(map(stacked, feature.spaces, columns))
    if isinstance(feature, (gs.Box, gs.Discrete, gs.MultiDiscrete, gs.MultiBinary)):
        return np.array(items, feature.dtype).reshape(len(items), *feature.shape)
    return items


@_value.register
def _(space: gs.Graph, draw: Draw) -> Any:
    nodes = tuple(_value(space.node_space, draw) for _ in range(1 + draw(_lengths)))
    if space.edge_space is None or draw(_booleans):
        return gs.GraphInstance(stacked(space.node_space, nodes), None, None)
    edges = tuple(_value(space.edge_space, draw) for _ in range(draw(_lengths)))
    rng = np.random.default_rng(draw(_seeds))
    return gs.GraphInstance(
        stacked(space.node_space, nodes),
        stacked(space.edge_space, edges),
        rng.integers(0, len(nodes), (len(edges), 2), np.int32),
    )


if hasattr(gs, "OneOf"):

    @_value.register(gs.OneOf)
    def _(space: gs.OneOf[Any], draw: Draw) -> Any:
        index = draw(_seeds) % len(space.spaces)
        return np.int64(index), _value(space.spaces[index], draw)


def parts(space: gs.Space[Any]) -> Iterator[gs.Space[Any]]:
    """``space`` and all spaces in it."""
    yield space
    children = getattr(space, "spaces", ())
    inner = [*(children.values() if isinstance(children, dict) else children)]
    inner += [getattr(space, name, None) for name in ("feature_space", "node_space")]
    for child in [*inner, getattr(space, "edge_space", None)]:
        if child is not None:  # a MultiDiscrete of no elements is false
            yield from parts(child)


def strictly_equal(left: gs.Space[Any], right: gs.Space[Any]) -> bool:
    """Whether two spaces are equal in all that is seen of them, also in what ``==`` ignores.

    That is the order of the keys of a Dict and of the characters of a Text, which decide what is
    sampled; whether a Box has bounds, for the same reason; bounds to the bit, where Gymnasium
    compares nearly; and that a MultiBinary of one axis has a number or a list of lengths.
    """
    return _facts(left) == _facts(right)


_FACTS: dict[type[Any], tuple[str, ...]] = {
    gs.Box: ("dtype", "shape", "low", "high", "bounded_below", "bounded_above"),
    gs.Discrete: ("dtype", "n", "start"),
    gs.MultiDiscrete: ("dtype", "shape", "nvec", "start"),
    gs.MultiBinary: ("n", "shape"),
    gs.Text: ("min_length", "max_length", "character_list"),
    gs.Dict: ("spaces",),
    gs.Tuple: ("spaces",),
    gs.Sequence: ("feature_space", "stack"),
    gs.Graph: ("node_space", "edge_space"),
}
if hasattr(gs, "OneOf"):
    _FACTS[gs.OneOf] = ("spaces",)


def _facts(part: Any) -> Any:
    if isinstance(part, gs.Space):
        return type(part).__name__, [_facts(getattr(part, name)) for name in _FACTS[type(part)]]
    if isinstance(part, np.dtype):
        return part.name
    if isinstance(part, (np.ndarray, np.bool_)):  # without axes, it may be the one or the other
        part = np.asarray(part)
        return part.dtype.name, part.shape, part.tobytes()
    if isinstance(part, dict):
        return [(key, _facts(item)) for key, item in part.items()]
    if isinstance(part, tuple):
        return [_facts(item) for item in part]
    return str(part)
