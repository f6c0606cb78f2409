"""The kinds of faults of a campaign, and what comes of one."""

from __future__ import annotations

from dataclasses import dataclass, field

NUM_ENVS = 4
"""How many environments a campaign has; the first one fails."""

FAULT_STEP = 5
"""Which step of each incarnation fails."""

DEADLINE_S = 1.0
"""How long a client waits for a step, where a kind hangs."""

READY = "ready"
"""What a peer's program prints when its environments are up."""


@dataclass(frozen=True, kw_only=True)
class Kind:
    """A kind of fault.

    Attributes:
        name: As in ``openenv_gym.testing``.
        is_hang: Whether the step never returns.
    """

    name: str
    is_hang: bool = False


KINDS = (
    *(Kind(name=name) for name in ("raise", "abort", "segfault", "kill", "exit", "sys_exit")),
    *(Kind(name=name, is_hang=True) for name in ("sleep", "hold_gil")),
)


@dataclass(kw_only=True)
class Trial:
    """What came of one kind of fault in one way.

    Attributes:
        way: How the environments are reached.
        kind: Of the fault.
        injected: How many happened.
        flagged: How many steps said that there was one; None where nothing says so.
        continued: After how many the environment that failed went on.
        harmed: How many environments were disturbed, that one included.
        recovery_s: From the call of each failed step to the return of the reset after it.
        ended: What ended the run; empty if nothing did.
    """

    way: str
    kind: str
    injected: int = 0
    flagged: int | None = None
    continued: int = 0
    harmed: int = 0
    recovery_s: list[float] = field(default_factory=list)
    ended: str = ""
