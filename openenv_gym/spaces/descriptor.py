"""Space ↔ descriptor: a JSON object that says everything about a Gymnasium space.

``from_descriptor(to_descriptor(space)) == space`` for every space of Gymnasium, nested to any
depth. The descriptor is what stands under ``x-gymnasium-space`` in a JSON schema, and what a
worker tells of its spaces. A further kind of space is a further pair of registered functions.

The ``type`` of a descriptor is the name of the Gymnasium class; the other keys are the
arguments of its constructor, and ``labels`` if its components have names.
"""

from __future__ import annotations

import math
import reprlib
import string
from collections.abc import Callable
from functools import singledispatch
from typing import Any, TypeAlias

import gymnasium.spaces as gs
import numpy as np
from numpy.typing import NDArray

from openenv_gym.errors import SpaceError
from openenv_gym.spaces.budget import SPACE_BYTES, SpaceBudget
from openenv_gym.spaces.labels import label, labels_of
from openenv_gym.spaces.numbers import from_json_number, to_json_number
from openenv_gym.spaces.unicode_text import UnicodeText

Space: TypeAlias = gs.Space[Any]
Descriptor: TypeAlias = dict[str, Any]

MAX_DEPTH = 64
"""The deepest nesting of spaces that is read. A message is not nested deeper either."""

# By name and not by numpy's type codes: which code means int64 differs between systems, and so
# does the class of its scalars.
_INTEGERS = [f"{sign}int{bits}" for sign in ("", "u") for bits in (8, 16, 32, 64)]
_DTYPES = {name: np.dtype(name) for name in ("bool", *_INTEGERS, "float16", "float32", "float64")}
_TEXT_DTYPE = np.dtype(str)
_MOST_TEXT = 1 << 16
ReadDescriptor: TypeAlias = Callable[[Descriptor, str, SpaceBudget], Space]
_READERS: dict[str, ReadDescriptor] = {}


def to_descriptor(space: Space) -> Descriptor:
    """Return the descriptor of ``space``, a JSON-able dict.

    >>> to_descriptor(gs.Discrete(3, start=-1))
    {'type': 'Discrete', 'n': 3, 'start': -1, 'dtype': 'int64'}

    Raises:
        SpaceError: the space is of a kind that Gymnasium does not define. One whose values are
            strings is described as the ``Text`` of any printable ASCII.
    """
    names = labels_of(space)
    return {**_describe(space), "labels": list(names)} if names else _describe(space)


@singledispatch
def _describe(space: Space) -> Descriptor:
    if space.dtype == _TEXT_DTYPE:  # another package's own kind of text, as MiniGrid's missions
        return _describe(gs.Text(_MOST_TEXT, min_length=0, charset=string.printable))
    raise SpaceError(
        f"expected a space of Gymnasium, got {type(space).__module__}.{type(space).__qualname__}; "
        "convert it with one of Gymnasium's wrappers, as TransformObservation"
    )


def from_descriptor(
    descriptor: Descriptor, path: str = "$", budget: SpaceBudget | None = None
) -> Space:
    """Return the space that ``descriptor`` describes.

    >>> from_descriptor({'type': 'Discrete', 'n': 3, 'start': -1, 'dtype': 'int64'})
    Discrete(3, start=-1)

    Args:
        descriptor: The descriptor.
        path: Where it stands, for error messages.
        budget: What is left to make spaces with; a new one unless given.

    Raises:
        SpaceError: the descriptor is malformed, of a kind that this version does not know, or of a
            space that takes more than the budget; the message names the path.
    """
    budget = SpaceBudget() if budget is None else budget
    kind = descriptor.get("type") if isinstance(descriptor, dict) else None
    if not isinstance(kind, str) or kind not in _READERS:
        raise SpaceError(
            f"{path}: expected a space descriptor with a 'type' among {', '.join(_READERS)}, "
            f"got {_short(descriptor)}"
        )
    budget.spend(SPACE_BYTES, path, f"a {kind}")
    if budget.depth >= MAX_DEPTH:
        raise SpaceError(f"{path:.200}: expected spaces nested at most {MAX_DEPTH} deep, got more")
    budget.depth += 1
    try:
        space = _READERS[kind](descriptor, path, budget)
        return label(space, descriptor["labels"]) if "labels" in descriptor else space
    except SpaceError:
        raise
    except (
        KeyError,
        TypeError,
        ValueError,
        AttributeError,
        AssertionError,
        OverflowError,
        RecursionError,
    ) as exc:
        raise SpaceError(f"{path}: malformed descriptor of a {kind} space: {exc!r:.200}") from exc
    finally:
        budget.depth -= 1


def _reads(kind: str) -> Callable[[ReadDescriptor], ReadDescriptor]:
    def register(function: ReadDescriptor) -> ReadDescriptor:
        _READERS[kind] = function
        return function

    return register


