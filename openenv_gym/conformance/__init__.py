"""Checks that users can run on environments of their own."""

from openenv_gym.conformance.difference import first_difference, same
from openenv_gym.conformance.parity import (
    NotDeterministicError,
    ParityError,
    check_deterministic,
    play_parity,
)
from openenv_gym.conformance.validation import Report, ValidationOptions, validate

__all__ = [
    "NotDeterministicError",
    "ParityError",
    "Report",
    "ValidationOptions",
    "check_deterministic",
    "first_difference",
    "play_parity",
    "same",
    "validate",
]
