"""What a process that was spawned makes; it imports this module and nothing more."""

from __future__ import annotations

from typing import Any

import gymnasium as gym

import openenv_gym  # noqa: F401  (registers the ids)
from openenv_gym.recovery import FaultPolicy

PATIENT = FaultPolicy(restarts=1000, max_backoff_s=0)


def make(where: dict[str, Any]) -> Any:
    """Make an environment."""
    return gym.make(**where, on_fault=PATIENT)
