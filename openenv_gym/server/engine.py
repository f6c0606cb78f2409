"""A client session on a backend, for the borders that speak JSON."""

from __future__ import annotations

from openenv_gym.errors import ConnectionLostError, OpenEnvGymError
from openenv_gym.protocol import (
    BinaryMessages,
    ClientSession,
    Failed,
    Open,
    Opened,
    Reply,
    Request,
    SessionState,
    failure,
)
from openenv_gym.server.backends import Backend
from openenv_gym.server.off_loop import off_loop
from openenv_gym.wire.description import Description


class Engine:
    """Runs requests on a backend; requests and replies are values here, not text.

    A backend that failed once, or sent what is no reply, is given up: nobody knows which request
    its next reply would answer.

    Args:
        backend: Where the environment lives.

    Attributes:
        backend: The backend that the engine was made with.
    """

    def __init__(self, backend: Backend) -> None:
        self.backend = backend
        self._session = ClientSession(BinaryMessages(max_space_bytes=None))
        self._loss: OpenEnvGymError | None = None

    @property
    def is_lost(self) -> bool:
        """Whether the backend was given up."""
        return self._loss is not None

    @property
    def state(self) -> SessionState:
        """Which requests are legal now."""
        return self._session.state

    async def open(self, request: Open) -> Description:
        """Build the environment and return its description.

        Raises:
            OpenEnvGymError: it cannot be built.
        """
        reply = await self.execute(request)
        if isinstance(reply, Opened):
            return reply.description
        assert isinstance(reply, Failed)
        raise reply.to_exception()

    async def execute(self, request: Request) -> Reply:
        """Return the reply to ``request``; a refusal is a reply too."""
        if self._loss is not None:
            return failure(self._loss)
        try:
            body = await off_loop(self._session.send, request)
        except OpenEnvGymError as exc:
            return failure(exc)
        try:
            reply = await self.backend.request(body)
            return await off_loop(self._session.receive, reply)
        except OpenEnvGymError as exc:
            self._loss = exc
            return failure(exc)
        except BaseException:
            self._loss = ConnectionLostError("a request of this session was broken off")
            raise
