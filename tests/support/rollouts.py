"""Playing two environments side by side, and comparing what they say to the bit."""

from __future__ import annotations

from typing import Any

from openenv_gym.conformance import first_difference, play_parity, same

__all__ = ["assert_same", "play_parity", "same"]


def assert_same(expected: Any, actual: Any) -> None:
    """Equal in value and type, arrays in dtype and shape too; the difference is shown."""
    assert first_difference(expected, actual) is None
