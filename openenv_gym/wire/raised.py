"""Errors that are ours and of the class that the environment's own code raised.

``gymnasium.make`` in process raises a ``TypeError`` where a keyword is wrong, and callers wait for
just that. An error that crosses a border therefore has two classes: one of ours, which its code
tells, and one that its ``raised`` tells by name. The name is looked up in :data:`RAISED`, a fixed
table; nothing of the wire is imported. ``EnvStartError_TypeError`` is the class of an
``EnvStartError`` that is a ``TypeError`` too. It is made once, at its first use, and is found under
its name in this module, so that it can be pickled as any other class.
"""

from __future__ import annotations

import builtins
from functools import cache

from gymnasium import error

from openenv_gym import errors
from openenv_gym.errors import OpenEnvGymError

_BUILTINS = (
    *("ArithmeticError", "FloatingPointError", "OverflowError", "ZeroDivisionError"),
    *("AssertionError", "AttributeError", "BufferError", "EOFError", "MemoryError"),
    *("ImportError", "ModuleNotFoundError", "LookupError", "IndexError", "KeyError"),
    *("NameError", "UnboundLocalError", "NotImplementedError", "RecursionError", "RuntimeError"),
    *("OSError", "BlockingIOError", "ChildProcessError", "FileExistsError", "FileNotFoundError"),
    *("InterruptedError", "IsADirectoryError", "NotADirectoryError", "PermissionError"),
    *("ProcessLookupError", "TimeoutError", "ConnectionError", "BrokenPipeError"),
    *("ConnectionAbortedError", "ConnectionRefusedError", "ConnectionResetError"),
    *("ReferenceError", "SyntaxError", "IndentationError", "TabError", "SystemError"),
    *("TypeError", "ValueError", "UnicodeError"),
)
_GYMNASIUM = (
    *("Error", "UnregisteredEnv", "NamespaceNotFound", "NameNotFound", "VersionNotFound"),
    *("DeprecatedEnv", "RegistrationError", "DependencyNotInstalled", "UnsupportedMode"),
    *("InvalidMetadata", "ResetNeeded", "InvalidAction", "MissingArgument"),
    *("InvalidProbability", "InvalidBound", "DeprecatedWrapper", "ClosedEnvironmentError"),
    "CustomSpaceError",
)

RAISED: dict[str, type[Exception]] = {
    **{name: getattr(builtins, name) for name in _BUILTINS},
    # Other versions of Gymnasium may lack one.
    **{name: getattr(error, name) for name in _GYMNASIUM if hasattr(error, name)},
}
"""The classes that an error of ours may have too, by name; each can be made of one string."""

_OURS: dict[str, type[OpenEnvGymError]] = {
    kind.__name__: kind
    for kind in (
        errors.EnvStartError,
        errors.InvalidRequestError,
        errors.RemoteEnvError,
        errors.SpaceError,
        errors.UnknownEnvironmentError,
        errors.UnsupportedRenderModeError,
    )
}


def raised_as(kind: type[OpenEnvGymError], raised: type[BaseException]) -> type[OpenEnvGymError]:
    """Return the class of errors that are ``kind``, and ``raised`` or the nearest base of it too.

    >>> class TooSlow(ValueError): ...
    >>> raised_as(errors.EnvStartError, TooSlow)("no motor")
    EnvStartError_ValueError('no motor')

    Args:
        kind: A class of ours.
        raised: A class of any error. Where neither it nor a base of it is in :data:`RAISED`, the
            result is ``kind``.
    """
    known = (base.__name__ for base in raised.__mro__ if RAISED.get(base.__name__) is base)
    return named_pair(kind, next(known, ""))


def named_pair(kind: type[OpenEnvGymError], raised: str) -> type[OpenEnvGymError]:
    """Return the class of errors that are ``kind``, and the class of this name too.

    Args:
        kind: A class of ours.
        raised: A name, as a peer says it. Where it is not in :data:`RAISED`, the result is
            ``kind``.
    """
    other = RAISED.get(raised)
    if other is None or issubclass(kind, other) or _OURS.get(kind.__name__) is not kind:
        return kind
    return _pair(kind.__name__, raised)


@cache
def _pair(ours: str, raised: str) -> type[OpenEnvGymError]:
    return type(
        f"{ours}_{raised}",
        (_OURS[ours], RAISED[raised]),
        {
            "__module__": __name__,
            "__doc__": f"{_OURS[ours].__doc__} It is a ``{raised}`` too.",
            "__str__": Exception.__str__,  # a KeyError shows the repr of its message
            "raised": raised,
        },
    )


def __getattr__(name: str) -> type[OpenEnvGymError]:
    """Return the class of a pair by its name, as pickle asks for it."""
    ours, _, raised = name.partition("_")
    if ours in _OURS and raised in RAISED:
        pair = named_pair(_OURS[ours], raised)
        if pair.__name__ == name:
            return pair
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
