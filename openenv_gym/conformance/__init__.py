"""Checks that users can run on environments of their own."""

from openenv_gym.conformance.difference import first_difference, same
from openenv_gym.conformance.parity import (
    NotDeterministicError,
    ParityError,
    check_deterministic,
    play_parity,
)

__all__ = [
    "NotDeterministicError",
    "ParityError",
    "check_deterministic",
    "first_difference",
    "play_parity",
    "same",
]
