"""One value of every kind of Gymnasium space, and what a codec does not give back as it was."""

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import gymnasium as gym
import gymnasium.spaces as gs
import numpy as np

from benchmarks.workload import ENV_ID

SEED = 0  # with it the Sequence has three boxes, the Graph has edges, the OneOf has its box


class Sample(NamedTuple):
    """A value, which is the same in every run, and the space that it is sampled from."""

    name: str  # in the formulas and the JSON
    label: str  # for people
    space: gs.Space[Any]
    value: Any


def all_samples() -> list[Sample]:
    samples = []
    for (name, label), space in _spaces().items():
        space.seed(SEED)
        samples.append(Sample(name, label, space, space.sample()))
    return samples


def _spaces() -> dict[tuple[str, str], gs.Space[Any]]:
    env = gym.make(ENV_ID)
    env.close()
    vector = _vector(4)
    several = {"image": _image(84, 84, 1), "vector": vector, "mode": gs.Discrete(6)}
    return {
        ("cartpole", "Box (4,) float32 of CartPole"): env.observation_space,
        ("batch", "Box (64, 4) float32"): _vector(64, 4),
        ("stack", "Box (84, 84, 4) uint8"): _image(84, 84, 4),
        ("image", "Box (210, 160, 3) uint8"): _image(210, 160, 3),
        ("discrete", "Discrete(6)"): gs.Discrete(6),
        ("multi_discrete", "MultiDiscrete of 4"): gs.MultiDiscrete([2, 3, 5, 7]),
        ("multi_binary", "MultiBinary(16)"): gs.MultiBinary(16),
        ("text", "Text of 28 characters"): gs.Text(32),
        ("dict", "Dict of image, vector and Discrete"): gs.Dict(several),
        ("tuple", "Tuple of Discrete and vector"): gs.Tuple((gs.Discrete(6), vector)),
        ("sequence", "Sequence of 3 vectors"): gs.Sequence(vector),
        ("graph", "Graph of 10 nodes and 76 edges"): gs.Graph(_vector(3), gs.Discrete(4)),
        ("one_of", "OneOf, here a vector"): gs.OneOf([gs.Discrete(6), vector]),
    }


def _vector(*shape: int) -> gs.Box:
    return gs.Box(-1, 1, shape, np.float32)


def _image(*shape: int) -> gs.Box:
    return gs.Box(0, 255, shape, np.uint8)


def losses(value: Any, back: Any) -> list[str]:
    """Return what ``back`` has in place of what is in ``value``, such as ``list for ndarray``.

    Nothing is returned where both are equal to the bit: types, dtypes, shapes, signed zeros,
    and arrays that can be written to.
    """
    return sorted(set(_losses(value, back)))


def _losses(value: Any, back: Any) -> Iterator[str]:
    if type(back) is not type(value):
        yield f"{type(back).__name__} for {type(value).__name__}"
        if not (isinstance(value, (list, tuple)) and isinstance(back, (list, tuple))):
            return
    if isinstance(value, (np.ndarray, np.generic)):
        yield from _numpy_losses(value, back)
    elif isinstance(value, dict):
        yield from _items_losses(list(value), list(back))
        yield from _items_losses(list(value.values()), list(back.values()))
    elif isinstance(value, (list, tuple)):
        yield from _items_losses(value, back)
    elif repr(value) != repr(back):
        yield f"another {type(value).__name__}"


def _items_losses(items: Sequence[Any], back: Sequence[Any]) -> Iterator[str]:
    if len(items) != len(back):
        yield "another length"
    for item, other in zip(items, back, strict=False):
        yield from _losses(item, other)


def _numpy_losses(value: Any, back: Any) -> Iterator[str]:
    if back.dtype != value.dtype:
        yield f"{back.dtype} for {value.dtype}"
    elif back.shape != value.shape:
        yield "another shape"
    elif back.tobytes() != value.tobytes():
        yield "other numbers"
    if isinstance(value, np.ndarray) and value.flags.writeable and not back.flags.writeable:
        yield "read-only arrays"
