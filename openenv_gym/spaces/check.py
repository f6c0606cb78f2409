"""Checks whether an action is in its space.

The client checks an action before it sends it, the worker before it acts. So a check runs twice a
step, and is compiled once per space.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial, singledispatch
from typing import Any, TypeAlias

import gymnasium.spaces as gs
import numpy as np

from openenv_gym.errors import InvalidActionError
from openenv_gym.spaces.descriptor import Space

Fits: TypeAlias = Callable[[Any], bool]

# ``array.all()`` goes through Python code of numpy's; this does not, and it is asked in each step.
_all = partial(np.logical_and.reduce, axis=None)


def action_check(space: Space) -> Callable[[Any], None]:
    """Return a function that passes if its argument may go to ``Env.step``.

    A ``Box`` accepts what an environment in this process accepts: arrays of its own dtype, and also
    numbers, lists and arrays of another numeric dtype, if shape and bounds fit.

    The function raises ``InvalidActionError`` if the action has the wrong type or shape, or
    lies outside.

    >>> action_check(gs.Discrete(3))(2)
    """
    fits = _fits(space)

    def check(action: Any) -> None:
        if not fits(action):
            shown = repr(action)
            shown = shown if len(shown) <= 100 else shown[:97] + "..."
            raise InvalidActionError(
                f"expected an action in {space}, got {shown} ({type(action).__name__}); "
                "env.action_space says what is allowed"
            )

    return check


@singledispatch
def _fits(space: Space) -> Fits:
    return space.contains


@_fits.register
def _(space: gs.Discrete) -> Fits:
    low, end = int(space.start), int(space.start) + int(space.n)

    def fits(action: Any) -> bool:
        if type(action) is int or isinstance(action, np.integer):
            return bool(low <= action < end)
        # A bool is an int to Python, and Gymnasium lets it pass; as an action it is a mistake.
        return type(action) is not bool and space.contains(action)

    return fits


@_fits.register
def _(space: gs.MultiDiscrete) -> Fits:
    low, shape = np.asarray(space.start).astype(np.int64), space.shape
    end = low + space.nvec.astype(np.int64)

    def fits(action: Any) -> bool:
        if type(action) is not np.ndarray or action.dtype.kind not in "iu":
            return space.contains(action)
        return bool(action.shape == shape and _all(action >= low) and _all(action < end))

    return fits


@_fits.register
def _(space: gs.Box) -> Fits:
    low, high, shape = space.low, space.high, space.shape

    def fits(action: Any) -> bool:
        try:
            array = np.asarray(action)
        except ValueError:
            return False
        return bool(
            array.dtype.kind in "biuf"
            and array.shape == shape
            and _all(array >= low)
            and _all(array <= high)
        )

    return fits
