"""How the environments with faults are reached: embedded, over WebSocket in binary and in JSON."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

FAULTY = "tests.faults.envs:Faulty-v0"


@pytest.fixture
def faulty(reach: Callable[[str], dict[str, Any]]) -> dict[str, Any]:
    """Arguments of ``make("openenv/gymnasium-v0", ...)``."""
    return {"env_id": FAULTY, **reach(FAULTY)}
