"""Reads what a single environment has beyond Gymnasium's interface, where that is allowed."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
from gymnasium.utils import seeding

from openenv_gym.errors import UnknownAttributeError
from openenv_gym.protocol import Use
from openenv_gym.wire.description import Description

Ask = Callable[[Use], Any]

_ALE = "ale"


def attribute(name: str, whose: object, described: Description, ask: Ask) -> Any:
    """Return an attribute of an environment, or what stands for a method of it.

    Args:
        name: The name of the attribute.
        whose: The environment, as messages name it.
        described: What it says of itself.
        ask: Sends a request to it, and returns what it answers.

    Raises:
        UnknownAttributeError: There is none of this name, or it may not be used.
        RemoteEnvError: Its value cannot travel.
    """
    if name == _ALE and is_atari(described):
        return RemoteAle(partial(_called, whose, described, ask))
    _check_allowed(name, whose, described)
    if ask(Use(name, "is_method")):
        return partial(_called, whose, described, ask, name)
    return ask(Use(name))


def _called(
    whose: object, described: Description, ask: Ask, name: str, /, *args: Any, **kwargs: Any
) -> Any:
    _check_allowed(name, whose, described)
    return ask(Use(name, "call", list(args), kwargs))


def _check_allowed(name: str, whose: object, described: Description) -> None:
    if described.may_use(name):
        return
    if described.has_all_attributes:
        raise UnknownAttributeError(f"{whose} has no attribute {name!r} that may be used from here")
    allowed = ", ".join(described.attributes) or "none"
    raise UnknownAttributeError(
        f"{whose} has no attribute {name!r}: the environment lives in another process, and the "
        f"names that may be read from here are: {allowed}. A server is started with the names that "
        f"it allows (--attributes {name}), and codec='json' has none; or pass arguments when it is "
        "made, or options to reset()"
    )


class RemoteAle:
    """The emulator of an Atari environment, as wrappers ask it: each call is a request.

    Args:
        call: Calls a method of the environment, by its name and with its arguments.
    """

    def __init__(self, call: Callable[..., Any]) -> None:
        self._call = call

    def lives(self) -> int:
        """Return how many lives are left."""
        left: int = self._call("ale.lives")
        return left

    def getScreenRGB(self, buffer: Any = None) -> Any:
        """Return the picture, ``uint8`` of shape ``(210, 160, 3)``, or write it into ``buffer``."""
        return self._picture("ale.getScreenRGB", buffer)

    def getScreenGrayscale(self, buffer: Any = None) -> Any:
        """Return the picture, ``uint8`` of shape ``(210, 160)``, or write it into ``buffer``."""
        return self._picture("ale.getScreenGrayscale", buffer)

    def _picture(self, name: str, buffer: Any) -> Any:
        picture = self._call(name)
        if buffer is None:
            return picture
        buffer[...] = picture.reshape(buffer.shape)
        return None

    def __getattr__(self, name: str) -> Any:
        """Return what stands for another method, where it is allowed."""
        if name.startswith("_"):
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")
        return partial(self._call, f"{_ALE}.{name}")


def is_atari(described: Description | None) -> bool:
    """Whether an environment is one of Atari, whose wrappers ask more than Gymnasium has."""
    return described is not None and "ale.lives" in described.attributes


def generator_of(info: dict[str, Any]) -> np.random.Generator | None:
    """Return the generator of an Atari environment after a seeded reset, None for another one.

    Wrappers draw from it: Atari's is not made of the seed itself, and its info says of which.

    Args:
        info: The info of the reset.
    """
    seeds = info.get("seeds")
    if not isinstance(seeds, tuple) or not seeds:
        return None
    return seeding.np_random(int(seeds[0]))[0]
