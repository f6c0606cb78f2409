"""From the start of a Python process to the end of the first step."""

from __future__ import annotations

import sys
from collections.abc import Callable

from benchmarks.children import seconds_until_line
from benchmarks.workload import ENV_ID

TARGET_S = 1.0

_SCRIPT = """
import gymnasium{imports}
env = gymnasium.make({env_id!r})
env.reset(seed=0)
env.step(env.action_space.sample())
print("stepped", flush=True)
env.close()
"""

SCRIPTS = {
    "in_process": _SCRIPT.format(imports="", env_id=ENV_ID),
    "embedded": _SCRIPT.format(imports=", openenv_gym", env_id=f"openenv/{ENV_ID}"),
}


def measure(runs: int, say: Callable[[str], None]) -> dict[str, list[float]]:
    """Return the seconds of each run; the first of each does not count, nothing is cached yet."""
    seconds: dict[str, list[float]] = {name: [] for name in SCRIPTS}
    for number in range(runs + 1):
        say(f"cold start {number} of {runs}" if number else "cold start: warming the file cache")
        for name, script in SCRIPTS.items():
            took = seconds_until_line(f"the cold start {name}", [sys.executable, "-c", script])
            if number:
                seconds[name].append(took)
    return seconds
