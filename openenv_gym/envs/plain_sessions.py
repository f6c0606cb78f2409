"""Sessions of one sub-environment each, on any OpenEnv server, that are asked together."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol

from openenv_gym.client import Connection
from openenv_gym.envs.endpoints import Endpoint, Face
from openenv_gym.envs.faults import CLOSE_TIMEOUT_S
from openenv_gym.envs.shard_sessions import Sessions
from openenv_gym.protocol import Result


class PlainEndpoint(Endpoint, Protocol):
    """Where a session of one sub-environment is."""

    @property
    def identity(self) -> Any:
        """What is equal for endpoints of one environment, of which one is asked for all."""

    def opener(self, known: Face | None = None) -> Callable[[], Connection]:
        """Return what makes new sessions; whatever has to be asked for that is asked now."""


class PlainSessions(Sessions):
    """One session for each sub-environment, made when it is first needed.

    Args:
        endpoints: Where they are.
    """

    def __init__(self, endpoints: Sequence[PlainEndpoint]) -> None:
        super().__init__(Result)
        self.endpoints = list(endpoints)
        self._faces: dict[Any, Face] = {}

    def open(self) -> list[Face]:
        """Return the face of each environment; sessions that come with all of them are kept."""
        distinct = {endpoint.identity: endpoint for endpoint in self.endpoints}
        opened = [endpoint.open() for endpoint in distinct.values()]
        made = [connection for _, connection in opened if connection is not None]
        self._faces = dict(zip(distinct, (face for face, _ in opened), strict=True))
        if len(made) == len(self.endpoints):
            self._connections = made
        return list(self._faces.values())

    def connect(self, asked: Sequence[int]) -> None:
        """Make those that there are not yet, and anew those of ``asked`` that are broken."""
        openers: dict[Any, Callable[[], Connection]] = {}

        def connect(number: int) -> Connection:
            endpoint = self.endpoints[number]
            if endpoint.identity not in openers:
                openers[endpoint.identity] = endpoint.opener(self._faces[endpoint.identity])
            return openers[endpoint.identity]()

        for i in range(len(self._connections), len(self.endpoints)):
            self._connections.append(connect(i))
        for i in asked:
            if self.is_gone(i):
                self._connections[i].abandon()
                self._connections[i] = connect(i)

    def renew(self, number: int) -> None:
        """Make a session anew, whatever has become of the old one."""
        self._connections[number].end_session(CLOSE_TIMEOUT_S)
        endpoint = self.endpoints[number]
        self._connections[number] = endpoint.connect(self._faces[endpoint.identity])
