"""Which actions are legal, as other servers say it: a list of them, or a mask of all.

Both are called ``action_mask`` in the wild. A list of zeros and ones with one of them twice is a
mask, one with another number is a list of actions; what is neither is not read.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from openenv_gym.errors import InvalidRequestError

FIELDS = ("legal_actions", "action_mask")
"""The fields that say it, the first that there is."""

MaskMeans: TypeAlias = Literal["mask", "indices"]

MOST_ACTIONS = 1 << 24
"""Actions are not counted beyond this by a number that a server said: masks have an entry each."""


@dataclass(frozen=True, kw_only=True)
class LegalActions:
    """Reads the field that says which actions are legal.

    Attributes:
        field: Its name.
        is_mask: Whether it has a 0 or 1 for each action; else it lists the legal ones.
        n: How many actions there are.
    """

    field: str
    is_mask: bool
    n: int

    def read(self, data: Any, path: str) -> list[int]:
        """Return the legal actions in ``data``, none where it is null.

        Raises:
            InvalidRequestError: it does not have the form that was found at first.
        """
        if data is None:
            return []
        if not isinstance(data, list) or any(type(item) not in (int, bool) for item in data):
            raise InvalidRequestError(f"{path}: expected a list of integers, got {repr(data)[:80]}")
        if self.is_mask or (data and all(type(item) is bool for item in data)):
            if len(data) != self.n or not {0, 1}.issuperset(data):
                raise InvalidRequestError(
                    f"{path}: expected {self.n} zeros and ones, one for each action, "
                    f"got {repr(data)[:80]}; mask_means='indices' reads a list of actions"
                )
            return [number for number, item in enumerate(data) if item]
        if any(type(item) is bool or not 0 <= item < self.n for item in data):
            raise InvalidRequestError(
                f"{path}: expected actions from 0 to {self.n - 1}, got {repr(data)[:80]}; "
                "if there are more, pass action_space=Discrete(n)"
            )
        return [int(item) for item in data]


def is_mask(field: str, values: Sequence[Any], n: int | None) -> bool | None:
    """Return whether ``values`` are a mask, None where they do not tell.

    >>> is_mask("action_mask", [1, 0, 1], None), is_mask("action_mask", [0, 2], 3)
    (True, False)
    >>> is_mask("action_mask", [0, 1], 2) is None
    True

    Args:
        field: Its name; ``legal_actions`` is a list of actions, unless it holds booleans.
        values: Of one observation.
        n: How many actions there are, where that is known.
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
