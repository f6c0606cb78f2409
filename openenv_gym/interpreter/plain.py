"""Plain steps: those of which nothing but the usual is to be said.

Their observation is an array of the dtype and the shape of its space, or an integer, their reward a
number of Python's or a floating one of numpy's, their flags are booleans, and they have an info. A
worker passes such a step on as it is. So many of them travel as a few arrays, and what is made of
one by an adapter needs not be asked.
"""

from __future__ import annotations

import struct
from functools import lru_cache
from typing import Any, Optional, Sequence, Tuple

import numpy as np

Form = Tuple[str, Optional[Sequence[int]]]
"""The dtype of observations as numpy writes it, and their shape; None for integers."""

Step = Tuple[Any, float, bool, bool, Any]

_TIME_LIMIT = "TimeLimit.truncated"
_INTEGER = struct.Struct("<bq")
_FLAGS = (bool, np.bool_)
_FLOATS = (float, np.floating)


class PlainSteps:
    """Tells which steps are plain.

    Args:
        form: The form of their observations.
    """

    def __init__(self, form: Form) -> None:
        self.dtype = np.dtype(form[0])
        self.shape = None if form[1] is None else tuple(form[1])

    def step_of(self, result: Any) -> Step | None:
        """Return what a method ``step`` returned as the five values of a plain step.

        Args:
            result: What it returned, of Gymnasium's interface or of gym's.

        Returns:
            The observation, the reward, terminated, truncated and the info, which is a dict; None
            where this is no plain step.
        """
        count = len(result) if type(result) is tuple else 0
        if count == 5:
            obs, reward, terminated, truncated, info = result
        elif count == 4:
            obs, reward, terminated, info = result
            truncated = False
        else:
            return None
        info = {} if info is None else info
        is_plain = (
            self.fits(obs)
            and isinstance(reward, _FLOATS)
            and type(terminated) in _FLAGS
            and type(info) is dict
        )
        if is_plain and count == 4 and terminated:
            truncated = info.get(_TIME_LIMIT, False)
            terminated = not truncated if type(truncated) in _FLAGS else True
        if not is_plain or type(truncated) not in _FLAGS:
            return None
        return obs, float(reward), bool(terminated), bool(truncated), info

    def packed(self, obs: Any) -> bytes:
        """Return an observation that has the form as bytes."""
        if self.shape is None:
            return _INTEGER.pack(type(obs) is not int, obs)
        data: bytes = obs.tobytes()
        return data

    def fits(self, obs: Any) -> bool:
        """Return whether an observation has the form."""
        if self.shape is None:
            return type(obs) is int or type(obs) is self.dtype.type
        return type(obs) is np.ndarray and obs.dtype == self.dtype and obs.shape == self.shape


@lru_cache(maxsize=16)
def plain_steps(form: Form) -> PlainSteps:
    """Return what tells plain steps of a form; it is made once."""
    return PlainSteps(form)
