"""What a name in a module stands for: ``package.module:Class``, or ``folder/file.py:Class``.

Without a colon, ``package.module.Class`` is a class too, and a module or a file alone is the one
environment in it. A name that leads nowhere is an error which says how far it leads, and what is
there instead.
"""

from __future__ import annotations

import difflib
import importlib
import inspect
import os
import sys
import traceback
from importlib.util import find_spec
from typing import Any

from openenv_gym.errors import EnvStartError, UnknownEnvironmentError
from openenv_gym.wire.raised import raised_as

_FORM = "package.module:Class"

_under_way: list[str] = []
"""The names for which modules are being imported here, the last one innermost."""


def imported(name: str, kind: str = "Class", scheme: str = "", other_names: Any = ()) -> Any:
    """Import and return what ``package.module:Class`` names.

    Args:
        name: The module or the file, a colon, and the name in it, which may have dots:
            ``Outer.Inner``. For a class, also what :func:`without_colon` reads.
        kind: What is named, for the message.
        scheme: The scheme before the name, for the message.
        other_names: What else the name may have been meant for, such as registered ids.

    Raises:
        UnknownEnvironmentError: there is no such module, or nothing of this name in it.
        EnvStartError: the module cannot be imported.
    """
    shown = f"{scheme}:{name}" if scheme else name
    module, colon, path = name.partition(":")
    if not colon and kind == "Class":
        module, path = without_colon(name) or ("", "")
        colon = module
    if not (module and colon) or ":" in path or name.endswith(":"):
        form = f"{scheme}:package.module:{kind}" if scheme else f"package.module:{kind}"
        raise UnknownEnvironmentError(f"expected {form}, got {shown}{_what_is_missing(name)}")
    found: Any = import_module(module, shown)
    if not path:
        return _only_environment(found, shown)
    for part in path.split("."):
        if not hasattr(found, part):
            said = _of_missing(found, part, other_names)
            raise UnknownEnvironmentError(f"{shown}: {said}")
        found = getattr(found, part)
    return found


def without_colon(name: str) -> tuple[str, str] | None:
    """Read a name that has no colon, None where it names no module, no file and nothing in one.

    Returns:
        The module or the file, and the name in it, which is "" where it names none.
    """
    if _is_file(name) or is_module(name, has_code=True):
        return name, ""
    module, _, last = name.rpartition(".")
    return (module, last) if last.isidentifier() and module and is_module(module) else None


def import_module(module: str, shown: str) -> Any:
    """Import and return a module.

    Args:
        module: Its name; or the path of its file, whose folder goes in front of the import path, as
            that of a script does. Where the folder is a package, the module is one of the package.
        shown: The name that the user gave, for the message.

    Raises:
        UnknownEnvironmentError: there is no such module.
        EnvStartError: it cannot be imported.
    """
    if _is_file(module):
        return _import_file(module, shown)
    if not all(part.isidentifier() for part in module.split(".")):
        raise UnknownEnvironmentError(f"{shown}: {_no_module_name(module)}")
    return _import(module, shown)


def check_not_under_way(name: str) -> None:
    """Pass if the environment ``name`` is not one whose module is being imported here.

    A script that makes its own environment would start itself again in a worker, and that worker
    another one, without end.

    Raises:
        EnvStartError: it is.
    """
    if any(name.endswith(shown) for shown in _under_way):
        raise EnvStartError(
            f"{name}: its module makes this environment while it is imported, which would begin "
            "itself again and again; put what is to run in the script alone under "
            'if __name__ == "__main__":'
        )


def _import(module: str, shown: str) -> Any:
    _under_way.append(shown)
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as exc:
        missing = exc.name or ""
        if f"{module}.".startswith(f"{missing}."):
            raise raised_as(UnknownEnvironmentError, type(exc))(
                f"{shown}: there is no module named {missing!r} in the folder {_here()}, nor on "
                f"the path of {sys.executable}; run this in the folder of the module, add that to "
                "PYTHONPATH, or install its package"
            ) from exc
        raise raised_as(EnvStartError, type(exc))(
            f"{shown}: the module {module} imports {missing!r}, which is not installed for "
            f"{sys.executable}{_place(exc)}"
        ) from exc
    except (Exception, SystemExit) as exc:  # a module runs whatever code it likes
        raise raised_as(EnvStartError, type(exc))(
            f"{shown}: the module {module} cannot be imported, it raised {type(exc).__name__}: "
            f"{exc}{_place(exc)}"
        ) from exc
    finally:
        _under_way.remove(shown)


def _is_file(name: str) -> bool:
    # An id of Gymnasium may have a slash too.
    return name.endswith(".py") or (os.sep in name and os.path.isfile(f"{name}.py"))


