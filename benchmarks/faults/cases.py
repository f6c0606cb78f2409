"""The kinds of faults, by number, and what comes of one. Needs the standard library only."""

from dataclasses import dataclass, field

NUM_ENVS = 4  # how many environments a trial has
FAULT_STEP = 5  # how many steps lie between two faults, and before the one of a peer
DEADLINE_S = 1.0  # how long an environment may take for a step, where a kind hangs
PLAIN = 16  # actions below it are the numbers of faults, and from it on they are mere numbers
MAX_NUMBER = 2**31  # actions are below it


# Kinds of faults as in `openenv_gym.testing`; `stop` is its `kill` by SIGSTOP.
CRASHES = ("raise", "abort", "segfault", "kill", "exit", "sys_exit")
HANGS = ("sleep", "spin", "hold_gil", "stop")
KINDS = CRASHES + HANGS
NUMBERS = {kind: number for number, kind in enumerate(KINDS)}
"""The action with the number of a kind has it happen."""


@dataclass(kw_only=True)
class Trial:
    """What came of one kind of fault in one way."""

    way: str
    kind: str
    injected: int = 0  # how many happened
    flagged: int | None = None  # how many were told in the info of the step; None: nothing tells
    continued: int = 0  # after how many the environment that failed was stepped again
    harmed: int = 0  # how many environments were disturbed at most, that one included
    recovery_s: list[float] = field(default_factory=list)  # until the round of the reset is over
    ended: str = ""  # what ended the run, if anything did


@dataclass(frozen=True, kw_only=True)
class Left:
    """What a way has left behind after all of its faults, when its environments were closed."""

    way: str
    sessions: int | None  # on its server; None where it has none
    processes: int  # of its client, those of its server's workers included
    shared_memory: int  # files
