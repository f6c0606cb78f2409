"""A session of a worker: the body of a request in, the body of its reply out."""

from __future__ import annotations

from openenv_gym.errors import OpenEnvGymError, RemoteEnvError, SpaceError
from openenv_gym.protocol import BinaryMessages, Body, ServerSession, SessionState, Used
from openenv_gym.protocol.binary_messages import sequence_of
from openenv_gym.protocol.limits import MAX_MESSAGE_BYTES, within
from openenv_gym.wire.raised import raised_as
from openenv_gym.workers.built_env import Builder, Lender, build
from openenv_gym.workers.request_handler import RequestHandler


class WorkerSession:
    """Joins the server's end of the protocol to an environment.

    The same object runs in a worker process, in a thread of the server, and inline.

    Args:
        builder: Makes the environment when the session opens.
    """

    def __init__(self, builder: Builder = build) -> None:
        self._session: ServerSession = ServerSession(BinaryMessages())
        self._handler = RequestHandler(builder)

    @property
    def is_closed(self) -> bool:
        """Whether the client has said goodbye."""
        return self._session.state is SessionState.CLOSED

    def handle(self, body: Body) -> bytes:
        """Return the body of the reply to the request in ``body``."""
        try:
            request = self._session.receive(body)
        except OpenEnvGymError as exc:
            return self._session.refuse(exc, sequence_of(body))
        reply = self._handler.execute(request)
        try:
            answer = self._session.send(reply)
            if len(answer) > MAX_MESSAGE_BYTES:
                answer = bytes(within(answer, MAX_MESSAGE_BYTES))
            return answer
        except SpaceError as exc:  # a reward or a flag that cannot be carried
            return self._session.send(self._handler.refused(exc))
        except Exception as exc:  # objects of the environment may raise whatever they like
            # An attribute that cannot travel is none, for those who ask whether there is one.
            is_used = type(reply) is Used
            error = raised_as(RemoteEnvError, AttributeError) if is_used else RemoteEnvError
            what = f"what the environment returned cannot travel: {type(exc).__name__}: {exc}"
            return self._session.send(self._handler.refused(error(what)))

    @property
    def lender(self) -> Lender | None:
        """Lends the socket of the session; None where there is none, or no episode goes on."""
        return self._handler.lender if self._session.state is SessionState.EPISODE else None

    def note_steps(self, count: int, is_over: bool) -> None:
        """Note steps that were answered over the socket while it was lent.

        Args:
            count: How many there were.
            is_over: Whether the last one has ended the episode.
        """
        self._handler.note_steps(count)
        if is_over:
            self._session.note_end()

    def close(self) -> None:
        """Close the environment, for a client that left without a word."""
        self._handler.close()
