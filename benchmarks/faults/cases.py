"""The kinds of faults, by number, and what comes of one. Knows the standard library only."""

from __future__ import annotations

from dataclasses import dataclass, field

NUM_ENVS = 4
"""How many environments a trial has."""

FAULT_STEP = 5
"""How many steps lie between two faults, and before the one of a peer."""

DEADLINE_S = 1.0
"""How long an environment may take for a step, where a kind hangs."""

PLAIN = 16
"""The numbers of actions below it are those of faults, and from it on they are mere numbers."""

MAX_NUMBER = 2**31
"""Actions are below it."""

READY = "ready"
"""What a peer's program prints when its environments are up."""


@dataclass(frozen=True, kw_only=True)
class Kind:
    """A kind of fault.

    Attributes:
        name: As in ``openenv_gym.testing``, but ``stop``, which is its ``kill`` by SIGSTOP.
        is_hang: Whether the step never returns.
    """

    name: str
    is_hang: bool = False


KINDS = (
    *(Kind(name=name) for name in ("raise", "abort", "segfault", "kill", "exit", "sys_exit")),
    *(Kind(name=name, is_hang=True) for name in ("sleep", "spin", "hold_gil", "stop")),
)
"""The action with the number of a kind has it happen."""

NUMBERS = {kind.name: number for number, kind in enumerate(KINDS)}


@dataclass(kw_only=True)
class Trial:
    """What came of one kind of fault in one way.

    Attributes:
        way: How the environments are reached.
        kind: Of the fault.
        injected: How many happened.
        flagged: How many were told in the info of the step; None where nothing tells.
        continued: After how many the environment that failed was stepped again.
        harmed: How many environments were disturbed at most, that one included.
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


@dataclass(frozen=True, kw_only=True)
class Left:
    """What a way has left behind after all of its faults, when its environments were closed.

    Attributes:
        way: Which.
        sessions: On its server; None where it has none.
        processes: Of its client, those of its server's workers included.
        shared_memory: Files.
    """

    way: str
    sessions: int | None
    processes: int
    shared_memory: int
