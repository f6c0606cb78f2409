"""Builds a typed environment: a user's own, or one written for OpenEnv."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pydantic import BaseModel

from openenv_gym.adapters.environment_env import EnvironmentEnv
from openenv_gym.errors import EnvStartError
from openenv_gym.protocol.events import Open
from openenv_gym.wire.description import Description
from openenv_gym.wire.models import State, annotated_models, type_parameters
from openenv_gym.workers.built_env import BuiltEnv, imported


def build(name: str, request: Open) -> BuiltEnv:
    """Import ``package.module:Class`` and build an instance.

    Raises:
        UnknownEnvironmentError: there is no such module or class.
    """
    factory = imported("environment", name, "Class")
    return host(lambda: factory(**request.kwargs), f"environment:{name}")


def host(
    factory: Callable[[], Any],
    name: str,
    action_model: type[BaseModel] | None = None,
    observation_model: type[BaseModel] | None = None,
) -> BuiltEnv:
    """Build the environment that ``factory`` makes.

    Args:
        factory: The class of the environment, or a function that returns one.
        name: The name of the environment that clients see.
        action_model: The action class. With None, it is read from the type parameters of the
            class, else from the annotations of its ``step``.
        observation_model: The observation class. With None, it is read in the same way.

    Raises:
        EnvStartError: the models are neither given nor found.
    """
    environment = factory()
    kind = type(environment)
    models = {**annotated_models(kind), **type_parameters(kind)}
    action = action_model or models.get("ActT")
    observation = observation_model or models.get("ObsT")
    if action is None or observation is None:
        raise EnvStartError(
            f"{name}: the models of {kind.__name__} are not known; derive it from "
            "Environment[YourAction, YourObservation, YourState], annotate its step with the "
            "first two, or name its models"
        )
    state = models.get("StateT", State)
    env = EnvironmentEnv(environment, action)
    schemas = {
        "action": action.model_json_schema(),
        "observation": observation.model_json_schema(),
        "state": state.model_json_schema(),
    }
    about = environment.get_metadata().model_dump(mode="json", exclude_none=True)
    description = Description(environment=name, view="model", schemas=schemas, about=about)
    return BuiltEnv(env=env, description=description, state=env.state_fields)
