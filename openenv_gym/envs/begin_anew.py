"""Beginning an environment anew: what the machine of recovery says, carried out with a clock."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Sequence
from typing import TypeVar

from openenv_gym.errors import OpenEnvGymError
from openenv_gym.recovery import Do, Effect, Episode, Event

T = TypeVar("T")

CLOSE_TIMEOUT_S = 5.0
"""How long the end of a session is waited for, in seconds."""

_jitter = random.Random()  # one of our own: the caller's generators are not touched


def begin_anew(episode: Episode, effect: Effect, make: Callable[[Sequence[int | None]], T]) -> T:
    """Return what ``make`` makes, which is tried as often and as long as the machine says.

    Args:
        episode: The machine. It said that the environment is to be begun anew, or that it may
            not be.
        effect: What it said.
        make: Makes a session and resets it, with the seed of each sub-environment.

    Raises:
        EnvCrashLoopError: It was begun anew as often, or waited for as long, as the policy allows.
        OpenEnvGymError: ``make`` was refused because the caller made a mistake.
    """
    while effect.do is Do.BEGIN_ANEW:
        # Many may have been lost with one server. They do not come back at the same time.
        time.sleep(effect.pause_s * _jitter.uniform(0.5, 1.0))
        try:
            made = make(effect.seeds)
        except OpenEnvGymError as exc:
            effect = episode.failed(exc, time.monotonic())
            if effect.do is Do.RAISE:
                raise episode.take_error()  # noqa: B904 - it has its cause, or is this one
            continue
        episode.handle(Event.BEGUN_ANEW)
        return made
    raise episode.take_error()
