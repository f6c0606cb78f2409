"""How long a client waits for a reply."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, TypeAlias

from openenv_gym.client.connection import check_timeout

DEFAULT_TIMEOUT_S = 60.0
Timeout: TypeAlias = float | Literal["auto"] | None
"""How long to wait for a reply, in seconds; None for ever; ``auto`` for longer than a server of
ours lets an environment take, so that it tells what was too slow, and else 60."""
AUTO: Literal["auto"] = "auto"
BEYOND_S = 5.0
"""How much longer than the server a client waits."""


def check_patience(timeout_s: Timeout) -> None:
    """Pass if ``timeout_s`` is ``auto``, or a time to wait.

    Raises:
        InvalidRequestError: it is neither.
    """
    if timeout_s != AUTO:
        check_timeout(timeout_s)


def patience(timeout_s: Timeout, deadlines: Mapping[str, float]) -> float | None:
    """Return how long to wait for a reply, in seconds; None for ever.

    >>> patience("auto", {"start": 120.0, "reset": 120.0, "step": 60.0})
    125.0

    Args:
        timeout_s: What the caller asked for.
        deadlines: What a server said of itself; empty where it limits nothing.
    """
    if timeout_s != AUTO:
        return timeout_s
    if not deadlines:
        return DEFAULT_TIMEOUT_S
    if not {"start", "reset", "step"} <= set(deadlines):
        return None  # its operator wants no limit there
    return max(deadlines.values()) + BEYOND_S
