"""How a server is checked: one record, of which the flags of ``validate`` are made."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from openenv_gym.errors import InvalidRequestError
from openenv_gym.server.setting import setting
from openenv_gym.server.settings import json_object


def _names(text: str) -> str:
    return text.strip()


@dataclass(frozen=True, kw_only=True)
class ValidationOptions:
    """How a server is checked.

    Attributes:
        checks: The names of the checks to run, or of groups of them (``input``); all but the opt-in
            ones unless given.
        skips: The names of checks or groups that do not run.
        actions: The actions to play, as JSON objects, over and over; unless given they are drawn
            from the action space that the schemas give.
        slow_action: An action on which the environment takes long, for the check ``session.slow``.
        steps: How many steps to play until an episode ends.
        plan_steps: How many steps an episode has that is played more than once.
        sessions: How many sessions to open at once, until the server refuses one.
        timeout_s: How long to wait for a reply, in seconds.
        free_timeout_s: How long a server may take to free the session of a client that has gone, in
            seconds.
        pause_s: How long a client is silent in the check ``session.pause``, in seconds.

    Raises:
        InvalidRequestError: a number is out of its range.
    """

    checks: Sequence[str] = setting(
        (), "check or group to run; all but the opt-in ones unless given", parse=_names,
        metavar="NAME", is_repeated=True,
    )  # fmt: skip
    skips: Sequence[str] = setting(
        (), "check or group to leave out", parse=_names, metavar="NAME", is_repeated=True
    )
    actions: Sequence[Mapping[str, Any]] = setting(
        (), "action to play, as a JSON object; drawn from the action space unless given",
        parse=json_object, metavar="JSON", is_repeated=True,
    )  # fmt: skip
    slow_action: Mapping[str, Any] | None = setting(
        None, "action on which the environment takes long, for the check session.slow",
        parse=json_object, metavar="JSON",
    )  # fmt: skip
    steps: int = setting(200, "steps to play until an episode ends", metavar="N")
    plan_steps: int = setting(20, "steps of an episode that is played more than once", metavar="N")
    sessions: int = setting(
        9, "sessions to open at once, until the server refuses one", metavar="N"
    )
    timeout_s: float = setting(30.0, "how long to wait for a reply")
    free_timeout_s: float = setting(5.0, "how long a server may take to free a session that ended")
    pause_s: float = setting(1.0, "how long a client is silent in the check session.pause")

    def __post_init__(self) -> None:
        """Refuse what makes no sense."""
        for name in ("steps", "plan_steps", "sessions", "timeout_s", "free_timeout_s", "pause_s"):
            value = getattr(self, name)
            if not 0 < value < math.inf:
                raise InvalidRequestError(f"{name}: expected a number above 0, got {value!r}")
        for action in (*self.actions, *filter(None, [self.slow_action])):
            try:
                json.dumps(action, allow_nan=False)
            except (TypeError, ValueError) as exc:
                raise InvalidRequestError(f"actions: expected JSON, got {action!r}: {exc}") from exc
