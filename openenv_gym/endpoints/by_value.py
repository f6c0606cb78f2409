"""Pickles functions and classes, by value where another process could not import them.

A function of a module is pickled as its name, and the worker imports the module. The script that
runs, a cell of a notebook, and a test file that pytest has loaded by its path have no module that
another process finds under their name. What they define is pickled as code.
"""

from __future__ import annotations

import functools
import inspect
import io
import os
import pickle
import re
import sys
import threading
import types
from collections.abc import Iterable, Iterator
from contextlib import suppress
from typing import Any

import cloudpickle  # type: ignore[import-untyped]

from openenv_gym.forks import in_children


class _OneAtATime:
    """The right to pickle: what cloudpickle pickles by value, it keeps for the whole process."""

    def __init__(self) -> None:
        self.begin_anew()

    def begin_anew(self) -> None:
        """At first, and in a forked child, where the thread that pickled is not."""
        self.lock = threading.Lock()


_PICKLING = _OneAtATime()
in_children(_OneAtATime.begin_anew).add(_PICKLING)
_DEEPEST = 8


class ByValuePickler(cloudpickle.Pickler):  # type: ignore[misc]  # it has no types
    """Pickles as cloudpickle does, and by value too what is of a module that cannot be found."""

    def __init__(self, file: io.BytesIO) -> None:
        super().__init__(file, protocol=pickle.HIGHEST_PROTOCOL)
        self._seen: set[str] = set()  # names of modules
        self._by_value: list[types.ModuleType] = []

    def dump_all(self, objects: Iterable[Any]) -> None:
        """Dump objects, which are to be loaded one after the other by one unpickler."""
        with _PICKLING.lock:
            try:
                for each in objects:
                    self.dump(each)
            finally:
                for module in self._by_value:
                    cloudpickle.unregister_pickle_by_value(module)
                self._by_value.clear()

    def reducer_override(self, obj: Any) -> Any:
        """Return how ``obj`` is pickled, which cloudpickle asks for functions and classes."""
        if isinstance(obj, (type, types.FunctionType)):
            self._look_at(sys.modules.get(obj.__module__ or ""))
        reduced = super().reducer_override(obj)
        if not isinstance(reduced, tuple):  # it is named, or pickled as always
            return reduced
        return (
            _with_models(obj, reduced)
            if isinstance(obj, types.FunctionType)
            else _untracked(reduced)
        )

    def _look_at(self, module: types.ModuleType | None) -> None:
        """Have what is of a module pickled by value from now on, where it cannot be found."""
        if module is None or module.__name__ in self._seen:
            return
        self._seen.add(module.__name__)
        is_known = module.__name__ in cloudpickle.list_registry_pickle_by_value()
        if not is_known and not can_be_found(module):
            cloudpickle.register_pickle_by_value(module)
            self._by_value.append(module)


def _with_models(function: types.FunctionType, reduced: Any) -> Any:
    """What cloudpickle says of a function, with the models that its annotations name as texts.

    The code does not use them, and so cloudpickle leaves them out of its globals. But the models of
    a typed environment are found in its annotations.
    """
    texts = [each for each in function.__annotations__.values() if isinstance(each, str)]
    for name in re.findall(r"\w+", " ".join(texts)):
        value = function.__globals__.get(name)
        if isinstance(value, type) and hasattr(value, "model_json_schema"):
            reduced[2][1]["__globals__"].setdefault(name, value)
    return reduced


def _untracked(reduced: Any) -> Any:
    """What cloudpickle says of a class, without the number by which it knows the class again.

    With that number, a process that reads the class a second time changes the one that it has. But
    environments that are there stay as they were made.
    """
    if not reduced[0].__name__.startswith("_make_skeleton_"):
        return reduced
    make, (*arguments, _, extra), *state = reduced
    return make, (*arguments, None, extra), *state


def can_be_found(module: types.ModuleType) -> bool:
    """Return whether another process with this import path would find this module by its name."""
    name, file = module.__name__, getattr(module, "__file__", None)
    if name == "__main__":
        return False
    if file is None:  # built in, or made by a library of its own, as those of pybind11 are
        root = name.partition(".")[0]
        return _spec(root, None) is not None
    path: Any = None
    parts = name.split(".")
    for count in range(1, len(parts) + 1):
        spec = _spec(".".join(parts[:count]), path)
        if spec is None:
            return False
        path = spec.submodule_search_locations
    return _is_same_file(spec.origin, file)


def _spec(name: str, path: Any) -> Any:
    for finder in sys.meta_path:
        with suppress(ImportError, AttributeError):  # an old finder has no `find_spec`
            spec = finder.find_spec(name, path)
            if spec is not None:
                return spec
    return None


def _is_same_file(one: str | None, other: str) -> bool:
    if one in ("built-in", "frozen"):  # though it has a file too
        return True
    if one is None or not (os.path.exists(one) and os.path.exists(other)):
        return one == other  # as in a zip file
    return os.path.samefile(one, other)


def dumped(objects: Iterable[Any]) -> bytes:
    """Return the pickles of objects, which share what they have in common."""
    file = io.BytesIO()
    ByValuePickler(file).dump_all(objects)
    return file.getvalue()


def failure_of(value: Any) -> Exception | None:
    """Return why a value cannot be pickled, None where it can."""
    try:
        dumped([value])
    except Exception as exc:  # objects raise whatever they like in their own reducers
        return exc
    return None


def what_fails(value: Any) -> str:
    """Say which part of a value, that cannot be pickled, is the reason.

    >>> import threading
    >>> lock = threading.Lock()
    >>> what_fails(functools.partial(print, lock))
    'its argument 0, a lock'
    """
    said: list[str] = []
    seen = [value]
    for _ in range(_DEEPEST):
        new = (each for each in _parts(value) if not any(each[1] is one for one in seen))
        part = next((each for each in new if failure_of(each[1]) is not None), None)
        if part is None:
            break
        said.append(part[0])
        value = part[1]
        seen.append(value)
    kind = type(value).__name__
    return f"{' and its '.join(['its ' + said[0], *said[1:]])}, a {kind}" if said else f"a {kind}"


def _parts(value: Any) -> Iterator[tuple[str, Any]]:
    """Yield what a value is made of, with a name for each."""
    if isinstance(value, functools.partial):
        yield "function", value.func
        yield from ((f"argument {i}", each) for i, each in enumerate(value.args))
        yield from ((f"argument {name!r}", each) for name, each in value.keywords.items())
    elif isinstance(value, types.MethodType):
        yield "object", value.__self__
    elif isinstance(value, types.FunctionType):
        used = inspect.getclosurevars(value)
        yield from ((f"variable {name!r}", each) for name, each in used.nonlocals.items())
        yield from ((f"global variable {name!r}", each) for name, each in used.globals.items())
        yield from ((f"default {each!r:.40}", each) for each in value.__defaults__ or ())
    elif isinstance(value, dict):
        yield from ((f"item {key!r:.40}", each) for key, each in value.items())
    elif isinstance(value, (list, tuple, set, frozenset)):
        yield from ((f"item {i}", each) for i, each in enumerate(value))
    else:
        own = vars(value) if hasattr(value, "__dict__") else {}
        yield from ((f"attribute {name!r}", each) for name, each in own.items())
