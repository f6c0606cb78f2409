"""How often, how soon and how long an environment is begun anew after faults."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from openenv_gym.errors import InvalidRequestError

_DURATIONS = [
    "restarts_within_s",
    "backoff_s",
    "max_backoff_s",
    "restart_timeout_s",
    "reconnect_timeout_s",
]


@dataclass(frozen=True, kw_only=True)
class FaultPolicy:
    """What becomes of faults.

    Attributes:
        on_fault: ``truncate`` ends the episode and begins anew at the next reset; ``raise`` raises.
        restarts: How often an environment may be begun anew within ``restarts_within_s``.
        restarts_within_s: The length of the window in which ``restarts`` are counted, in seconds.
        backoff_s: The pause before the second restart in a row, in seconds. Each further pause is
            twice as long. A random part of up to a half is taken off.
        max_backoff_s: The longest pause between two restarts, in seconds.
        restart_timeout_s: How long to wait for a server without a free session, in seconds.
        reconnect_timeout_s: How long to wait for a server that does not answer, in seconds.

    Raises:
        InvalidRequestError: A value makes no sense. It is refused here, because a run would find
            it out only in its first fault.
    """

    on_fault: Literal["truncate", "raise"] = "truncate"
    restarts: int = 5
    restarts_within_s: float = 60.0
    backoff_s: float = 0.1
    max_backoff_s: float = 5.0
    restart_timeout_s: float = 120.0
    reconnect_timeout_s: float = 300.0

    def __post_init__(self) -> None:
        """Refuse values that make no sense."""
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
        """Whether faults end episodes. Otherwise they are raised."""
        return self.on_fault == "truncate"

    def backoff(self, number: int) -> float:
        """Return the longest pause before try ``number``, in seconds; the first has none."""
        if number == 0:
            return 0.0
        return min(self.max_backoff_s, self.backoff_s * 2.0 ** min(number - 1, 60))


OnFault: TypeAlias = str | FaultPolicy


def fault_policy(on_fault: OnFault) -> FaultPolicy:
    """Return the policy that the argument ``on_fault`` stands for.

    Raises:
        InvalidRequestError: It is neither ``truncate`` nor ``raise`` nor a ``FaultPolicy``.
    """
    if isinstance(on_fault, FaultPolicy):
        return on_fault
    known: Any = on_fault
    return FaultPolicy(on_fault=known)
