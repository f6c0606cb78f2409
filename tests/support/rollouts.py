"""Playing two environments side by side, and comparing what they say to the bit."""

from __future__ import annotations

from openenv_gym.conformance import play_parity, same

__all__ = ["play_parity", "same"]
