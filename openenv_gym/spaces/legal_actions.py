"""Legal actions as other servers write them: a list of the legal ones, or a mask of all.

Servers call both ``action_mask``. A list of zeros and ones in which one of them occurs twice is a
mask. A list with another number in it is a list of actions. Any other list is ambiguous and is
not read.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from openenv_gym.errors import InvalidRequestError, SpaceError, shown

FIELDS = ("legal_actions", "action_mask")
"""The names of fields that say it. The first that an observation has is read."""

MaskMeans: TypeAlias = Literal["mask", "indices"]

MOST_ACTIONS = 1 << 24
"""The largest number of actions that is taken from a server's word, since masks have an entry for
each."""


def mask_of(legal: Any, n: int) -> NDArray[np.bool_]:
    """Return the legal actions as a boolean array of shape ``(n,)``.

    Args:
        legal: The numbers of the legal actions.
        n: The number of actions.

    Raises:
        SpaceError: there are too many actions for a mask.
    """
    if n > MOST_ACTIONS:
        raise SpaceError(
            f"expected at most {MOST_ACTIONS} actions, so that a mask has room for each, got {n}; "
            "info['legal_actions'] lists the legal ones"
        )
    mask = np.zeros(n, np.bool_)
    mask[legal] = True
    return mask


@dataclass(frozen=True, kw_only=True)
class LegalActions:
    """Reads the field that says which actions are legal.

    Attributes:
        field: The name of the field.
        is_mask: Whether the field has a 0 or 1 for each action; else it lists the legal ones.
        n: The number of actions.
    """

    field: str
    is_mask: bool
    n: int

    def read(self, data: Any, path: str) -> list[int]:
        """Return the legal actions in ``data``, an empty list if it is null.

        Raises:
            InvalidRequestError: it does not have the form that was found at first.
        """
        if data is None:
            return []
        if not isinstance(data, list) or any(type(item) not in (int, bool) for item in data):
            raise InvalidRequestError(f"{path}: expected a list of integers, got {shown(data)}")
        if self.is_mask or (data and all(type(item) is bool for item in data)):
            if len(data) != self.n or not {0, 1}.issuperset(data):
                raise InvalidRequestError(
                    f"{path}: expected {self.n} zeros and ones, one for each action, "
                    f"got {shown(data)}; mask_means='indices' reads a list of actions"
                )
            return [number for number, item in enumerate(data) if item]
        if any(type(item) is bool or not 0 <= item < self.n for item in data):
            raise InvalidRequestError(
                f"{path}: expected actions from 0 to {self.n - 1}, got {shown(data)}; "
                "if there are more, pass action_space=Discrete(n)"
            )
        return [int(item) for item in data]


def is_mask(field: str, values: Sequence[Any], n: int | None) -> bool | None:
    """Return whether ``values`` are a mask, None if that is ambiguous.

    >>> is_mask("action_mask", [1, 0, 1], None), is_mask("action_mask", [0, 2], 3)
    (True, False)
    >>> is_mask("action_mask", [0, 1], 2) is None
    True

    Args:
        field: The name of the field. ``legal_actions`` is a list of actions, unless it holds
            booleans.
        values: The values of the field in one observation.
        n: The number of actions, None if it is not known.
    """
    if any(type(value) is bool for value in values):
        return True
    if field == "legal_actions":
        return False
    if not values:
        return None
    if not {0, 1}.issuperset(values):
        return False
    if len(set(values)) < len(values):
        return True
    return False if n is not None and len(values) != n else None


def is_action_list(values: Any) -> bool:
    """Return whether ``values`` may name actions by number."""
    return isinstance(values, list) and all(
        type(value) in (int, bool) and 0 <= value < MOST_ACTIONS for value in values
    )
