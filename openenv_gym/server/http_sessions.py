"""Episodes over plain HTTP, in sessions that last from request to request.

Requests without a header share the default session; ``X-OpenEnv-Session: new`` on ``/reset``
opens one of one's own, whose id the answer carries in the same header.
"""

from __future__ import annotations

from typing import Any

from openenv_gym.codecs import info_to_json
from openenv_gym.errors import (
    InvalidRequestError,
    ResetNeededError,
    UnknownEnvironmentError,
    shown,
)
from openenv_gym.protocol import (
    BatchResult,
    Failed,
    GetState,
    Reply,
    Request,
    Result,
    StateReply,
    Step,
)
from openenv_gym.protocol.json_messages import JsonServerMessages, parse_reset
from openenv_gym.server.off_loop import off_loop
from openenv_gym.server.service import Service
from openenv_gym.server.session import Session

SESSION_HEADER = "X-OpenEnv-Session"
NEW = "new"


class HttpSessions:
    """The sessions as plain HTTP uses them.

    Args:
        service: What is served.
        owner: The name of the owner whose sessions these are; None on a server without tokens.
    """

    def __init__(self, service: Service, owner: str | None) -> None:
        self._service = service
        self._owner = owner
        self._is_name_needed = service.settings.http_sessions == "required"
        self._messages = JsonServerMessages(service.view)
        self._sessions = service.sessions
        self._default = Session(is_shared=True, owner=owner)

    async def reset(self, data: dict[str, Any], header: str | None) -> tuple[dict[str, Any], str]:
        """Begin an episode; return the answer and the id of its session.

        Raises:
            OpenEnvGymError: no episode can begin.
        """
        request = parse_reset(data, self._service.description.num_envs, "$")
        is_new = header == NEW
        session = Session(is_shared=True, owner=self._owner) if is_new else self._find(header)
        return await self._answer(await self._execute(session, request)), session.session_id

    async def step(self, data: dict[str, Any], header: str | None) -> dict[str, Any]:
        """Act in the episode of a session, and return the answer.

        Raises:
            OpenEnvGymError: the action is none, or the environment refuses it.
        """
        unknown = set(data) - {"action", "timeout_s", "request_id"}
        action = data.get("action")
        if not isinstance(action, dict) or unknown:
            raise InvalidRequestError(
                'expected {"action": {...}} with the fields of an action, '
                f"got {shown(data, 100)}"
            )
        if data.get("timeout_s") is not None:
            raise InvalidRequestError("timeout_s: not supported; leave it out, or null")
        session = self._find(header)
        if session.engine is None:
            raise ResetNeededError("step before a reset; send POST /reset first")
        value = await off_loop(self._service.view.parse_action, action)
        return await self._answer(await self._execute(session, Step(value)))

    async def state(self, header: str | None) -> dict[str, Any]:
        """Return what is known about the episode of a session."""
        session = self._find(header)
        if session.engine is None:
            return self._service.state_before_reset
        reply = await self._execute(session, GetState())
        assert isinstance(reply, StateReply)
        state: dict[str, Any] = info_to_json(reply.state)[0]
        return state

    async def close(self, header: str | None) -> None:
        """End a session; the default one may begin again."""
        session = self._find(header)
        if session is self._default:
            await self._sessions.vacate(session)
        else:
            await self._sessions.end(session)

    async def _execute(self, session: Session, request: Request) -> Reply:
        """Return the reply to ``request``; a session without an environment has one built."""
        before = session.engine
        async with self._sessions.turn(session):
            if before is not None and session.engine is not before:
                raise ResetNeededError(
                    "the session was closed before it was this request's turn; "
                    "reset to begin another one"
                )
            engine = session.engine or await self._sessions.open(session)
            reply = await self._sessions.execute(session, engine, request)
        if isinstance(reply, Failed):
            raise reply.to_exception()
        return reply

    async def _answer(self, reply: Reply) -> dict[str, Any]:
        assert isinstance(reply, Result | BatchResult)
        return await off_loop(self._messages.result_data, reply)

    def _find(self, header: str | None) -> Session:
        """The session that ``header`` names, or the default one, which may be vacant.

        Raises:
            InvalidRequestError: no session is named, and one has to be.
            UnknownEnvironmentError: no session has this id.
        """
        if header is None and self._is_name_needed:
            raise InvalidRequestError(
                f"expected the header {SESSION_HEADER} with the id of a session, got none "
                f"(--http-sessions required); send POST /reset with {SESSION_HEADER}: {NEW}, whose "
                "answer has one"
            )
        session = self._default if header is None else self._sessions.find(header, self._owner)
        if session is None:
            raise UnknownEnvironmentError(
                f"{SESSION_HEADER}: no session has this id, it may have expired; "
                f"send POST /reset with {SESSION_HEADER}: {NEW}"
            )
        return session
