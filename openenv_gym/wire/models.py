"""The base models of a typed environment, field for field those of OpenEnv 0.10.

A class that derives from these runs under OpenEnv's own tools too, because both sides of the wire
look at nothing but the fields and their types.
"""

from __future__ import annotations

import typing
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from pydantic import BaseModel, ConfigDict, Field

ObsT = TypeVar("ObsT")


class Action(BaseModel):
    """The action of an agent. Subclasses add the fields of one environment.

    Unknown fields are refused.
    """

    model_config = ConfigDict(
        extra="forbid", validate_assignment=True, arbitrary_types_allowed=True
    )

    metadata: dict[str, Any] = Field(default_factory=dict, description="Free-form remarks")


class Observation(BaseModel):
    """The observation of an agent. Subclasses add the fields of one environment."""

    model_config = ConfigDict(
        extra="forbid", validate_assignment=True, arbitrary_types_allowed=True
    )

    done: bool = Field(default=False, description="Whether the episode has ended")
    reward: bool | int | float | None = Field(
        default=None, description="Reward of the last action; null after a reset"
    )
    metadata: dict[str, Any] = Field(default_factory=dict, description="Free-form remarks")


class State(BaseModel):
    """What is known about the episode. Subclasses and instances may add fields."""

    model_config = ConfigDict(extra="allow", validate_assignment=True, arbitrary_types_allowed=True)

    episode_id: str | None = Field(default=None, description="Identifier of the episode")
    step_count: int = Field(default=0, ge=0, description="Steps of the agent in the episode")


class EnvironmentMetadata(BaseModel):
    """The description of an environment for people."""

    model_config = ConfigDict(extra="forbid", validate_assignment=True)

    name: str = Field(description="Name of the environment")
    description: str = Field(description="What the environment does")
    readme_content: str | None = Field(default=None, description="Its README")
    version: str | None = Field(default=None, description="Its version")
    author: str | None = Field(default=None, description="Who wrote it")
    documentation_url: str | None = Field(default=None, description="Where it is documented")


@dataclass
class StepResult(Generic[ObsT]):
    """The answer of a typed client to ``reset`` and ``step``.

    Attributes:
        observation: The observation, as the client's observation model.
        reward: The reward of the step, None after a reset.
        done: Whether the episode has ended.
        metadata: Free-form remarks of the environment, None if there are none.
    """

    observation: ObsT
    reward: float | None = None
    done: bool = False
    metadata: dict[str, Any] | None = None


def type_parameters(kind: type[Any]) -> dict[str, type[BaseModel]]:
    """Return the models that ``kind`` gives to a generic base, by the name of the type variable.

    >>> ActT = TypeVar("ActT")
    >>> class Room(Generic[ActT]): ...
    >>> class Door(Action): ...
    >>> class House(Room[Door]): ...
    >>> type_parameters(House)["ActT"].__name__
    'Door'
    """
    for ancestor in kind.__mro__:
        for base in getattr(ancestor, "__orig_bases__", ()):
            origin = typing.get_origin(base)
            variables = getattr(origin, "__parameters__", ())
            found = {
                variable.__name__: argument
                for variable, argument in zip(variables, typing.get_args(base), strict=False)
                if isinstance(argument, type) and issubclass(argument, BaseModel)
            }
            if found:
                return found
    return {}
