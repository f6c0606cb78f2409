"""What an interpreter has that can be served, and what it lacks."""

from __future__ import annotations

import importlib
import os
import sys
from typing import Any, NamedTuple

import numpy as np

from .making import LIBRARIES, library_of


class Package(NamedTuple):
    """A package that makes something to serve.

    Attributes:
        module: What is imported of it.
        gives: What can be served where it is there.
        install: How to install it.
        needs_us: Whether it is served only where ``openenv_gym`` is installed too.
    """

    module: str
    gives: str
    install: str
    needs_us: bool = False


PACKAGES: dict[str, Package] = {
    "gymnasium": Package("gymnasium", "its ids", "gymnasium"),
    "gym": Package("gym", "its ids, as gym:ID", "gym==0.26.2 'numpy<2'"),
    "dm_env": Package("dm_env", "environments of its interface, as module:function", "dm-env"),
    "dm_control": Package("dm_control", "its suite, as module:function", "dm-control"),
    "mujoco": Package("mujoco", "ids that simulate with MuJoCo", "mujoco"),
    "ale_py": Package("ale_py", "Atari, as ale_py:ALE/Pong-v5", "ale-py"),
    "pettingzoo": Package("pettingzoo", "its games", "pettingzoo", needs_us=True),
    "open_spiel": Package("pyspiel", "its games, as openspiel:GAME", "open_spiel", needs_us=True),
}


def survey() -> dict[str, Any]:
    """Return what is there.

    Returns:
        ``python`` and ``numpy``, the versions, and ``executable``; ``packages``, for each of
        :data:`PACKAGES` its ``version`` or None, and the ``error`` of its import, "" for none; and
        ``ids``, for each library the number of its ids by namespace, "" for none.
    """
    return {
        "python": sys.version.split()[0],
        "implementation": sys.implementation.name,
        "executable": sys.executable,
        "numpy": np.__version__,
        "folder": os.getcwd(),
        "packages": {name: _looked_at(package) for name, package in PACKAGES.items()},
        "ids": {name: found for name in LIBRARIES for found in [_ids(name)] if found},
    }


def _looked_at(package: Package) -> dict[str, Any]:
    try:
        module = importlib.import_module(package.module)
    except ModuleNotFoundError as exc:
        missing = exc.name == package.module
        return {"version": None, "error": "" if missing else f"it needs {exc.name}"}
    except Exception as exc:  # what is imported runs whatever code it likes
        return {"version": None, "error": f"{type(exc).__name__}: {exc}"}
    return {"version": str(_version(module, package.module)), "error": ""}


def _version(module: Any, name: str) -> Any:
    known = getattr(module, "__version__", None)
    if known is not None:
        return known
    from importlib import metadata

    for distribution in (name, name.replace("_", "-"), "open_spiel" if name == "pyspiel" else ""):
        try:
            return metadata.version(distribution) if distribution else "unknown"
        except metadata.PackageNotFoundError:
            continue
    return "unknown"


def _ids(name: str) -> dict[str, int]:
    """Count the ids of a library by their namespace."""
    try:
        library = library_of(name)
    except ImportError:
        return {}
    if library is None:
        return {}
    registry = library.envs.registration.registry
    counted: dict[str, int] = {}
    for env_id in getattr(registry, "env_specs", registry):
        namespace = env_id.rpartition("/")[0]
        counted[namespace] = counted.get(namespace, 0) + 1
    return counted
