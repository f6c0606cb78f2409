"""Which of the ids in Gymnasium's registry only this process has."""

from __future__ import annotations

import pkgutil
import re
from functools import cache

import gymnasium as gym
from gymnasium.envs.registration import EnvSpec

_OURS = "openenv"
"""The namespace of this package, whose ids every worker has."""


def is_of_this_process(environment: str) -> bool:
    """Return whether a name is an id that this process has registered, and others may not have."""
    spec = gym.registry.get(environment)
    return spec is not None and not is_everywhere(spec)


def is_everywhere(spec: EnvSpec) -> bool:
    """Return whether every process has registered an id: ours, and Gymnasium's own."""
    if spec.namespace == _OURS:
        return True
    entry_point = spec.entry_point
    place = entry_point if isinstance(entry_point, str) else getattr(entry_point, "__module__", "")
    return str(place).startswith("gymnasium.envs") and spec.id in _own_ids()


@cache
def _own_ids() -> frozenset[str]:
    """The ids that Gymnasium registers itself, as its source has them.

    Where they were written in another way, none would be found. Then all of them are handed over,
    which takes longer and changes nothing.
    """
    source = pkgutil.get_data("gymnasium.envs", "__init__.py") or b""
    return frozenset(re.findall(r'\bid="([^"]+)"', source.decode()))