def _import_file(file: str, shown: str) -> Any:
    path = os.path.abspath(file if file.endswith(".py") else f"{file}.py")
    if not os.path.isfile(path):
        raise UnknownEnvironmentError(f"{shown}: there is no file {path}")
    folder, last = os.path.split(path)
    parts = [last.removesuffix(".py")]
    while os.path.isfile(os.path.join(folder, "__init__.py")):
        folder, last = os.path.split(folder)
        parts.insert(0, last)
    name = ".".join(part for part in parts if part != "__init__")
    if sys.path[:1] != [folder]:
        sys.path[:] = [folder, *(one for one in sys.path if one != folder)]
    found = _import(name, shown)
    loaded = getattr(found, "__file__", None)
    if loaded is None or not os.path.samefile(loaded, path):
        raise EnvStartError(
            f"{shown}: another module has been imported as {name}, from "
            f"{loaded or 'Python itself'}; rename {path}, or make it in another process"
        )
    return found


def is_module(name: str, *, has_code: bool = False) -> bool:
    """Whether there is a module ``name``, which is not imported for that.

    Args:
        name: The name.
        has_code: Whether a folder without ``__init__.py`` is none.
    """
    try:
        spec = find_spec(name)
    except (ImportError, ValueError):
        return False
    return spec is not None and not (has_code and spec.origin is None)


def environments_in(module: Any) -> list[str]:
    """Return the names of the classes in ``module`` that look like environments of its own."""
    return [
        name
        for name, value in vars(module).items()
        if inspect.isclass(value)
        and value.__module__ == module.__name__
        and not name.startswith("_")
        and acts(value)
    ]


def _only_environment(module: Any, shown: str) -> Any:
    """Return the one class of an environment in a module."""
    known = [one for one in environments_in(module) if not _wraps(getattr(module, one))]
    if len(known) == 1:
        return getattr(module, known[0])
    said = f"several environments: {', '.join(known)}" if known else "no class of an environment"
    raise UnknownEnvironmentError(
        f"{shown}: the module {module.__name__} has {said}; name a class or a function in it, as "
        f"{shown}:{known[0] if known else 'Class'}"
    )


def _wraps(kind: type[Any]) -> bool:
    """Whether a class is a wrapper, which needs an environment to wrap."""
    return any(base.__name__ == "Wrapper" for base in kind.__mro__)


def acts(kind: type[Any]) -> bool:
    """Return whether a class has the methods of an environment, of either interface."""
    return callable(getattr(kind, "reset", None)) and callable(getattr(kind, "step", None))


def _what_is_missing(name: str) -> str:
    module, _, path = name.partition(":")
    if ":" in path:
        return ", which has a colon too many"
    if not module:
        return ", which names no module"
    said = f", which names nothing in the module {module}"
    if not is_module(module):
        return said
    known = environments_in(import_module(module, name))
    return f"{said}; it has {', '.join(known)}" if known else said


def _of_missing(found: Any, name: str, other_names: Any) -> str:
    """Say that ``found``, a module or a class, has nothing of this name."""
    if not inspect.ismodule(found):
        return f"{getattr(found, '__qualname__', type(found).__qualname__)} has no {name!r}"
    if is_module(f"{found.__name__}.{name}"):
        return (
            f"{found.__name__}.{name} is a module; name a class or a function in it, as "
            f"{found.__name__}.{name}:Class"
        )
    said = f"the module {found.__name__} has no {name!r}"
    said += ", and registers no such id" if other_names else ""
    makers = [one for one, value in vars(found).items() if callable(value)]
    close = difflib.get_close_matches(name, [*makers, *other_names], 1)
    known = environments_in(found)
    if close:
        return f"{said}; did you mean {found.__name__}:{close[0]}?"
    return f"{said}; it has {', '.join(known)}" if known else said


def _no_module_name(module: str) -> str:
    if module.endswith(":"):
        return f"it has a colon too many; expected {module.rstrip(':')}:Class"
    return f"{module!r} is no name of a module; expected {_FORM}, or folder/file.py:Class"


def _here() -> str:
    try:
        return os.getcwd()
    except FileNotFoundError:  # the folder was removed
        return "that was removed"


def _place(exc: BaseException) -> str:
    """Say where ``exc`` was raised, if that is not in Python's own import system."""
    frames = [
        frame
        for frame in traceback.extract_tb(exc.__traceback__)
        if not frame.filename.startswith("<frozen") and frame.filename != __file__
    ]
    frames = [frame for frame in frames if "importlib" not in frame.filename]
    return f" ({frames[-1].filename}, line {frames[-1].lineno})" if frames else ""