def dtype_of(name: str) -> np.dtype[Any]:
    """Return the dtype called ``name``.

    >>> dtype_of("float32")
    dtype('float32')

    Raises:
        SpaceError: it is none of the numeric dtypes that are the same on every machine.
    """
    if name not in _DTYPES:
        raise SpaceError(f"expected a dtype among {', '.join(_DTYPES)}, got {_short(name)}")
    return _DTYPES[name]


def _bound_out(bound: NDArray[Any], is_bounded: NDArray[Any], infinite: float) -> Any:
    """Return a bound as one number if all elements are equal, else as a flat list.

    An integer without a bound is written as an infinity, as a float is: Gymnasium samples it in
    another way than one with a bound.
    """
    bounded = np.broadcast_to(is_bounded, bound.shape).ravel()
    flat = bound.ravel()
    is_same = flat.size and (flat == flat[0]).all() and (bounded == bounded[0]).all()
    if is_same and bound.dtype.kind == "f":
        is_same = (np.signbit(flat) == np.signbit(flat[0])).all()  # 0.0 == -0.0
    if is_same:
        flat, bounded = flat[:1], bounded[:1]
    pairs = zip(flat.tolist(), bounded.tolist(), strict=True)
    numbers = [to_json_number(item if limited else infinite) for item, limited in pairs]
    return numbers[0] if is_same else numbers


def _bound_in(
    value: Any, dtype: np.dtype[Any], shape: tuple[int, ...], infinite: float
) -> tuple[NDArray[Any], NDArray[Any]]:
    """Return the bound as an array, and a mask of the elements that have one.

    An integer without a bound gets the end of its dtype's range, as in a ``Box`` of Gymnasium.
    """
    items = [from_json_number(item) for item in (value if isinstance(value, list) else [value])]
    bounded = np.array([item != infinite for item in items], dtype=bool)
    if dtype.kind == "i":
        limits = np.iinfo(dtype)
        end = int(limits.max if infinite > 0 else limits.min)
        items = [end if item == infinite else item for item in items]
    bound = np.array(items, dtype=dtype)
    if isinstance(value, list):
        return bound.reshape(shape), bounded.reshape(shape)
    return np.full(shape, bound[0]), np.full(shape, bounded[0])


def _short(data: Any) -> str:
    return f"{_SHORT_REPR.repr(data):.80}"


_SHORT_REPR = reprlib.Repr()  # looks at a few parts only, however large the data is
_SHORT_REPR.maxlevel, _SHORT_REPR.maxother = 2, 40


@_describe.register
def _(space: gs.Box) -> Descriptor:
    return {
        "type": "Box",
        "dtype": dtype_of(space.dtype.name).name,
        "shape": list(space.shape),
        "low": _bound_out(space.low, space.bounded_below, -math.inf),
        "high": _bound_out(space.high, space.bounded_above, math.inf),
    }


@_reads("Box")
def _read_box(descriptor: Descriptor, path: str, budget: SpaceBudget) -> Space:
    dtype, shape = dtype_of(descriptor["dtype"]), tuple(descriptor["shape"])
    budget.array(shape, dtype, path)
    low, bounded_below = _bound_in(descriptor["low"], dtype, shape, -math.inf)
    high, bounded_above = _bound_in(descriptor["high"], dtype, shape, math.inf)
    box = gs.Box(low, high, shape, dtype.type)
    box.bounded_below, box.bounded_above = bounded_below, bounded_above
    return box


@_describe.register
def _(space: gs.Discrete) -> Descriptor:
    return {
        "type": "Discrete",
        "n": int(space.n),
        "start": int(space.start),
        "dtype": np.dtype(space.dtype).name,
    }


@_reads("Discrete")
def _read_discrete(descriptor: Descriptor, path: str, budget: SpaceBudget) -> Space:
    keywords: dict[str, Any] = {"start": descriptor["start"]}
    if descriptor["dtype"] != "int64":  # Gymnasium before 1.3 has no `dtype` here
        keywords["dtype"] = dtype_of(descriptor["dtype"]).type
    return gs.Discrete(descriptor["n"], **keywords)


@_describe.register
def _(space: gs.MultiDiscrete) -> Descriptor:
    return {
        "type": "MultiDiscrete",
        "dtype": np.dtype(space.dtype).name,
        "nvec": space.nvec.tolist(),
        "start": np.asarray(space.start).tolist(),
        # Nested lists of nothing do not say all lengths.
        **({} if space.nvec.size else {"shape": list(space.nvec.shape)}),
    }


@_reads("MultiDiscrete")
def _read_multi_discrete(descriptor: Descriptor, path: str, budget: SpaceBudget) -> Space:
    dtype = dtype_of(descriptor["dtype"])
    nvec = np.array(descriptor["nvec"], dtype=dtype)
    budget.array(nvec.shape, dtype, path)
    nvec = nvec.reshape(tuple(descriptor.get("shape", nvec.shape)))
    start = np.array(descriptor["start"], dtype=dtype).reshape(nvec.shape)
    return gs.MultiDiscrete(nvec, dtype=dtype.type, start=start)


