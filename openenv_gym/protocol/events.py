"""Requests and replies as values, before they are bytes and after."""

from __future__ import annotations

from typing import Any, TypeAlias

import msgspec

from openenv_gym.errors import OpenEnvGymError
from openenv_gym.wire.description import Description
from openenv_gym.wire.error_codes import brief, error_for, printable

VIEW_PARAMETER, GYMNASIUM_VIEW = "view", "gymnasium"
"""What a client of Gymnasium says in the query of the WebSocket's URL; stock servers ignore it."""


class Open(msgspec.Struct, frozen=True):
    """Open an environment; None asks for the only one there is.

    Attributes:
        environment: Its name, as ``CartPole-v1`` or ``openspiel:catch``.
        kwargs: Keyword arguments of its constructor.
        render_mode: Gymnasium's.
        max_episode_steps: Gymnasium's: None keeps the environment's own limit, -1 lifts it.
        is_typed: Whether a client of typed models asks, and not one of Gymnasium; defaults of the
            environment may depend on it.
    """

    environment: str | None = None
    kwargs: dict[str, Any] = {}
    render_mode: str | None = None
    max_episode_steps: int | None = None
    is_typed: bool = False


class Reset(msgspec.Struct, frozen=True):
    """Begin an episode.

    Attributes:
        seed: Seeds the environment's generator; None continues it.
        options: Gymnasium's.
        episode_id: Name of the episode, None for a random one.
        extra: Further arguments of a typed environment's own ``reset``.
    """

    seed: int | None = None
    options: dict[str, Any] | None = None
    episode_id: str | None = None
    extra: dict[str, Any] = {}


class Step(msgspec.Struct, frozen=True):
    """Act."""

    action: Any


class GetState(msgspec.Struct, frozen=True):
    """Ask for the state of the episode."""


class Render(msgspec.Struct, frozen=True):
    """Ask for a picture of now."""


class Close(msgspec.Struct, frozen=True):
    """End the session."""


class Opened(msgspec.Struct, frozen=True):
    """The environment is there."""

    description: Description


class Result(msgspec.Struct, frozen=True):
    """What a reset or a step returned; ``reward`` is None after a reset."""

    obs: Any
    reward: float | None
    terminated: bool
    truncated: bool
    info: dict[str, Any]


class StateReply(msgspec.Struct, frozen=True):
    """The state of the episode."""

    state: dict[str, Any]


class Rendered(msgspec.Struct, frozen=True):
    """What ``Env.render`` returned: an array, a string, or a list of either."""

    frame: Any


class Closed(msgspec.Struct, frozen=True):
    """The environment was closed."""


class Failed(msgspec.Struct, frozen=True):
    """The request was refused, or failed.

    Attributes:
        code: See :mod:`openenv_gym.wire.error_codes`.
        message: What was expected, what came, where, and what to do.
        traceback: The environment's own, where there is one and it may be shown.
    """

    code: str
    message: str
    traceback: str = ""

    def to_exception(self) -> OpenEnvGymError:
        """The exception that stands for this reply."""
        text = f"{self.message}\n\nIn the environment's process:\n{self.traceback}"
        return error_for(self.code, text if self.traceback else self.message)


Request: TypeAlias = Open | Reset | Step | GetState | Render | Close
Reply: TypeAlias = Opened | Result | StateReply | Rendered | Closed | Failed


def failure(exc: OpenEnvGymError, traceback: str = "") -> Failed:
    """Return the reply that says ``exc``."""
    return Failed(exc.code, brief(printable(str(exc))), printable(traceback))
