"""The bridge between OpenEnv and Gymnasium.

>>> import gymnasium as gym, openenv_gym
>>> env = gym.make("openenv/catch-v0")
>>> observation, info = env.reset(seed=0)
>>> observation.shape, info["legal_actions"]
((50,), [0, 1, 2])
>>> env.close()

Importing the package registers the ``openenv/`` ids with Gymnasium. Everything else is imported
when it is first used.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from openenv_gym.errors import OpenEnvGymError

if TYPE_CHECKING:
    from openenv_gym.adapters.openspiel_env import OpenSpielEnv
    from openenv_gym.adapters.typed_environment import typed_environment
    from openenv_gym.client.openenv_client import OpenEnvClient
    from openenv_gym.client.websocket import WebSocketOptions
    from openenv_gym.environment import Environment
    from openenv_gym.envs.from_client import from_client
    from openenv_gym.envs.inspection import inspect, typed_models
    from openenv_gym.envs.remote_env import RemoteEnv
    from openenv_gym.envs.remote_vector_env import RemoteVectorEnv
    from openenv_gym.recovery import FaultPolicy
    from openenv_gym.server.app import create_app
    from openenv_gym.wire.models import (
        Action,
        EnvironmentMetadata,
        Observation,
        State,
        StepResult,
    )

__version__ = "0.1.0"

_PLACES = {
    "Action": "wire.models",
    "Environment": "environment",
    "EnvironmentMetadata": "wire.models",
    "FaultPolicy": "recovery",
    "Observation": "wire.models",
    "OpenEnvClient": "client.openenv_client",
    "OpenSpielEnv": "adapters.openspiel_env",
    "RemoteEnv": "envs.remote_env",
    "RemoteVectorEnv": "envs.remote_vector_env",
    "State": "wire.models",
    "StepResult": "wire.models",
    "WebSocketOptions": "client.websocket",
    "create_app": "server.app",
    "from_client": "envs.from_client",
    "inspect": "envs.inspection",
    "typed_environment": "adapters.typed_environment",
    "typed_models": "envs.inspection",
}

__all__ = [
    "Action",
    "Environment",
    "EnvironmentMetadata",
    "FaultPolicy",
    "Observation",
    "OpenEnvClient",
    "OpenEnvGymError",
    "OpenSpielEnv",
    "RemoteEnv",
    "RemoteVectorEnv",
    "State",
    "StepResult",
    "WebSocketOptions",
    "create_app",
    "from_client",
    "inspect",
    "typed_environment",
    "typed_models",
]


def __getattr__(name: str) -> Any:
    if name not in _PLACES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_PLACES[name]}"), name)


def __dir__() -> list[str]:
    return sorted([*__all__, "__version__"])


def _register() -> None:
    from openenv_gym.envs.registration import register_all

    register_all()


_register()
