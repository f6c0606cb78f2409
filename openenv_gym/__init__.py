"""The bridge between OpenEnv and Gymnasium.

>>> import gymnasium as gym, openenv_gym
>>> env = gym.make("openenv/catch-v0")
>>> observation, info = env.reset(seed=0)
>>> observation.shape, info["legal_actions"]
((50,), [0, 1, 2])
>>> env.close()

Importing the package registers the ``openenv/`` ids with Gymnasium. Everything else is imported
when it is first used. The public names stand once, in ``__init__.pyi``: type checkers read that
file, and so does this one.
"""

from __future__ import annotations

import importlib
import pkgutil
import re
from typing import Any

__version__ = "0.1.0"

_IMPORT = re.compile(r"^from (\S+) import (\w+) as \2$", re.MULTILINE)

_STUB = (pkgutil.get_data(__name__, "__init__.pyi") or b"").decode()
_MODULES = {name: module for module, name in _IMPORT.findall(_STUB)}
"""The module of each public name."""

__all__ = list(_MODULES)


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_MODULES[name]), name)


def __dir__() -> list[str]:
    return [*__all__, "__version__"]


def _register() -> None:
    from openenv_gym.envs.registration import register_all

    register_all()


_register()
