"""Clients: transports, connections, and the typed client."""

from openenv_gym.client.connection import Connection
from openenv_gym.client.memory import MemoryTransport
from openenv_gym.client.stream import StreamTransport
from openenv_gym.client.transport import Transport

__all__ = ["Connection", "MemoryTransport", "StreamTransport", "Transport"]
