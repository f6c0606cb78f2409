"""A game on OpenSpiel's ``rl_environment``, with the names of OpenEnv's own ``openspiel_env``."""

from openenv.core.client_types import StepResult

from benchmarks.stock.openspiel.client import OpenSpielClient
from benchmarks.stock.openspiel.environment import OpenSpielEnvironment
from benchmarks.stock.openspiel.models import OpenSpielAction, OpenSpielObservation
from benchmarks.stock.peer import Peer
from benchmarks.workload import Workload


def act(result: StepResult[OpenSpielObservation], draw: float) -> OpenSpielAction:
    legal = result.observation.legal_actions
    return OpenSpielAction(action_id=legal[int(draw * len(legal))])


PEER = Peer(
    environment=OpenSpielEnvironment,
    action=OpenSpielAction,
    observation=OpenSpielObservation,
    client=OpenSpielClient,
    inputs=Workload.draws,
    act=act,
    values=lambda observation: observation.info_state,
)
