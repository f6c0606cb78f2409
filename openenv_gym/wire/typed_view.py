"""The interface of a typed view: the JSON of models outside, values inside."""

from __future__ import annotations

import re
import sys
from abc import ABC, abstractmethod
from typing import Any, NamedTuple

from pydantic import BaseModel, ValidationError

from openenv_gym.errors import InvalidActionError, shown
from openenv_gym.wire.models import Action, Observation, State


class TypedModels(NamedTuple):
    """The pydantic models of one environment.

    Attributes:
        action: The action model, with the field ``action``, or ``action_id`` for an OpenSpiel game.
        observation: The observation model, with ``obs``, or ``info_state`` for an OpenSpiel game,
            beside the flags and ``info``.
        state: The model of what ``state()`` returns.
    """

    action: type[Action]
    observation: type[Observation]
    state: type[State]


class TypedView(ABC):
    """An environment as its clients see it in JSON.

    Attributes:
        action_schema: JSON schema of the action model.
        observation_schema: JSON schema of the observation model.
        state_schema: JSON schema of the state model.
        num_envs: The number of sub-environments of a batched session, None for a single one.
        pays_arrays: Whether rewards are arrays.
        beside_state: What stands beside the environment's own fields in a state.
    """

    action_schema: dict[str, Any]
    observation_schema: dict[str, Any]
    state_schema: dict[str, Any]
    num_envs: int | None = None
    pays_arrays: bool = False
    beside_state: dict[str, Any] = {}

    @abstractmethod
    def parse_action(self, data: dict[str, Any]) -> Any:
        """Return the value for ``Env.step``.

        Raises:
            InvalidActionError: ``data`` is no action of this environment. The message says which
                field is wrong, what was expected and what came.
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
            SpaceError: the environment has models of its own, and only their schemas are known.
        """

    def schemas(self) -> dict[str, Any]:
        """Return the body of ``GET /schema``."""
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
        data: The JSON object of the action.
        strict: Whether ``"1"`` and ``1.0`` are refused as an integer. With None, the model
            decides.

    Raises:
        InvalidActionError: ``data`` is no such action; the message names each wrong field.
    """
    if len(data) > _MOST_FIELDS:  # each that is unknown would be an error
        raise InvalidActionError(
            f"expected the fields {', '.join(model.model_fields)} of {model.__name__}, "
            f"got {len(data)} fields"
        )
    try:
        return model.model_validate(data, strict=strict)
    except ValidationError as exc:
        listing = _listing_model(model) if data.get("type") == "list_tools" else None
        if listing is not None:
            return listing.model_validate(data)
        raise InvalidActionError(_explain(model, exc)) from exc


_MOST_FIELDS = 1000


def _listing_model(model: type[BaseModel]) -> type[BaseModel] | None:
    """Return OpenEnv's class of the action that lists tools, beside that of the one that calls one.

    An environment with tools takes both, and tells its server of the second alone.
    """
    modules = (sys.modules.get(kind.__module__) for kind in model.__mro__)
    found = (getattr(module, "ListToolsAction", None) for module in modules)
    return next((kind for kind in found if kind is not None), None)


def _explain(model: type[BaseModel], exc: ValidationError) -> str:
    faults = []
    for error in exc.errors(include_url=False, include_context=False)[:3]:
        place = "".join(
            f".{part}" if isinstance(part, str) else f"[{part}]" for part in error["loc"]
        )
        if error["type"] == "space":
            faults.append(f"$.action{place}{error['msg'].removeprefix('value')}")
            continue
        got = "nothing" if error["type"] == "missing" else shown(error["input"], 60)
        faults.append(f"$.action{place}: {error['msg']}, got {got}")
    fields = ", ".join(model.model_fields)
    return f"{'; '.join(faults)}. An action of {model.__name__} has the fields {fields}"


def class_name(environment: str) -> str:
    """Return the prefix of model names: ``CartPole`` for ``CartPole-v1``."""
    stem = re.sub(r"-v\d+$", "", environment.rpartition(":")[2].partition("(")[0])
    return (
        "".join(part[:1].upper() + part[1:] for part in re.split(r"[^A-Za-z0-9]+", stem)) or "Env"
    )
