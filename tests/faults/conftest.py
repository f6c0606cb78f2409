"""How the environments with faults are reached: embedded, over WebSocket in binary and in JSON."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest

FAULTY = "tests.faults.envs:Faulty-v0"


@pytest.fixture
def faulty(reach: Callable[[str], dict[str, Any]]) -> dict[str, Any]:
    """Arguments of ``make("openenv/gymnasium-v0", ...)``."""
    return {"env_id": FAULTY, **reach(FAULTY)}


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say what the campaigns counted."""
    counted: Counter[str] = Counter()
    for report in terminalreporter.getreports("passed"):
        counted.update({name: 0 for name, _ in report.user_properties})
        for name, value in report.user_properties:
            if isinstance(value, int):
                counted[name] += value
            else:
                terminalreporter.write_line(f"{name}: {value}")
    if counted:
        said = ", ".join(f"{count:,} {name}" for name, count in counted.items() if count)
        terminalreporter.write_line(f"campaigns: {said}")
