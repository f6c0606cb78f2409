"""Gymnasium's CartPole."""

from typing import Any

from openenv.core.client_types import StepResult

from benchmarks.stock.cartpole.client import CartPoleClient
from benchmarks.stock.cartpole.environment import CartPoleEnvironment
from benchmarks.stock.cartpole.models import CartPoleAction, CartPoleObservation
from benchmarks.stock.peer import Peer
from benchmarks.workload import Workload


def act(result: StepResult[Any], action: int) -> CartPoleAction:
    return CartPoleAction(action=action)


PEER = Peer(
    environment=CartPoleEnvironment,
    action=CartPoleAction,
    observation=CartPoleObservation,
    client=CartPoleClient,
    inputs=Workload.actions,
    act=act,
    values=lambda observation: observation.obs,
)
