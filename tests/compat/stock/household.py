"""Dicts everywhere: free ones, one of numbers, nested models, and lists of them."""

from typing import Any
from uuid import uuid4

from openenv.core.env_server.interfaces import Environment
from openenv.core.env_server.types import Action, Observation, State
from pydantic import BaseModel, Field


class Item(BaseModel):
    name: str
    weight: float = 0.0
    tags: dict[str, str] = Field(default_factory=dict)


class Room(BaseModel):
    name: str = "hall"
    exits: dict[str, str] = Field(default_factory=dict)
    items: list[Item] = Field(default_factory=list)


class HouseAction(Action):
    command: str
    arguments: dict[str, Any] = Field(default_factory=dict)


class HouseObservation(Observation):
    room: Room
    inventory: dict[str, int] = Field(default_factory=dict)
    facts: dict[str, Any] = Field(default_factory=dict)
    note: str | None = None


class HouseEnvironment(Environment):
    """A house of two rooms; whoever takes the lamp has won."""

    SUPPORTS_CONCURRENT_SESSIONS = True

    def __init__(self) -> None:
        super().__init__()
        self._begin(None)

    def _begin(self, episode_id: str | None) -> None:
        self._state = State(episode_id=episode_id or str(uuid4()), step_count=0)
        self._room, self._inventory = "hall", {"coin": 1}

    def reset(
        self, seed: int | None = None, episode_id: str | None = None, **kwargs: Any
    ) -> HouseObservation:
        self._begin(episode_id)
        return self._observe()

    def step(
        self, action: HouseAction, timeout_s: float | None = None, **kwargs: Any
    ) -> HouseObservation:
        self._state.step_count += 1
        if action.command == "go":
            self._room = "cellar" if self._room == "hall" else "hall"
        has_lamp = action.command == "take" and self._room == "cellar"
        if has_lamp:
            self._inventory["lamp"] = 1
        return self._observe(
            reward=float(has_lamp), done=has_lamp, note=f"{action.command} {action.arguments}"
        )

    def _observe(self, **fields: Any) -> HouseObservation:
        items = [Item(name="lamp", weight=1.5, tags={"made of": "brass"})]
        is_hall = self._room == "hall"
        return HouseObservation(
            room=Room(
                name=self._room,
                exits={"down": "cellar"} if is_hall else {"up": "hall"},
                items=[] if is_hall else items,
            ),
            inventory=dict(self._inventory),
            facts={"steps": self._state.step_count, "lit": [True, None, {"by": "window"}]},
            **fields,
        )

    @property
    def state(self) -> State:
        return self._state


SERVED = (HouseEnvironment, HouseAction, HouseObservation)
