"""One value of every kind of Gymnasium space."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import gymnasium as gym
import gymnasium.spaces as gs
import numpy as np

from benchmarks.workload import ENV_ID

SEED = 0
"""With this one the ``Sequence`` has three boxes, the ``Graph`` edges, the ``OneOf`` its box."""


@dataclass(frozen=True, kw_only=True)
class Sample:
    """A value, and where it comes from.

    Attributes:
        name: In the formulas and the JSON.
        label: For people.
        space: It is sampled from.
        value: The same in every run.
    """

    name: str
    label: str
    space: gs.Space[Any]
    value: Any


def all_samples() -> list[Sample]:
    return [_sample(name, label, space) for (name, label), space in _spaces().items()]


def _sample(name: str, label: str, space: gs.Space[Any]) -> Sample:
    space.seed(SEED)
    return Sample(name=name, label=label, space=space, value=space.sample())


def _spaces() -> dict[tuple[str, str], gs.Space[Any]]:
    vector = _vector(4)
    several = {"image": _image(84, 84, 1), "vector": vector, "mode": gs.Discrete(6)}
    return {
        ("cartpole", "Box (4,) float32 of CartPole"): _cartpole(),
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


def _cartpole() -> gs.Space[Any]:
    env = gym.make(ENV_ID)
    env.close()
    return env.observation_space


def _vector(*shape: int) -> gs.Box:
    return gs.Box(-1, 1, shape, np.float32)


def _image(*shape: int) -> gs.Box:
    return gs.Box(0, 255, shape, np.uint8)
