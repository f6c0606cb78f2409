"""Checks whether an action may go to ``Env.step``, and brings it into a form that can travel.

The client checks an action before it sends it, the worker before it acts. So a check runs twice a
step, and is compiled once per space.

What an environment in this process takes is taken. The value of an action has to be one of its
space, but its form is free: numbers, lists, and arrays of any package and numeric dtype. There is
one exception. Algorithms give a ``Box`` of floats values outside its bounds, and environments clip
them. So these bounds are only checked where a JSON schema has them, and with room for rounding.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial, singledispatch
from typing import Any, TypeAlias

import gymnasium.spaces as gs
import numpy as np
from gymnasium.error import CustomSpaceError

from openenv_gym.errors import InvalidActionError, shown
from openenv_gym.spaces.descriptor import Space
from openenv_gym.spaces.rounding import rounding_limits

Take: TypeAlias = Callable[[Any], Any]
_NUMBERS = frozenset({int, float, bool})
_MOST_BYTES = 8
"""The size of the largest number that can travel; a long double of C is larger."""

_OUTSIDE = "it lies outside"
_CLIP = f"{_OUTSIDE}, and gymnasium.wrappers.ClipAction would keep it within the bounds"

# ``array.all()`` goes through Python code of numpy's; this does not, and it is asked in each step.
_all = partial(np.logical_and.reduce, axis=None)
_any = partial(np.logical_or.reduce, axis=None)


UNREADABLE = (
    *(TypeError, ValueError, LookupError, AttributeError),
    *(ArithmeticError, RuntimeError, CustomSpaceError),
)
"""What arrays of other packages, and spaces of Gymnasium, raise for an action."""


def action_check(space: Space, *, keeps_bounds: bool = False) -> Take:
    """Return a function that returns its argument, if it may go to ``Env.step``.

    An array of another package comes back as a NumPy array, or as a scalar for a ``Discrete``. All
    else keeps its type and dtype.

    Args:
        space: The space of the action.
        keeps_bounds: Whether floats have to be within the bounds of a ``Box``, as far as they are
            not rounded. Integers always have to be.

    The function raises ``InvalidActionError`` if the action has the wrong type or shape, is not a
    number, or lies outside.

    >>> action_check(gs.Discrete(3))(2)
    2
    """
    take = _take(space, keeps_bounds)

    def check(action: Any) -> Any:
        try:
            return take(action)
        except UNREADABLE as exc:
            raise _refusal(space, action, exc) from exc

    return check


def _refusal(space: Space, action: Any, exc: Exception) -> InvalidActionError:
    return InvalidActionError(
        f"expected an action in {space}, got {shown(action, 100)} ({type(action).__name__}): "
        f"{str(exc)[:150]}; "
        "env.action_space says what is allowed"
    )


@singledispatch
def _take(space: Space, keeps_bounds: bool) -> Take:
    def take(action: Any) -> Any:
        if not space.contains(action):
            raise ValueError(_OUTSIDE)
        return action

    return take


@_take.register
def _(space: gs.Discrete, keeps_bounds: bool) -> Take:
    low, end = int(space.start), int(space.start) + int(space.n)

    def take(action: Any) -> Any:
        if type(action) is not int and not isinstance(action, (int, np.integer)):
            array = np.asarray(action)
            if array.shape != () or array.dtype.kind not in "iu":
                raise ValueError("it is no integer")
            action = action if array is action else array[()]
        if not low <= action < end:
            raise ValueError(_OUTSIDE)
        return action

    return take


@_take.register
def _(space: gs.MultiDiscrete, keeps_bounds: bool) -> Take:
    low = np.asarray(space.start).astype(np.int64)
    return _array(space.shape, "biu", low, low + space.nvec.astype(np.int64) - 1)


@_take.register
def _(space: gs.MultiBinary, keeps_bounds: bool) -> Take:
    return _array(space.shape, "biuf", 0, 1, is_whole=True)


@_take.register
def _(space: gs.Box, keeps_bounds: bool) -> Take:
    if space.dtype.kind != "f":
        return _array(space.shape, "biuf", space.low, space.high, is_whole=keeps_bounds)
    if keeps_bounds:
        return _array(space.shape, "biuf", *rounding_limits(space), outside=_CLIP)
    return _array(space.shape, "biuf", outside="NaN is no number")


def _array(
    shape: tuple[int, ...],
    kinds: str,
    low: Any = None,
    high: Any = None,
    *,
    is_whole: bool = False,
    outside: str = _OUTSIDE,
) -> Take:
    """Return the check of an array of numbers; without bounds, any but NaN are allowed."""
    ndarray, asarray = np.ndarray, np.asarray

    def take(action: Any) -> Any:
        array = action if type(action) is ndarray else asarray(action)
        kind = array.dtype.kind
        if array.shape != shape or kind not in kinds:
            raise ValueError(
                f"an array of shape {array.shape} and dtype {array.dtype} does not fit"
            )
        if low is None:
            is_in = kind != "f" or not _any(np.isnan(array))
        else:
            is_in = _all(array >= low) and _all(array <= high)
        if not is_in or (is_whole and kind == "f" and not _all(array == np.floor(array))):
            raise ValueError(outside)
        if array.dtype.itemsize > _MOST_BYTES:
            return array.astype(np.float64)
        return action if array is action or _travels(action) else array

    return take


def _travels(action: Any) -> bool:
    """Return whether numbers, and lists and tuples of them, can travel as they are."""
    kind = type(action)
    if kind is list or kind is tuple:
        return all(map(_travels, action))
    return kind in _NUMBERS or isinstance(action, (np.ndarray, np.generic))


@_take.register
def _(space: gs.Dict, keeps_bounds: bool) -> Take:
    takes = {key: _take(child, keeps_bounds) for key, child in space.spaces.items()}

    def take(action: Any) -> Any:
        if not isinstance(action, Mapping) or action.keys() != takes.keys():
            raise ValueError("it does not have the keys")
        return {key: takes[key](item) for key, item in action.items()}

    return take


@_take.register(gs.Tuple)
def _(space: gs.Tuple[Any], keeps_bounds: bool) -> Take:
    takes = [_take(child, keeps_bounds) for child in space.spaces]

    def take(action: Any) -> Any:
        items = _items(action)
        if len(items) != len(takes):
            raise ValueError("it has another length")
        return _as_given(action, [take(item) for take, item in zip(takes, items, strict=True)])

    return take


@_take.register
def _(space: gs.Sequence, keeps_bounds: bool) -> Take:
    if space.stack:
        return _take.dispatch(object)(space, keeps_bounds)
    take_one = _take(space.feature_space, keeps_bounds)

    def take(action: Any) -> Any:
        return _as_given(action, [take_one(item) for item in _items(action)])

    return take


def _items(action: Any) -> Any:
    """Return the items of a tuple, a list or an array."""
    return action if isinstance(action, (tuple, list)) else np.asarray(action)


def _as_given(action: Any, items: list[Any]) -> Any:
    """Return items in the form in which they were given, if that can travel, else as a tuple."""
    if type(action) is np.ndarray and action.dtype.kind in "biuf":
        return action
    return items if isinstance(action, list) else tuple(items)


if hasattr(gs, "OneOf"):  # since Gymnasium 1.0

    @_take.register(gs.OneOf)
    def _(space: gs.OneOf[Any], keeps_bounds: bool) -> Take:
        takes = [_take(child, keeps_bounds) for child in space.spaces]
        take_index = _take(gs.Discrete(len(takes)), keeps_bounds)

        def take(action: Any) -> Any:
            index, item = action
            index = take_index(index)
            return _as_given(action, [index, takes[index](item)])

        return take
