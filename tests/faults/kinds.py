"""The planned faults of the matrix, and what is to be told of each.

One vector environment has all of them, a sub-environment each, in steps of their own; the first and
the last sub-environment have none.
"""

from __future__ import annotations

import signal
from dataclasses import dataclass, replace
from typing import Any

from openenv_gym.testing import FaultEnv
from openenv_gym.wire.fault_info import restart_info
from tests.faults.streams import Began, Event, Stepped, of_local

FAULT = "openenv_gym.testing:Fault-v0"
FIRST_SEED, EPISODE_STEPS, STEPS = 7, 6, 32
DEADLINE_S = 6.0
PATIENCE_S = 60.0  # until it has begun: interpreters start
WORLD = {"first_seed": FIRST_SEED, "episode_steps": EPISODE_STEPS}
_HANG_STEP = "20"
_SECOND_RESET = "reset:2"
_LITTLE_MB, _TOO_MUCH_MB, _LIMIT_MB = 64, 1024, 1200


@dataclass(frozen=True, kw_only=True)
class Told:
    """What ``info["openenv"]`` is to say; ``fault`` is None where nothing is to be noticed."""

    fault: str | None = None
    signal: int | None = None
    exitcode: int | None = None
    action_applied: bool | None = None


@dataclass(frozen=True, kw_only=True)
class Planned:
    """A sub-environment that fails.

    Attributes:
        name: Of the case.
        fault: As in a plan.
        when: Likewise; empty for a step that is its own.
        told: What is to be told of it, by transport.
        is_harmless: Whether it leaves its process as it is, so that others may live there.
    """

    name: str
    fault: Any
    when: str = ""
    told: dict[str, Told]
    is_harmless: bool = False

    @property
    def is_bad_observation(self) -> bool:
        """Whether it is an observation outside the space."""
        return self.name.startswith("bad_")


def _everywhere(told: Told) -> dict[str, Told]:
    return dict.fromkeys(("embedded", "binary", "json"), told)


_NOTHING = _everywhere(Told())
_RAISED = _everywhere(Told(fault="env_raised", action_applied=True))
_LATE = _everywhere(Told(fault="step_timeout", signal=int(signal.SIGKILL)))
_LATE["embedded"] = Told(fault="step_timeout")  # told before it is killed


def _killed(number: int) -> dict[str, Told]:
    return _everywhere(Told(fault="worker_died", signal=int(number)))


def _ended(code: int) -> dict[str, Told]:
    return _everywhere(Told(fault="worker_died", exitcode=code))


def _bad(how: str, told: dict[str, Told]) -> Planned:
    fault = {"kind": "bad_observation", "how": how}
    return Planned(name=f"bad_{how}", fault=fault, told=told, is_harmless=True)


def _slow(kind: str) -> dict[str, Any]:
    return {"kind": kind, "seconds": 0.2}


DEATHS = [
    Planned(name="abort", fault="abort", told=_killed(signal.SIGABRT)),
    Planned(name="segfault", fault="segfault", told=_killed(signal.SIGSEGV)),
    Planned(name="kill", fault="kill", told=_killed(signal.SIGKILL)),
    Planned(name="exit", fault="exit", told=_ended(7)),
    Planned(name="exit_0", fault={"kind": "exit", "code": 0}, told=_ended(0)),
    Planned(name="sys_exit", fault="sys_exit", told=_ended(7)),
    Planned(name="interrupt", fault="interrupt", told=_killed(signal.SIGINT)),
]
HANGS = [
    Planned(name=name, fault=fault, when=_HANG_STEP, told=_LATE)
    for name, fault in (
        ("sleep", "sleep"),
        ("spin", "spin"),
        ("hold_gil", "hold_gil"),
        ("stop", {"kind": "kill", "signal": int(signal.SIGSTOP)}),
        ("deaf", {"kind": "spin", "ignore_sigterm": True}),
    )
]
OTHERS = [
    Planned(name="raise", fault="raise", told=_RAISED, is_harmless=True),
    Planned(
        name="allocate",
        fault={"kind": "allocate", "megabytes": _TOO_MUCH_MB},
        told={**_everywhere(Told(fault="oom")), "embedded": Told()},
    ),
    _bad("shape", {**_RAISED, "json": Told(fault="bad_reply")}),
    _bad("dtype", _RAISED),
    _bad("nan", _NOTHING),
    _bad("range", _NOTHING),
    Planned(name="slow", fault=_slow("sleep"), told=_NOTHING, is_harmless=True),
    Planned(name="slow_gil", fault=_slow("hold_gil"), told=_NOTHING, is_harmless=True),
]
RESETS = [
    Planned(name="reset_raise", fault="raise", when=_SECOND_RESET, told=_RAISED, is_harmless=True),
    Planned(name="reset_kill", fault="kill", when=_SECOND_RESET, told=_killed(signal.SIGKILL)),
    Planned(name="reset_hang", fault="sleep", when=_SECOND_RESET, told=_LATE),
    Planned(
        name="reset_slow",
        fault=_slow("sleep"),
        when=_SECOND_RESET,
        told=_NOTHING,
        is_harmless=True,
    ),
]
CLOSES = [
    Planned(name="close_raise", fault="raise", when="close", told=_NOTHING, is_harmless=True),
    Planned(name="close_exit", fault="exit", when="close", told=_NOTHING),
    Planned(name="close_hang", fault="sleep", when="close", told=_NOTHING),
]

