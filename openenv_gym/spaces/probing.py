"""One probing reset, made only if the schemas leave something open.

The caller decides how the reset is made: over a connection of its own, or through a client.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeAlias

from openenv_gym.errors import (
    NotOpenEnvError,
    OpenEnvGymError,
    SpaceError,
    shown,
)
from openenv_gym.spaces.budget import SpaceBudget

if TYPE_CHECKING:
    from openenv_gym.spaces.tools import ListedTool


@dataclass(frozen=True, kw_only=True)
class Probed:
    """What one reset showed.

    Attributes:
        observation: The fields of the observation, as JSON.
        state: The fields of the state, as JSON; empty if it was not asked for.
        end: What the answer says of an episode that is over at once; "" for one that has begun.
    """

    observation: dict[str, Any]
    state: dict[str, Any] = field(default_factory=dict)
    end: str = ""


Probe: TypeAlias = Callable[[], Probed]
"""A function that resets once and returns what the reset shows."""

ListTools: TypeAlias = "Callable[[], list[ListedTool]]"
"""A function that asks a server for its tools."""


def probed(data: Any, state: Any = None) -> Probed:
    """Return what the ``data`` of an observation message shows.

    Args:
        data: The ``data`` of the message that answered a reset.
        state: The ``data`` of a state message, None if there was none.

    Raises:
        NotOpenEnvError: there is no observation in it.
    """
    observation = data.get("observation") if isinstance(data, dict) else None
    if not isinstance(observation, dict):
        raise NotOpenEnvError(
            f"expected an observation in the answer to a probing reset, got {shown(data)}"
        )
    end = end_at_reset(data.get("metadata") or observation) if data.get("done") is True else ""
    known = state if isinstance(state, dict) else {}
    return Probed(observation=observation, state=known, end=end)


def end_of_reset(is_over: bool, info: dict[str, Any]) -> str:
    """Return the sentence for a reset that answers done, "" for one that begins an episode.

    Args:
        is_over: Whether it answers done.
        info: The info, in which the server may say why.
    """
    said = info.get("metadata") or {k: v for k, v in info.items() if k != "reset_done"}
    return end_at_reset(said) if is_over else ""


def end_at_reset(said: Any) -> str:
    """Return the sentence for a reset that answers done.

    Args:
        said: What the server says of that.
    """
    return f"a reset answered done, so that there is no episode to play; it says {said!r:.400}"


class Sight:
    """Makes the probing reset at most once, and only when it is needed.

    Args:
        probe: Makes one reset and returns what it shows; None if that is not possible.
        list_tools: Asks for the tools; None if that is not possible.
        budget: What is left to make spaces with; a new one unless given.

    Attributes:
        budget: What was given, or a new one.
        has_looked: Whether the reset was made.
        warnings: What the reset shows that is amiss.
    """

    def __init__(
        self,
        probe: Probe | None,
        list_tools: ListTools | None = None,
        budget: SpaceBudget | None = None,
    ) -> None:
        self.budget = SpaceBudget() if budget is None else budget
        self._probe = probe
        self._list_tools = list_tools
        self._probed: Probed | None = None
        self.has_looked = False
        self.warnings: tuple[str, ...] = ()

    def look(self, why: str) -> Probed | None:
        """Return what a reset shows, None if no reset can be made.

        Args:
            why: The path of the field that is open, for the error.

        Raises:
            OpenEnvGymError: the reset failed; the message says how to do without.
        """
        if self._probe is None or self._probed is not None:
            return self._probed
        try:
            self._probed = self._probe()
        except OpenEnvGymError as exc:
            raise type(exc)(
                f"{why}: its space is found by a probing reset, which failed: {exc}; pass the "
                "space yourself with action_space= or observation_space="
            ) from exc
        self.has_looked = True
        self.warnings = (self._probed.end,) if self._probed.end else ()
        return self._probed

    def tools(self, otherwise: str) -> list[ListedTool]:
        """Return the tools of the server.

        Args:
            otherwise: What is expected, and how to do without, for the error.

        Raises:
            SpaceError: the server does not list them.
        """
        if self._list_tools is None:
            raise SpaceError(otherwise)
        try:
            return self._list_tools()
        except OpenEnvGymError as exc:
            raise SpaceError(f"{otherwise}. The server was asked for its tools: {exc}") from exc
