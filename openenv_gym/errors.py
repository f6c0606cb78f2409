"""Every exception that this package raises on purpose.

::

    OpenEnvGymError
    ├── AddressError (ValueError)              a URL or address that cannot be parsed
    ├── UnknownEnvironmentError (LookupError)  no such id, or not the one that the server serves
    ├── AuthenticationError (PermissionError)  a server wants a token, and got none or another
    ├── UnsupportedRenderModeError (TypeError) the environment cannot draw in the mode asked for
    ├── SpaceError (ValueError)                a space or reward that cannot be carried or inferred
    ├── InvalidActionError (ValueError)        an action of the wrong type, shape or value
    ├── InvalidRequestError (ValueError)       a malformed message, an unknown argument
    ├── UnknownAttributeError (AttributeError) the environment has none of this name, or hides it
    ├── ResetNeededError (RuntimeError)        step before reset, or after the end of the episode
    ├── ConcurrentCallError (RuntimeError)     two threads used one environment at once
    ├── RemoteEnvError (RuntimeError)          the environment's own code raised
    │   ├── EnvStartError                      it could not even be built
    │   └── EnvCrashLoopError                  it faults again and again
    ├── ServerError (RuntimeError)             the server failed outside the environment
    │   └── CapacityError                      it has no free session
    ├── ProtocolError (RuntimeError)           the peer broke the protocol
    │   └── NotOpenEnvError                    something answers there, but it is no OpenEnv server
    └── TransportError (ConnectionError)       the connection
        ├── UnreachableError                   could not be made
        ├── ConnectionLostError                broke
        └── RequestTimeoutError (TimeoutError) was too slow

Each class takes one string, has non-empty ``args`` and pickles, because Gymnasium's
``AsyncVectorEnv`` rebuilds an exception in the parent as ``exctype(value)``.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from itertools import chain, islice, repeat
from typing import Any, ClassVar

from openenv_gym.faults import FAULTS, Fault, FaultKind
from openenv_gym.texts import MAX_ERROR_CHARS, escaped

# `gymnasium.make` writes the arguments that it was given into the message of a TypeError, and makes
# the error anew with it. A token may be among them, and a password in an address.
_TOKEN = re.compile(r"(['\"]token['\"]: )('[^']*'|\"[^\"]*\")")
_USER = re.compile(r"(://)[^/\s'\"@]+(?=@)")


class OpenEnvGymError(Exception):
    """Root of all errors of this package.

    Args:
        message: What was expected, what came, where, and what to do next. What of it would act on
            a terminal is shown escaped, since it may quote a server.
        fault: What is known of a session that was lost, or of an environment that raised; None
            where the error is about something else.

    Attributes:
        code: The code of this error on the wire, see :mod:`openenv_gym.wire.error_codes`.
        fault_kind: The kind of fault that an error of this class is, where it does not say itself;
            None for one that is no fault.
        raised: The name of the class that the environment's own code raised, where the error has
            that class too, see :mod:`openenv_gym.wire.raised`; else "".
        fault: The fault that was given; it never changes.
    """

    code = "SERVER_ERROR"
    raised: ClassVar[str] = ""
    fault_kind: ClassVar[FaultKind | None] = None

    def __init__(self, message: str = "", *, fault: Fault | None = None) -> None:
        text = _USER.sub(r"\1***", _TOKEN.sub(r"\1'***'", str(message)))
        super().__init__(escaped(text, MAX_ERROR_CHARS))
        self.fault = fault

    @property
    def remote_traceback(self) -> str:
        """The traceback of the environment's process, "" where there is none or it is hidden."""
        return "" if self.fault is None else self.fault.remote_traceback


def fault_of(exc: OpenEnvGymError) -> Fault | None:
    """Return the fault that ``exc`` is, None where it is none: a new session would not help.

    >>> fault_of(RemoteEnvError("it raised")).action_applied
    True
    >>> fault_of(ResetNeededError("reset first")) is None
    True
    """
    if exc.fault is not None or exc.fault_kind is None:
        return exc.fault
    return Fault(kind=exc.fault_kind, action_applied=FAULTS[exc.fault_kind].action_applied)


class AddressError(OpenEnvGymError, ValueError):
    """An address that cannot be parsed."""

    code = "VALIDATION_ERROR"


class UnknownEnvironmentError(OpenEnvGymError, LookupError):
    """An environment that does not exist, or is not the one that is served."""

    code = "UNKNOWN_ENVIRONMENT"


class AuthenticationError(OpenEnvGymError, PermissionError):
    """A server that wants a token, and got none or another one."""

    code = "UNAUTHENTICATED"


class UnsupportedRenderModeError(OpenEnvGymError, TypeError):
    """A render mode that the environment does not have.

    A ``TypeError``, because Stable-Baselines3's ``make_vec_env`` asks for ``rgb_array`` first
    and falls back to no rendering on exactly that type.
    """

    code = "UNSUPPORTED_RENDER_MODE"


class SpaceError(OpenEnvGymError, ValueError):
    """A space or its schema, a reward or a flag that cannot be carried or inferred."""

    code = "SPACE_ERROR"