_OWN_STEPS = (str(step) for step in range(2, 100) if step % EPISODE_STEPS)  # amid an episode
PLANNED = [
    replace(planned, when=planned.when or next(_OWN_STEPS))
    for planned in [*DEATHS, *OTHERS, *HANGS, *RESETS, *CLOSES]
]
"""In the order of the sub-environments, from 1."""

NUM_ENVS = len(PLANNED) + 2
BYSTANDERS = (0, NUM_ENVS - 1)
LIMITS = (
    f"--step-timeout={DEADLINE_S}",
    f"--reset-timeout={DEADLINE_S}",
    "--close-timeout=1",
    f"--memory-limit={_LIMIT_MB}",
    "--max-sessions=128",
)


def plan(is_harmless: bool = False) -> dict[str, Any]:
    """Return all of them as a plan, or those that no other environment of a process notices."""
    return {
        f"{number}/0/{planned.when}": planned.fault
        for number, planned in enumerate(PLANNED, 1)
        if planned.is_harmless or not is_harmless
    }


def embedded_plan() -> dict[str, Any]:
    """Return all of them as a plan for workers whose memory has no limit."""
    little = {"kind": "allocate", "megabytes": _LITTLE_MB}
    return {
        place: little if "allocate" in repr(fault) else fault for place, fault in plan().items()
    }


def expected(
    planned: Planned | None, told: Told, seed: int, fresh_seed: int, lost_reset: str
) -> list[Event]:
    """Return what a sub-environment is to say, from an environment in process without faults.

    Args:
        planned: Its fault.
        told: What is to be told of it.
        seed: That it is reset with.
        fresh_seed: That the fresh session is reset with.
        lost_reset: What becomes of a reset that ends its session: it is ``made again``, or is the
            fault of the step that it is ``in``, or of the step that ended the episode, ``with`` it.
    """
    if planned is not None and planned.is_bad_observation and told.fault is None:
        return _local(seed, {f"{seed - FIRST_SEED}/0/{planned.when}": planned.fault})
    events = _local(seed)
    if planned is None or planned.when == "close" or told.fault is None:
        return events
    place = _place(events, planned.when)
    fresh = _local(fresh_seed)
    began = fresh[0]
    said = restart_info(1, fresh_seed)
    fresh[0] = Began(began.obs, {**began.info, "openenv": said})
    if planned.when.startswith("reset"):
        if lost_reset == "made again" or planned.name == "reset_raise":
            return [*events[:place], *fresh]
        place -= lost_reset == "with"
    info = {"openenv": {"incarnation": 0, **vars(told)}}
    fault = Stepped(events[place - 1].obs, 0.0, False, True, info)
    return [*events[:place], fault, *fresh]


def _local(seed: int, faults: dict[str, Any] | None = None) -> list[Event]:
    return of_local(lambda: FaultEnv(faults, **WORLD), seed, 2 * STEPS)


def _place(events: list[Event], when: str) -> int:
    """Where in a stream a step or a reset is."""
    kind = Stepped if when.isdecimal() else Began
    number = int(when.rpartition(":")[2])
    places = [place for place, event in enumerate(events) if type(event) is kind]
    return places[number - 1]
