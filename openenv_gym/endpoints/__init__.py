"""Where environments are: in a worker, on a server, behind a client object."""

from openenv_gym.endpoints.embedded import EmbeddedEndpoint, embedded_endpoints
from openenv_gym.endpoints.env_info import Answers, Described, Endpoint, EnvInfo, warn_of
from openenv_gym.endpoints.options import AUTO, ConnectOptions, Timeout, take
from openenv_gym.endpoints.server import ServerEndpoint, endpoint_of

__all__ = [
    "AUTO",
    "Answers",
    "ConnectOptions",
    "Described",
    "EmbeddedEndpoint",
    "Endpoint",
    "EnvInfo",
    "ServerEndpoint",
    "Timeout",
    "embedded_endpoints",
    "endpoint_of",
    "take",
    "warn_of",
]