class InvalidActionError(OpenEnvGymError, ValueError):
    """An action of the wrong type, shape, or value."""

    code = "INVALID_ACTION"


class InvalidRequestError(OpenEnvGymError, ValueError):
    """A request that does not have the form that the protocol asks for."""

    code = "VALIDATION_ERROR"


class UnknownAttributeError(OpenEnvGymError, AttributeError):
    """An attribute or method that the environment does not have, or that may not be used."""

    code = "UNKNOWN_ATTRIBUTE"


class ResetNeededError(OpenEnvGymError, RuntimeError):
    """A step before the first reset, or after the end of the episode."""

    code = "RESET_NEEDED"


class ConcurrentCallError(OpenEnvGymError, RuntimeError):
    """Two threads used one environment at the same time."""

    code = "CONCURRENT_CALL"


class RemoteEnvError(OpenEnvGymError, RuntimeError):
    """The environment's own code raised; the message holds its traceback where allowed."""

    code = "EXECUTION_ERROR"
    fault_kind = FaultKind.ENV_RAISED


class EnvStartError(RemoteEnvError):
    """The environment could not be built."""

    code = "FACTORY_ERROR"


class EnvCrashLoopError(RemoteEnvError):
    """The environment faults more often than it may, or cannot be made anew in time."""

    code = "CRASH_LOOP"
    fault_kind = FaultKind.CRASH_LOOP


class ServerError(OpenEnvGymError, RuntimeError):
    """The server failed for a reason that lies neither in the request nor in the environment."""

    code = "SESSION_ERROR"
    fault_kind = FaultKind.CONNECTION_LOST


class CapacityError(ServerError):
    """The server has no free session."""

    code = "CAPACITY_REACHED"


class ProtocolError(OpenEnvGymError, RuntimeError):
    """The peer sent what the protocol does not allow."""

    code = "PROTOCOL_ERROR"
    fault_kind: ClassVar[FaultKind | None] = FaultKind.BAD_REPLY


class NotOpenEnvError(ProtocolError):
    """Something answers at the address, but it is no OpenEnv server."""

    code = "NOT_OPENENV"
    fault_kind = None  # a new session would find the same


class TransportError(OpenEnvGymError, ConnectionError):
    """The connection failed."""

    code = "CONNECTION_ERROR"


class UnreachableError(TransportError):
    """The connection could not be made."""

    code = "UNREACHABLE"
    fault_kind = FaultKind.CONNECTION_LOST


class ConnectionLostError(TransportError):
    """The connection broke, so that the fate of the request in flight is unknown."""

    code = "CONNECTION_LOST"
    fault_kind = FaultKind.CONNECTION_LOST


class RequestTimeoutError(TransportError, TimeoutError):
    """The answer did not come in time; the connection was closed and is never used again."""

    code = "TIMEOUT"
    fault_kind = FaultKind.STEP_TIMEOUT


def shown(value: Any, limit: int = 80) -> str:
    """Return what ``repr`` says of ``value``, cut to ``limit`` characters.

    It is cut before it is made, because errors quote what a stranger sent: the ``repr`` of some
    megabytes of JSON takes seconds and several times their memory.

    >>> shown([1, "a", {"b": None}]), shown(list(range(10**6)), 12)
    ("[1, 'a', {'b': None}]", '[0, 1, 2,...')
    """
    text = ""
    for piece in _pieces(value, limit):
        text += piece
        if len(text) > limit:
            return text[: limit - 3] + "..."
    return text


def names_shown(names: Iterable[Any]) -> str:
    """Return the first of some names, with commas between.

    >>> names_shown({"a": 1, "b": 2})
    "'a', 'b'"
    """
    first = [shown(name, 40) for name in islice(names, _SHOWN_NAMES + 1)]
    return ", ".join([*first[:_SHOWN_NAMES], *(["..."] if len(first) > _SHOWN_NAMES else [])])


def _pieces(value: Any, limit: int) -> Iterator[str]:
    """The ``repr`` of a value, bit by bit, where it is one of JSON; a text is cut before."""
    kind = type(value)
    if kind in (str, bytes, bytearray):
        yield repr(value[: limit + 1])
    elif kind in (list, tuple):
        end = "]" if kind is list else ",)" if len(value) == 1 else ")"
        yield from _row("[" if kind is list else "(", map(_pieces, value, repeat(limit)), end)
    elif kind is dict:
        entries = (chain(_pieces(k, limit), [": "], _pieces(v, limit)) for k, v in value.items())
        yield from _row("{", entries, "}")
    elif kind is int and value.bit_length() > _SHOWN_BITS:
        yield f"an integer of {value.bit_length()} bits"
    else:
        yield repr(value)


def _row(begin: str, items: Iterable[Iterable[str]], end: str) -> Iterator[str]:
    yield begin
    for number, item in enumerate(items):
        yield ", " if number else ""
        yield from item
    yield end


_SHOWN_NAMES = 10

_SHOWN_BITS = 4096
"""Python refuses to write integers that are much longer."""
