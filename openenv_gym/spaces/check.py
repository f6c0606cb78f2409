"""Is this an action of that space? The client asks before it sends, the worker before it acts."""

from __future__ import annotations

from functools import singledispatch
from typing import Any

import gymnasium.spaces as gs
import numpy as np

from openenv_gym.errors import InvalidActionError
from openenv_gym.spaces.descriptor import Space


def check_action(space: Space, action: Any) -> None:
    """Pass if ``action`` may go to ``Env.step``.

    A ``Box`` takes what an environment in process takes: besides arrays of its own dtype also
    numbers, lists and arrays of another numeric dtype, if shape and bounds fit.

    Raises:
        InvalidActionError: ``action`` has the wrong type or shape, or lies outside.
    """
    if not _fits(space, action):
        shown = repr(action)
        shown = shown if len(shown) <= 100 else shown[:97] + "..."
        raise InvalidActionError(
            f"expected an action in {space}, got {shown} ({type(action).__name__}); "
            "env.action_space says what is allowed"
        )


@singledispatch
def _fits(space: Space, action: Any) -> bool:
    return space.contains(action)


@_fits.register
def _(space: gs.Discrete, action: Any) -> bool:
    # A bool is an int to Python, and Gymnasium lets it pass; as an action it is a mistake.
    return type(action) is not bool and space.contains(action)


@_fits.register
def _(space: gs.Box, action: Any) -> bool:
    try:
        array = np.asarray(action)
    except ValueError:
        return False
    return bool(
        array.dtype.kind in "biuf"
        and array.shape == space.shape
        and (array >= space.low).all()
        and (array <= space.high).all()
    )
