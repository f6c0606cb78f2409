"""The checker for anybody's OpenEnv server: ``openenv-gym validate``, and the same as a library."""

from openenv_gym.conformance.validation.checker import is_folder, running, selected, validate
from openenv_gym.conformance.validation.checks import (
    CHECKS,
    CheckResult,
    Complaint,
    ConformanceCheck,
)
from openenv_gym.conformance.validation.options import ValidationOptions
from openenv_gym.conformance.validation.report import Report

__all__ = [
    "CHECKS",
    "CheckResult",
    "Complaint",
    "ConformanceCheck",
    "Report",
    "ValidationOptions",
    "is_folder",
    "running",
    "selected",
    "validate",
]
