"""Recipes of interpreters: ``uv:gym==0.26.2,numpy<2``, of which ``uv`` makes a venv once.

A venv is kept in the user's cache folder, under a hash of the recipe, so that the same recipe is
the same venv in every program. It is complete where its last file, a stamp, is there.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from openenv_gym.errors import EnvStartError, InvalidRequestError

RECIPE = "uv:"
"""How a recipe begins."""

_PYTHON = re.compile(r"(?:pypy|cpython)?@?3\.\d+(?:\.\d+)?|/[^:]*")
_STAMP = ".openenv-gym-recipe"


def interpreter_of_recipe(recipe: str) -> str:
    """Return the interpreter of the venv that a recipe describes; make it where it is not there.

    Args:
        recipe: ``uv:`` and requirements as pip takes them, with commas between; with the version
            or the path of a Python and a colon before them, where it is not to be that of this
            process: ``uv:3.9:gym==0.26.2,numpy<2``. A requirement that has a comma itself is
            continued by a part that begins with an operator: ``uv:numpy>=1.20,<2``.

    Raises:
        InvalidRequestError: the recipe has no requirement, or one that is an option.
        EnvStartError: there is no ``uv``, or it cannot make the venv.
    """
    python, requirements = parse_recipe(recipe)
    content = "\n".join([python, *requirements])
    folder = cache_folder() / hashlib.sha256(content.encode()).hexdigest()[:16]
    if not _is_made(folder):
        folder.parent.mkdir(parents=True, exist_ok=True)
        with _locked(folder.with_suffix(".lock")):
            if not _is_made(folder):  # another process may have made it meanwhile
                shutil.rmtree(folder, ignore_errors=True)
                _make(folder, python, requirements, recipe)
                (folder / _STAMP).write_text(content, encoding="utf-8")
    return str(_interpreter(folder))


def _interpreter(folder: Path) -> Path:
    return folder / "bin" / "python"


def _is_made(folder: Path) -> bool:
    """Whether a venv is complete, and the Python that it was made with is still there."""
    return (folder / _STAMP).is_file() and _interpreter(folder).is_file()


def parse_recipe(recipe: str) -> tuple[str, list[str]]:
    """Return the Python and the requirements of a recipe.

    >>> parse_recipe("uv:3.9:gym==0.21,numpy>=1.19,<1.24")
    ('3.9', ['gym==0.21', 'numpy>=1.19,<1.24'])

    Raises:
        InvalidRequestError: it has no requirement, or one that is an option.
    """
    rest = recipe.removeprefix(RECIPE)
    first, colon, others = rest.partition(":")
    python = sys.executable
    if colon and _PYTHON.fullmatch(first):
        python, rest = first, others
    requirements: list[str] = []
    for part in filter(None, (part.strip() for part in rest.split(","))):
        if part[0] in "<>=!~" and requirements:
            requirements[-1] += f",{part}"
        else:
            requirements.append(part)
    wrong = [one for one in requirements if one.startswith("-")]
    if not requirements or wrong:
        raise InvalidRequestError(
            "python: expected requirements after uv:, as in uv:gym==0.26.2,numpy<2 or "
            f"uv:3.9:gym==0.26.2, got {recipe!r}"
        )
    return python, requirements


def cache_folder() -> Path:
    """Return the folder of the venvs of recipes: in ``XDG_CACHE_HOME``, or in ``~/.cache``."""
    cache = os.environ.get("XDG_CACHE_HOME") or os.path.join(os.path.expanduser("~"), ".cache")
    return Path(cache) / "openenv-gym" / "interpreters"


def _make(folder: Path, python: str, requirements: list[str], recipe: str) -> None:
    uv = shutil.which("uv")
    if uv is None:
        beside = Path(sys.executable).with_name("uv")
        uv = str(beside) if beside.is_file() else None
    if uv is None:
        raise EnvStartError(
            f"{recipe}: expected the tool uv, which makes the venv of a recipe, and it is not "
            "installed; install it with: pip install uv, or make a venv and give its folder"
        )
    try:
        _run([uv, "venv", "--no-project", "--quiet", f"--python={python}", str(folder)], recipe)
        into = f"--python={_interpreter(folder)}"
        wanted = [*requirements, *([] if _names_numpy(requirements) else ["numpy"])]
        _run([uv, "pip", "install", "--quiet", into, *wanted], recipe)
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise


def _names_numpy(requirements: list[str]) -> bool:
    return any(re.match(r"numpy\b", one) for one in requirements)


def _run(command: list[str], recipe: str) -> None:
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL
    )
    if done.returncode:
        raise EnvStartError(
            f"{recipe}: uv cannot make the venv; where there is no network, a Python or a package "
            "that is not on this machine cannot be had.\n"
            f"It ran: {' '.join(command)}\nIt said:\n{done.stderr.strip()[-2000:]}"
        )


@contextlib.contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Hold a lock, which ends with the process that holds it."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
