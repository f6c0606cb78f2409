"""Sessions of one sub-environment each, on any OpenEnv server, that are asked together."""

from __future__ import annotations

from collections.abc import Sequence

from openenv_gym.client import Connection
from openenv_gym.endpoints import Answers, Endpoint, EnvInfo
from openenv_gym.envs.faults import CLOSE_TIMEOUT_S
from openenv_gym.envs.shard_sessions import Sessions
from openenv_gym.protocol import Result


class PlainSessions(Sessions):
    """One session for each sub-environment, made when it is first needed.

    Args:
        endpoints: Where they are.
    """

    def __init__(self, endpoints: Sequence[Endpoint]) -> None:
        super().__init__(Result)
        self.endpoints = list(endpoints)
        self._infos: list[EnvInfo] = []

    def open(self) -> list[EnvInfo]:
        """Return what each environment is like; sessions that come with all of them are kept."""
        answers = Answers()
        found = [endpoint.describe(answers) for endpoint in self.endpoints]
        self._infos = [info for info, _ in found]
        made = [connection for _, connection in found if connection is not None]
        if len(made) == len(self.endpoints):
            self._connections = made
        return self._infos

    def connect(self, asked: Sequence[int]) -> None:
        """Make those that there are not yet, and anew those of ``asked`` that are broken."""
        answers = Answers()
        for i in range(len(self._connections), len(self.endpoints)):
            self._connections.append(self._made(i, answers))
        for i in asked:
            if self.is_gone(i):
                self._connections[i].abandon()
                self._connections[i] = self._made(i, answers)

    def renew(self, number: int) -> None:
        """Make a session anew, whatever has become of the old one."""
        self._connections[number].end_session(CLOSE_TIMEOUT_S)
        self._connections[number] = self._made(number, None)

    def _made(self, number: int, answers: Answers | None) -> Connection:
        return self.endpoints[number].connect(self._infos[number], answers).connection
