"""Which interpreter ``python=`` names: a path, a command, the folder of a venv, or a recipe."""

from __future__ import annotations

import os
import shutil
from typing import Any

from openenv_gym.errors import InvalidRequestError
from openenv_gym.workers.recipes import RECIPE, interpreter_of_recipe

_IN_VENV = (os.path.join("bin", "python"), os.path.join("Scripts", "python.exe"))


def interpreter_path(python: Any) -> str:
    """Return the absolute path of an interpreter.

    Args:
        python: A path, as a text or a ``Path``; the name of a command, such as ``python3.9``; the
            folder of a venv; or a recipe, such as ``uv:gym==0.26.2,numpy<2``, whose venv is made
            where it is not there yet.

    Raises:
        InvalidRequestError: there is no such file, or nothing that can be run.
        EnvStartError: the venv of a recipe cannot be made.
    """
    if not isinstance(python, (str, os.PathLike)):
        raise InvalidRequestError(f"python: expected a path, got {python!r:.80}")
    name = os.fspath(python)
    if name.startswith(RECIPE):
        return interpreter_of_recipe(name)
    path = os.path.abspath(os.path.expanduser(name))
    if os.path.isdir(path):
        inside = [os.path.join(path, place) for place in _IN_VENV]
        found = next(filter(os.path.isfile, inside), None)
        if found is None:
            raise InvalidRequestError(
                f"python: expected an interpreter or the folder of a venv, got the folder {path}, "
                f"which has no {_IN_VENV[0]}"
            )
        return found
    has_place = os.path.dirname(name) != ""
    found = path if has_place and os.path.isfile(path) else shutil.which(name)
    if found is None or not os.access(found, os.X_OK):
        why = "which cannot be executed" if found else "and there is none"
        raise InvalidRequestError(
            f"python: expected the path of a Python interpreter, the folder of a venv, a command, "
            f"or a recipe such as uv:gym==0.26.2, got {name!r}, {why}"
        )
    return os.path.abspath(found)
