"""The public names, one a line. ``__init__.py`` reads this file to import each on first use."""

from openenv_gym.adapters.openspiel_env import OpenSpielEnv as OpenSpielEnv
from openenv_gym.adapters.typed_environment import typed_environment as typed_environment
from openenv_gym.client.openenv_client import OpenEnvClient as OpenEnvClient
from openenv_gym.client.websocket import WebSocketOptions as WebSocketOptions
from openenv_gym.environment import Environment as Environment
from openenv_gym.envs.async_vector_env import AsyncVectorEnv as AsyncVectorEnv
from openenv_gym.envs.from_client import from_client as from_client
from openenv_gym.envs.inspection import inspect as inspect
from openenv_gym.envs.inspection import typed_models as typed_models
from openenv_gym.envs.remote_env import RemoteEnv as RemoteEnv
from openenv_gym.envs.remote_vector_env import RemoteVectorEnv as RemoteVectorEnv
from openenv_gym.errors import OpenEnvGymError as OpenEnvGymError
from openenv_gym.recovery.policy import FaultPolicy as FaultPolicy
from openenv_gym.server.app import create_app as create_app
from openenv_gym.wire.models import Action as Action
from openenv_gym.wire.models import EnvironmentMetadata as EnvironmentMetadata
from openenv_gym.wire.models import Observation as Observation
from openenv_gym.wire.models import State as State
from openenv_gym.wire.models import StepResult as StepResult

__version__: str
