"""An action that is one of several, told apart by a field, one of them told apart once more."""

from typing import Annotated, Any, Literal
from uuid import uuid4

from openenv.core.env_server.interfaces import Environment
from openenv.core.env_server.types import Action, Observation, State
from pydantic import BaseModel, Field


class ByName(BaseModel):
    by: Literal["name"] = "name"
    name: str = Field(..., max_length=8)


class ByPlace(BaseModel):
    by: Literal["place"] = "place"
    x: int = Field(..., ge=0, le=9)
    y: int = Field(..., ge=0, le=9)


class Click(BaseModel):
    kind: Literal["click"] = "click"
    target: Annotated[ByName | ByPlace, Field(discriminator="by")]


class Write(BaseModel):
    kind: Literal["write"] = "write"
    text: str = Field(..., max_length=16)


class ToolAction(Action):
    call: Annotated[Click | Write, Field(discriminator="kind")]


class ToolObservation(Observation):
    answer: str = Field(default="", max_length=100)


class ToolEnvironment(Environment):
    """Says what was called; writing "done" ends it."""

    SUPPORTS_CONCURRENT_SESSIONS = True

    def __init__(self) -> None:
        super().__init__()
        self._state = State(episode_id=str(uuid4()), step_count=0)

    def reset(
        self, seed: int | None = None, episode_id: str | None = None, **kwargs: Any
    ) -> ToolObservation:
        self._state = State(episode_id=episode_id or str(uuid4()), step_count=0)
        return ToolObservation(answer="ready")

    def step(
        self, action: ToolAction, timeout_s: float | None = None, **kwargs: Any
    ) -> ToolObservation:
        self._state.step_count += 1
        call = action.call
        if isinstance(call, Write):
            said, is_over = f"wrote {call.text}", call.text == "done"
        elif isinstance(call.target, ByName):
            said, is_over = f"clicked {call.target.name}", False
        else:
            said, is_over = f"clicked {call.target.x},{call.target.y}", False
        return ToolObservation(answer=said, reward=1.0, done=is_over)

    @property
    def state(self) -> State:
        return self._state


SERVED = (ToolEnvironment, ToolAction, ToolObservation)
