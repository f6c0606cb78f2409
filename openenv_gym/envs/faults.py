"""What a fault is to training: which exceptions are faults, and how often and when to begin anew.

A fault in a step becomes the end of an episode (truncated), and the next reset is one of a fresh
session. Mistakes of the caller never are faults. Until an environment has been reset and stepped
once, nothing is softened: what does not work at all should be heard of at once.
"""

from __future__ import annotations

import copy
import random
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, TypeVar

import numpy as np

from openenv_gym.errors import (
    CapacityError,
    EnvCrashLoopError,
    InvalidRequestError,
    NotOpenEnvError,
    OpenEnvGymError,
    UnreachableError,
    fault_of,
)
from openenv_gym.faults import Fault, FaultKind
from openenv_gym.wire.error_codes import brief

T = TypeVar("T")

KEPT_ACTIONS = 32
CLOSE_TIMEOUT_S = 5.0
_MAX_ACTION_CHARS = 40


@dataclass(frozen=True, kw_only=True)
class FaultPolicy:
    """What becomes of faults.

    Attributes:
        on_fault: ``truncate`` ends the episode and begins anew at the next reset; ``raise`` raises.
        restarts: How often an environment may be made anew within ``restarts_within_s``.
        restarts_within_s: See ``restarts``.
        backoff_s: What the second restart in a row waits; each further one waits twice as long,
            less a random part of up to a half.
        max_backoff_s: The longest wait between two restarts.
        restart_timeout_s: How long to wait for a server without a free session.
        reconnect_timeout_s: How long to wait for a server that nobody answers for.

    Raises:
        InvalidRequestError: a number makes no sense: it would be found out in the first fault.
    """

    on_fault: Literal["truncate", "raise"] = "truncate"
    restarts: int = 5
    restarts_within_s: float = 60.0
    backoff_s: float = 0.1
    max_backoff_s: float = 5.0
    restart_timeout_s: float = 120.0
    reconnect_timeout_s: float = 300.0

    def __post_init__(self) -> None:
        """Refuse what makes no sense."""
        if self.on_fault not in ("truncate", "raise"):
            raise InvalidRequestError(
                "on_fault: expected 'truncate', 'raise' or a FaultPolicy, got "
                f"{self.on_fault!r:.80}"
            )
        if type(self.restarts) is not int or self.restarts < 0:
            raise InvalidRequestError(f"restarts: expected a number from 0, got {self.restarts!r}")
        for name in _DURATIONS:
            value: Any = getattr(self, name)
            is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
            if not is_number or not value >= 0:
                raise InvalidRequestError(f"{name}: expected seconds from 0, got {value!r:.80}")

    @property
    def is_soft(self) -> bool:
        """Whether faults end episodes, and are not raised."""
        return self.on_fault == "truncate"

    def backoff(self, number: int) -> float:
        """Return how long to wait, in seconds, before try ``number``; the first one does not."""
        if number == 0:
            return 0.0
        whole = min(self.max_backoff_s, self.backoff_s * 2.0 ** min(number - 1, 60))
        return whole * _jitter.uniform(0.5, 1.0)


_DURATIONS = (
    *("restarts_within_s", "backoff_s", "max_backoff_s"),
    *("restart_timeout_s", "reconnect_timeout_s"),
)
OnFault = str | FaultPolicy
_jitter = random.Random()  # one of our own: the caller's generators are not touched


def fault_policy(on_fault: OnFault) -> FaultPolicy:
    """Return the policy that the argument ``on_fault`` means.

    Raises:
        InvalidRequestError: it means none.
    """
    if isinstance(on_fault, FaultPolicy):
        return on_fault
    known: Any = on_fault
    return FaultPolicy(on_fault=known)


def fault_kind(exc: OpenEnvGymError) -> str | None:
    """Return the kind of fault that ``exc`` is, None for what no new session would help."""
    fault = fault_of(exc)
    return None if fault is None or not fault.row.is_begun_anew else fault.kind.value


def info_of(
    exc: OpenEnvGymError, kind: str, incarnation: int, action_applied: bool | None
) -> dict[str, Any]:
    """Return what ``info["openenv"]`` says of the step that ended in ``exc``."""
    fault = fault_of(exc) or Fault(kind=FaultKind(kind))
    if fault.action_applied is None:
        fault = replace(fault, action_applied=action_applied)
    return fault.as_info(incarnation)


def without_frames(exc: OpenEnvGymError) -> OpenEnvGymError:
    """Return ``exc``, to be kept, without what was called: that has the values of all callers."""
    exc.__cause__ = exc.__context__ = None
    return exc.with_traceback(None)


