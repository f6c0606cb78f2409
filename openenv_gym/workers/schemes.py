"""The schemes that packages declare for their adapters, as entry points.

A package names its adapter in its metadata, in the group :data:`GROUP`. Nothing is read before a
name has a scheme that is not one of ours, and no adapter is loaded that nobody names.
docs/adapters.md says what an adapter is.
"""

from __future__ import annotations

import difflib
import os
import sys
from collections.abc import Iterable
from functools import lru_cache
from importlib import metadata
from typing import Any, NamedTuple

from openenv_gym.errors import EnvStartError
from openenv_gym.wire.raised import raised_as

GROUP = "openenv_gym.adapters"


class DeclaredScheme(NamedTuple):
    """A scheme that a package declares.

    Attributes:
        scheme: The word before the colon in names of environments.
        package: The package that declares it, with its version: ``my-simulator 1.2``.
        value: Where its adapter is: ``module``, or ``module:name``.
        entry_point: The entry point, which loads the adapter.
    """

    scheme: str
    package: str
    value: str
    entry_point: metadata.EntryPoint


def declared_schemes() -> tuple[DeclaredScheme, ...]:
    """Return what the installed packages declare, in the order of the schemes and packages."""
    return _read(tuple(_stamps()))


def is_declared(scheme: str) -> bool:
    """Return whether a package declares ``scheme``."""
    return any(one.scheme == scheme for one in declared_schemes())


def load_adapter(scheme: str) -> Any:
    """Load the adapter of a scheme.

    Raises:
        EnvStartError: it cannot be loaded, or several packages declare the scheme.
    """
    found = [one for one in declared_schemes() if one.scheme == scheme]
    if len(found) != 1:
        packages = " and ".join(one.package for one in found) or "none"
        raise EnvStartError(
            f"{scheme}: expected one package that declares this scheme, got {packages}; uninstall "
            "those that you do not need"
        )
    (one,) = found
    try:
        return one.entry_point.load()
    except (Exception, SystemExit) as exc:  # a module runs whatever code it likes
        raise raised_as(EnvStartError, type(exc))(
            f"{scheme}: the adapter {one.value} of the package {one.package} cannot be loaded, it "
            f"raised {type(exc).__name__}: {exc}"
        ) from exc


def other_schemes(scheme: str, ours: Iterable[str]) -> str:
    """Say which schemes there are, for who wrote one that nobody knows.

    Args:
        scheme: What was written.
        ours: The schemes that this package has without any declaration.
    """
    known = sorted({*ours, *(one.scheme for one in declared_schemes())})
    close = difflib.get_close_matches(scheme, known, 1)
    meant = f"; did you mean {close[0]}:?" if close else ""
    return f"{scheme} is no scheme either, these are {', '.join(known)}{meant}"


def _stamps() -> Iterable[tuple[str, int]]:
    """The folders that modules are imported from, and when something was installed there."""
    for folder in sys.path:
        try:
            yield folder, os.stat(folder or os.curdir).st_mtime_ns
        except OSError:
            yield folder, 0


@lru_cache(maxsize=1)  # reading takes 10 ms with a hundred packages, and a batch asks for each part
def _read(stamps: tuple[tuple[str, int], ...]) -> tuple[DeclaredScheme, ...]:
    found = []
    for one in metadata.entry_points(group=GROUP):
        of = one.dist
        package = "an unknown package" if of is None else f"{of.name} {of.version}"
        found.append(DeclaredScheme(one.name, package, one.value, one))
    return tuple(sorted(found, key=lambda one: one[:3]))
