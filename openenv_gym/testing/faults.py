"""The kinds of faults, and what each does to the process that it happens in.

A fault is a name, or a dict with the name as ``kind`` and arguments beside it. All of this is
plain data, so that it survives JSON and ``gymnasium.EnvSpec``.
"""

from __future__ import annotations

import ctypes
import difflib
import inspect
import os
import resource
import signal
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NoReturn

from openenv_gym.errors import InvalidRequestError

MAX_MEGABYTES = 1024
"""The most that ``allocate`` takes, in MiB; a typo must not fill the memory of the machine."""

BAD_OBSERVATIONS = ("shape", "dtype", "nan", "range")

_FOREVER_S = 24 * 3600.0
_held: list[bytes] = []


class PlannedFaultError(RuntimeError):
    """The exception of the kind ``raise``."""


def _raise(message: str = "a planned fault") -> NoReturn:
    """Raise ``PlannedFaultError(message)``."""
    raise PlannedFaultError(message)


def _abort() -> NoReturn:
    """Die by SIGABRT, as a failed assertion of C code does."""
    _no_core_file()
    os.abort()


def _segfault() -> None:
    """Die by SIGSEGV, from a real read through a null pointer."""
    _no_core_file()
    ctypes.string_at(0)


def _kill(signal: int = signal.SIGKILL) -> None:
    """Send this process a signal: 9 as the OOM killer does, 19 to stop it."""
    _no_core_file()
    os.kill(os.getpid(), signal)


def _exit(code: int = 7) -> NoReturn:
    """End this process at once by ``os._exit``."""
    sys.stderr.flush()
    os._exit(code)


def _sys_exit(code: int = 7) -> NoReturn:
    """Raise ``SystemExit``, which is no ``Exception``."""
    sys.exit(code)


def _interrupt() -> NoReturn:
    """Raise ``KeyboardInterrupt``, which is no ``Exception`` either."""
    raise KeyboardInterrupt


def _sleep(seconds: float | None = None) -> None:
    """Sleep for ``seconds``, by default a day; then go on as usual."""
    time.sleep(_FOREVER_S if seconds is None else seconds)


def _spin(seconds: float | None = None) -> None:
    """Compute in Python for ``seconds``, by default a day; other threads can run."""
    end = time.monotonic() + (_FOREVER_S if seconds is None else seconds)
    while time.monotonic() < end:
        pass


def _hold_gil(seconds: float | None = None) -> None:
    """Wait in C with the GIL held: no other thread and no Python signal handler runs."""
    end = time.monotonic() + (_FOREVER_S if seconds is None else seconds)
    poll = ctypes.PyDLL(None).poll  # functions of a PyDLL run with the GIL held
    while (left := end - time.monotonic()) > 0:  # a signal cuts a poll short
        poll(None, 0, max(1, int(left * 1000)))


def _allocate(megabytes: int = 256) -> None:
    """Take ``megabytes`` (MiB) more of memory and keep it as long as the process lives."""
    if sum(map(len, _held)) + (megabytes << 20) > MAX_MEGABYTES << 20:
        raise InvalidRequestError(
            f"allocate: expected at most {MAX_MEGABYTES} megabytes in all, got {megabytes} more"
        )
    _held.append(b"\xff" * (megabytes << 20))


def _bad_observation(how: str = "shape") -> None:
    """Answer with an observation outside the space: its shape, dtype or range, or a NaN."""


_ACTIONS: dict[str, Callable[..., None]] = {
    "raise": _raise,
    "abort": _abort,
    "segfault": _segfault,
    "kill": _kill,
    "exit": _exit,
    "sys_exit": _sys_exit,
    "interrupt": _interrupt,
    "sleep": _sleep,
    "spin": _spin,
    "hold_gil": _hold_gil,
    "allocate": _allocate,
    "bad_observation": _bad_observation,
}

KINDS = tuple(_ACTIONS)
"""The kinds of faults."""


@dataclass(frozen=True, kw_only=True)
class PlannedFault:
    """One planned fault.

    Attributes:
        kind: The kind of the fault, one of :data:`KINDS`.
        arguments: The arguments of the kind, by name.
        stderr: A text that is written to stderr before the fault happens.
        ignore_sigterm: Whether the process ignores SIGTERM from then on.
    """

    kind: str
    arguments: dict[str, Any]
    stderr: str = ""
    ignore_sigterm: bool = False

    def happen(self) -> None:
        """Let the fault happen in this process."""
        if self.stderr:
            # Write to the descriptor and not to `sys.stderr`: like C code, past every buffer.
            os.write(2, self.stderr.encode())
        if self.ignore_sigterm:
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
        _ACTIONS[self.kind](**self.arguments)


def parse_fault(value: Any, where: str) -> PlannedFault:
    """Return the fault that a plan names.

    Args:
        value: A kind, or a dict with ``kind``, its arguments, ``stderr`` and ``ignore_sigterm``.
        where: The key in the plan, for the message.

    Raises:
        InvalidRequestError: ``value`` is neither, or has arguments that the kind does not take.
    """
    given = {"kind": value} if isinstance(value, str) else value
    if not isinstance(given, dict) or "kind" not in given:
        raise InvalidRequestError(
            f"plan[{where!r}]: expected a kind of fault or a dict with one as 'kind', got {value!r}"
        )
    arguments = dict(given)
    kind = arguments.pop("kind")
    if kind not in _ACTIONS:
        close = difflib.get_close_matches(str(kind), KINDS, 1)
        hint = f"; did you mean {close[0]!r}?" if close else ""
        raise InvalidRequestError(
            f"plan[{where!r}]: expected one of {', '.join(KINDS)}, got {kind!r}{hint}"
        )
    stderr, ignore_sigterm = arguments.pop("stderr", ""), arguments.pop("ignore_sigterm", False)
    known = inspect.signature(_ACTIONS[kind]).parameters
    unknown = [name for name in arguments if name not in known]
    if unknown:
        raise InvalidRequestError(
            f"plan[{where!r}]: {kind} takes {', '.join([*known, 'stderr', 'ignore_sigterm'])}, "
            f"got {', '.join(map(repr, unknown))}"
        )
    if kind == "bad_observation" and arguments.get("how", "shape") not in BAD_OBSERVATIONS:
        raise InvalidRequestError(
            f"plan[{where!r}]: how: expected one of {', '.join(BAD_OBSERVATIONS)}, "
            f"got {arguments['how']!r}"
        )
    return PlannedFault(
        kind=kind, arguments=arguments, stderr=stderr, ignore_sigterm=ignore_sigterm
    )


def _no_core_file() -> None:
    """Keep the kernel from writing the memory of a crashed process into the working folder."""
    _, hard = resource.getrlimit(resource.RLIMIT_CORE)
    resource.setrlimit(resource.RLIMIT_CORE, (0, hard))
