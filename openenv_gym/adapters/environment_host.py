"""Hosts a typed environment: a user's own, or one written for OpenEnv."""

from __future__ import annotations

from typing import Any

from openenv_gym.adapters.environment_env import EnvironmentEnv
from openenv_gym.adapters.environment_models import models_of
from openenv_gym.wire.description import Description
from openenv_gym.workers.built_env import BuiltEnv


def host(environment: Any, name: str, action: Any = None, observation: Any = None) -> BuiltEnv:
    """Host a typed environment.

    Args:
        environment: The environment.
        name: The name of the environment that clients see.
        action: The class of its actions. With None, it is looked for, see
            :mod:`openenv_gym.adapters.environment_models`.
        observation: The class of its observations, in the same way.

    Raises:
        EnvStartError: the models are neither given nor found.
    """
    kind = type(environment)
    models = models_of(kind, name, action, observation)
    env = EnvironmentEnv(environment, models.action)
    description = Description(
        environment=name,
        view="model",
        schemas={side: one.model_json_schema() for side, one in models._asdict().items()},
        about=_about(environment),
        seeded=env.takes_seed,
    )
    return BuiltEnv(env=env, description=description, state=env.state_fields)


def _about(environment: Any) -> dict[str, Any]:
    """What the environment says of itself; one that derives from no base class says its name."""
    tell = getattr(environment, "get_metadata", None)
    if tell is None:
        kind = type(environment)
        lines = (kind.__doc__ or f"{kind.__name__} environment").strip().splitlines()
        return {"name": kind.__name__, "description": lines[0]}
    about: dict[str, Any] = tell().model_dump(mode="json", exclude_none=True)
    return about
