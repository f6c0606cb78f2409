"""The models."""

from openenv.core.env_server.types import Action, Observation
from pydantic import Field


class CartPoleAction(Action):
    action: int = Field(..., description="0 pushes to the left, 1 to the right")


class CartPoleObservation(Observation):
    obs: list[float] = Field(
        default_factory=list, description="position, velocity, angle, angular velocity"
    )
