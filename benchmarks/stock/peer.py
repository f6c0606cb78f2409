"""What the server and the player need of an environment over stock OpenEnv."""

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from openenv.core import EnvClient
from openenv.core.client_types import StepResult
from openenv.core.env_server.interfaces import Environment
from openenv.core.env_server.types import Action, Observation

from benchmarks.workload import Workload


@dataclass(frozen=True, kw_only=True)
class Peer:
    """An environment, both ends.

    Attributes:
        environment: What is served.
        action: Its model.
        observation: Likewise.
        client: The other end.
        inputs: What a round decides beforehand, one entry for each step.
        act: From the last result and the entry to the action.
        values: The numbers of an observation.
    """

    environment: type[Environment]
    action: type[Action]
    observation: type[Observation]
    client: type[EnvClient]
    inputs: Callable[[Workload], list[Any]]
    act: Callable[[StepResult, Any], Action]
    values: Callable[[Any], list[float]]


def load(name: str) -> Peer:
    """Import the package ``benchmarks.stock.<name>``, and what its environment needs."""
    peer: Peer = importlib.import_module(f"benchmarks.stock.{name}").PEER
    return peer
