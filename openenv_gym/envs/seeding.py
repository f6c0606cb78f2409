"""What is said where a seed cannot be honoured."""

from __future__ import annotations

from typing import Any

import gymnasium as gym


def warn_unseeded(env: Any) -> None:
    """Warn that the environment's own ``reset`` has no parameter for the seed that was given."""
    gym.logger.warn(
        f"{env}: its own reset has no parameter `seed`, so that the seed is not passed on and none "
        "of its episodes can be repeated; add `seed: int | None = None` to it"
    )
