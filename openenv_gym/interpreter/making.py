"""Makes an environment of its name: of Gymnasium, of gym, or what a module has."""

from __future__ import annotations

import copy
import importlib
import inspect
import os
import sys
from typing import Any

LIBRARIES = ("gymnasium", "gym")
"""Who registers environments, the first that is here first."""

NO_TIME_LIMIT = -1
"""A time limit that lifts even the environment's own."""


class UnknownEnvironment(LookupError):
    """There is no environment of this name here."""


def make(name: str, kwargs: dict[str, Any], render_mode: str | None, limit: int | None) -> Any:
    """Make an environment.

    Args:
        name: An id of Gymnasium, or of gym where that does not know it; ``gymnasium:id`` or
            ``gym:id``; ``module:id`` or ``module:Class``, with ``environment:`` before it or not.
            A module may be named by its file, as ``folder/file.py``.
        kwargs: Keyword arguments of its constructor.
        render_mode: What it is told as its render mode, where it takes one.
        limit: The time limit of what is registered, None for its own.

    Raises:
        UnknownEnvironment: there is none.
    """
    found = _registered(name)
    if found is None:
        maker = _named(name)
        return _called(maker, kwargs, render_mode)
    library, spec = found
    spec = copy.deepcopy(spec)
    if limit is not None:
        spec.max_episode_steps = None if limit == NO_TIME_LIMIT else limit
    if "disable_env_checker" in inspect.signature(library.make).parameters:
        kwargs = dict(kwargs, disable_env_checker=True)
    return _called(spec.make, kwargs, render_mode)


def is_registered(name: str) -> bool:
    """Return whether :func:`make` makes what is registered, with a time limit of its own."""
    return _registered(name) is not None


def library_of(name: str) -> Any:
    """Return the module ``gymnasium`` or ``gym``, None where it is not here.

    Args:
        name: Its name.

    Raises:
        ImportError: it is here, and needs a package that is not.
    """
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as exc:
        if exc.name != name:
            raise
        return None


def _called(maker: Any, kwargs: dict[str, Any], render_mode: str | None) -> Any:
    if render_mode is None:
        return maker(**kwargs)
    try:
        return maker(render_mode=render_mode, **kwargs)
    except TypeError as exc:
        if "render_mode" not in str(exc):
            raise
        return maker(**kwargs)  # which is told the mode when it draws


def _registered(name: str) -> Any:
    """Return who has registered ``name``, and its spec; None where nobody has."""
    scheme, _, rest = name.partition(":")
    if scheme in LIBRARIES and rest:
        library = library_of(scheme)
        if library is None:
            raise UnknownEnvironment(f"{name}: {scheme} is not installed here")
        module, _, env_id = rest.rpartition(":")
        if module:
            importlib.import_module(module)
        return library, library.spec(env_id)
    module, _, env_id = name.rpartition(":")
    if scheme == "environment":
        return None
    if module:
        _import(module, name)
    for library in filter(None, map(library_of, LIBRARIES)):
        try:
            return library, library.spec(env_id)
        except library.error.Error as exc:
            reason = exc
    if module:
        return None
    if not any(map(library_of, LIBRARIES)):
        raise UnknownEnvironment(
            f"{name}: an id needs gymnasium or gym, which are not installed here; a class or a "
            "function is named module:Class"
        )
    raise UnknownEnvironment(f"{name}: {reason}")


def _named(name: str) -> Any:
    """Return the class or function that ``module:Class`` names."""
    place = name[len("environment:") :] if name.startswith("environment:") else name
    module, _, path = place.rpartition(":")
    found = _import(module or place, name)
    for part in path.split(".") if module else ():
        if not hasattr(found, part):
            raise UnknownEnvironment(
                f"{name}: there is no {part!r} in {getattr(found, '__file__', found)}"
            )
        found = getattr(found, part)
    if inspect.ismodule(found) or not callable(found):
        raise UnknownEnvironment(
            f"{name}: expected a class or a function that makes an environment, got {found!r}"
        )
    return found


def _import(module: str, name: str) -> Any:
    if module.endswith(".py"):
        module = _module_of(module, name)
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as exc:
        missing = exc.name or ""
        if (module + ".").startswith(missing + "."):
            raise UnknownEnvironment(
                f"{name}: there is no module named {missing!r} in the current folder, nor on the "
                "path of this interpreter"
            ) from exc
        raise


def _module_of(path: str, name: str) -> str:
    """Return the name of the module in a file, whose folder is searched first from now on."""
    if not os.path.isfile(path):
        raise UnknownEnvironment(f"{name}: there is no file {os.path.abspath(path)}")
    folder, file = os.path.split(os.path.abspath(path))
    if sys.path[0] != folder:
        sys.path.insert(0, folder)
    return file[: -len(".py")]
