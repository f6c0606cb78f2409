"""What a typed face of an environment is: JSON of its models outside, values inside."""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from typing import Any, NamedTuple

from pydantic import BaseModel, ValidationError

from openenv_gym.errors import InvalidActionError
from openenv_gym.wire.error_codes import brief
from openenv_gym.wire.models import Action, Observation, State


class TypedModels(NamedTuple):
    """The pydantic models of one environment.

    Attributes:
        action: Has the field ``action``, or ``action_id`` for an OpenSpiel game.
        observation: Has ``obs``, or ``info_state``, beside the flags and ``info``.
        state: What ``state()`` answers.
    """

    action: type[Action]
    observation: type[Observation]
    state: type[State]


class TypedView(ABC):
    """One environment as its clients see it in JSON.

    Attributes:
        action_schema: JSON schema of the action model.
        observation_schema: JSON schema of the observation model.
        state_schema: JSON schema of the state model.
        num_envs: How many sub-environments a batched session has; None of a single environment.
    """

    action_schema: dict[str, Any]
    observation_schema: dict[str, Any]
    state_schema: dict[str, Any]
    num_envs: int | None = None

    @abstractmethod
    def parse_action(self, data: dict[str, Any]) -> Any:
        """Return the value for ``Env.step``.

        Raises:
            InvalidActionError: ``data`` is no action of this environment; the message says
                where, what was expected and what came.
        """

    @abstractmethod
    def dump_observation(
        self, obs: Any, terminated: bool, truncated: bool, info: dict[str, Any]
    ) -> dict[str, Any]:
        """Return the JSON object that stands under ``observation``."""

    @abstractmethod
    def models(self) -> TypedModels:
        """Return the pydantic models, in which labelled components are fields with names.

        Raises:
            SpaceError: the environment has models of its own, of which only schemas are known.
        """

    def schemas(self) -> dict[str, Any]:
        """The body of ``GET /schema``."""
        return {
            "action": self.action_schema,
            "observation": self.observation_schema,
            "state": self.state_schema,
        }


def validate_action(
    model: type[BaseModel], data: dict[str, Any], *, strict: bool | None = None
) -> BaseModel:
    """Return ``data`` as ``model``.

    Args:
        model: The class of the action.
        data: What came.
        strict: Whether ``"1"`` and ``1.0`` are refused as an integer; None leaves it to the
            model.

    Raises:
        InvalidActionError: it is not; the message names each place.
    """
    try:
        return model.model_validate(data, strict=strict)
    except ValidationError as exc:
        raise InvalidActionError(_explain(model, exc)) from exc


def _explain(model: type[BaseModel], exc: ValidationError) -> str:
    faults = []
    for error in exc.errors(include_url=False, include_context=False)[:3]:
        place = "".join(
            f".{part}" if isinstance(part, str) else f"[{part}]" for part in error["loc"]
        )
        if error["type"] == "space":
            faults.append(f"$.action{place}{error['msg'].removeprefix('value')}")
            continue
        got = "nothing" if error["type"] == "missing" else brief(repr(error["input"]), 60)
        faults.append(f"$.action{place}: {error['msg']}, got {got}")
    fields = ", ".join(model.model_fields)
    return f"{'; '.join(faults)}. An action of {model.__name__} has the fields {fields}"


def class_name(environment: str) -> str:
    """Return a name for the models of an environment: ``CartPole-v1`` has those of ``CartPole``."""
    stem = re.sub(r"-v\d+$", "", environment.rpartition(":")[2].partition("(")[0])
    return (
        "".join(part[:1].upper() + part[1:] for part in re.split(r"[^A-Za-z0-9]+", stem)) or "Env"
    )