@_describe.register
def _(space: gs.MultiBinary) -> Descriptor:
    n = space.n
    return {"type": "MultiBinary", "n": int(n) if isinstance(n, (int, np.integer)) else list(n)}


@_reads("MultiBinary")
def _read_multi_binary(descriptor: Descriptor, path: str, budget: SpaceBudget) -> Space:
    n = descriptor["n"]
    # The space is small, but its values are not, and neither is the Box of a batch of them.
    budget.array(n if isinstance(n, list) else [n], np.dtype(np.int8), path)
    return gs.MultiBinary(n)


@_describe.register
def _(space: gs.Text) -> Descriptor:
    return {
        "type": "Text",
        "min_length": int(space.min_length),
        "max_length": int(space.max_length),
        "charset": "".join(space.character_list),
    }


@_reads("Text")
def _read_text(descriptor: Descriptor, path: str, budget: SpaceBudget) -> Space:
    charset = descriptor["charset"]
    budget.text(int(descriptor["max_length"]), len(charset), path)
    return gs.Text(
        descriptor["max_length"],
        min_length=descriptor["min_length"],
        charset=charset,
    )


@_describe.register
def _(space: UnicodeText) -> Descriptor:
    return {
        "type": "UnicodeText",
        "min_length": int(space.min_length),
        "max_length": int(space.max_length),
    }


@_reads("UnicodeText")
def _read_unicode_text(descriptor: Descriptor, path: str, budget: SpaceBudget) -> Space:
    budget.text(int(descriptor["min_length"]), 0, path)
    return UnicodeText(descriptor["max_length"], min_length=descriptor["min_length"])


@_describe.register
def _(space: gs.Dict) -> Descriptor:
    # A list of pairs, not an object: JSON objects promise no order of their keys.
    items = [[key, to_descriptor(child)] for key, child in space.spaces.items()]
    return {"type": "Dict", "spaces": items}


@_reads("Dict")
def _read_dict(descriptor: Descriptor, path: str, budget: SpaceBudget) -> Space:
    # `gs.Dict` sorts the keys of a plain dict, but not those of a sequence of pairs.
    pairs = descriptor["spaces"]
    return gs.Dict(
        [(key, from_descriptor(child, f"{path}.{key!s:.40}", budget)) for key, child in pairs]
    )


@_describe.register(gs.Tuple)
def _(space: gs.Tuple[Any]) -> Descriptor:
    return {"type": "Tuple", "spaces": [to_descriptor(child) for child in space.spaces]}


@_reads("Tuple")
def _read_tuple(descriptor: Descriptor, path: str, budget: SpaceBudget) -> Space:
    return gs.Tuple(_read_all(descriptor, path, budget))


def _read_all(descriptor: Descriptor, path: str, budget: SpaceBudget) -> list[Space]:
    children = enumerate(descriptor["spaces"])
    return [from_descriptor(child, f"{path}[{i}]", budget) for i, child in children]


@_describe.register
def _(space: gs.Sequence) -> Descriptor:
    return {
        "type": "Sequence",
        "space": to_descriptor(space.feature_space),
        "stack": bool(space.stack),
    }


@_reads("Sequence")
def _read_sequence(descriptor: Descriptor, path: str, budget: SpaceBudget) -> Space:
    feature = from_descriptor(descriptor["space"], f"{path}[*]", budget)
    return gs.Sequence(feature, stack=descriptor["stack"])


@_describe.register
def _(space: gs.Graph) -> Descriptor:
    edge = space.edge_space
    return {
        "type": "Graph",
        "node_space": to_descriptor(space.node_space),
        "edge_space": None if edge is None else to_descriptor(edge),
    }


@_reads("Graph")
def _read_graph(descriptor: Descriptor, path: str, budget: SpaceBudget) -> Space:
    edge = descriptor["edge_space"]
    node_space: Any = from_descriptor(descriptor["node_space"], f"{path}.nodes", budget)
    edge_space: Any = None
    if edge is not None:
        edge_space = from_descriptor(edge, f"{path}.edges", budget)
    return gs.Graph(node_space, edge_space)


if hasattr(gs, "OneOf"):  # since Gymnasium 1.0

    @_describe.register(gs.OneOf)
    def _(space: gs.OneOf[Any]) -> Descriptor:
        return {"type": "OneOf", "spaces": [to_descriptor(child) for child in space.spaces]}

    @_reads("OneOf")
    def _read_one_of(descriptor: Descriptor, path: str, budget: SpaceBudget) -> Space:
        return gs.OneOf(_read_all(descriptor, path, budget))