def kept(value: Any) -> Any:
    """Return a copy of an observation or action, which its owner may write to."""
    kind = type(value)
    if kind is np.ndarray and value.dtype != object:
        return value.copy()
    if kind is dict:
        return {key: kept(item) for key, item in value.items()}
    if kind is tuple:
        return tuple(map(kept, value))
    return value if kind in _IMMUTABLE else copy.deepcopy(value)


_IMMUTABLE = frozenset({int, float, bool, str, bytes, type(None), np.int64, np.float32, np.float64})


class Restarts:
    """The restarts of one environment, and what is said when there were too many.

    Args:
        policy: How many there may be.
        name: Of the environment.
        clock: Tells the time, in seconds.
        sleep: Waits.

    Attributes:
        incarnation: How often the environment was made anew.
        seed: The one that it was last reset with.
        actions: The last ones.
    """

    def __init__(
        self,
        policy: FaultPolicy,
        name: str,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.policy = policy
        self.name = name
        self.incarnation = 0
        self.seed: int | None = None
        self.actions: deque[Any] = deque(maxlen=KEPT_ACTIONS)
        self._clock = clock
        self._sleep = sleep
        self._times: deque[float] = deque()

    def spend(self, fault: OpenEnvGymError | None) -> float:
        """Count one restart, and return how long to wait before it, in seconds.

        Args:
            fault: Why.

        Raises:
            EnvCrashLoopError: there were as many as there may be.
        """
        now, policy = self._clock(), self.policy
        while self._times and now - self._times[0] >= policy.restarts_within_s:
            self._times.popleft()
        if len(self._times) >= policy.restarts:
            raise self.crash_loop(
                f"faulted again after {policy.restarts} restarts within "
                f"{policy.restarts_within_s:g} s",
                fault,
            )
        self._times.append(now)
        self.incarnation += 1
        return policy.backoff(len(self._times) - 1)

    def renew(self, make: Callable[[], T], fault: OpenEnvGymError | None) -> T:
        """Return what ``make`` makes, as :func:`renew` of this environment alone."""
        return renew([self], make, fault)

    def wait(self, delay_s: float) -> None:
        """Sleep."""
        self._sleep(delay_s)

    def now(self) -> float:
        """The time, in seconds."""
        return self._clock()

    def check_patience(self, exc: OpenEnvGymError, waited_s: float) -> None:
        """Pass while a server that does not answer, or is full, may be waited for.

        Raises:
            EnvCrashLoopError: it was for too long.
        """
        is_full = isinstance(exc, CapacityError)
        limit_s = self.policy.restart_timeout_s if is_full else self.policy.reconnect_timeout_s
        if waited_s >= limit_s:
            raise self.crash_loop(f"could not be made anew within {limit_s:g} s", exc) from exc

    def crash_loop(self, what: str, fault: OpenEnvGymError | None) -> EnvCrashLoopError:
        """Return the error that says ``what`` became of the environment, and its last actions."""
        known = (None if fault is None else fault_of(fault)) or Fault(kind=FaultKind.CRASH_LOOP)
        actions = ", ".join(brief(repr(action), _MAX_ACTION_CHARS) for action in self.actions)
        return EnvCrashLoopError(
            f"{self.name} {what}; seed {self.seed}, incarnation {self.incarnation}, signal "
            f"{known.signal}, exit code {known.exitcode}, last actions "
            f"[{actions}], end of stderr: {known.stderr_tail or 'unknown'}; last fault: "
            f"{fault}; mend that, or allow more: on_fault=FaultPolicy(restarts=..., "
            "restart_timeout_s=..., reconnect_timeout_s=...)",
            fault=replace(known, kind=FaultKind.CRASH_LOOP),
        )


def renew(restarts: Sequence[Restarts], make: Callable[[], T], fault: OpenEnvGymError | None) -> T:
    """Return what ``make`` makes, which is tried as often and as long as the policy says.

    Args:
        restarts: Those of the environments that are made anew together.
        make: Connects and resets. What it raises of a fault counts as a restart; a server that
            does not answer, or has no free session, is waited for.
        fault: Why they are made anew.

    Raises:
        EnvCrashLoopError: there were too many restarts, or the server did not come back.
        OpenEnvGymError: a mistake of the caller.
    """
    one = restarts[0]
    delay_s, began_s, waits = max(each.spend(fault) for each in restarts), one.now(), 0
    while True:
        one.wait(delay_s)
        try:
            return make()
        except (UnreachableError, NotOpenEnvError, CapacityError) as exc:
            one.check_patience(exc, one.now() - began_s)
            waits += 1
            delay_s = one.policy.backoff(waits)
        except OpenEnvGymError as exc:
            if fault_kind(exc) is None:
                raise
            delay_s = max(each.spend(exc) for each in restarts)
