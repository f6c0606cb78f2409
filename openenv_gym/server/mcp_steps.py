"""Steps that list or call tools, as OpenEnv's older MCP client sends them over ``/ws``.

``MCPToolClient`` of ``openenv-core`` 0.3 speaks of tools in steps: ``{"type": "list_tools"}`` and
``{"type": "call_tool", "tool_name": ..., "arguments": ...}``. No action of an environment looks
like that, unless the environment has tools of its own. So only what was refused as an action is
looked at here, and the answer is that of the tools of ``/mcp``, in the form of an observation.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from openenv_gym.errors import (
    InvalidActionError,
    InvalidRequestError,
    OpenEnvGymError,
    shown,
)
from openenv_gym.protocol import Failed, Reset, ServerSession, SessionState, Step
from openenv_gym.protocol.json_messages import JsonServerMessages
from openenv_gym.server.engine import Engine
from openenv_gym.server.mcp_tools import McpTools
from openenv_gym.server.off_loop import off_loop
from openenv_gym.server.service import Service
from openenv_gym.server.session import Session
from openenv_gym.spaces.tools import call_schema
from openenv_gym.wire.error_codes import brief
from openenv_gym.wire.messages import (
    MalformedMessageError,
    StepMessage,
    Text,
    observation_message,
    parse_message,
)


class McpSteps:
    """Answers the steps of MCP of one session.

    Args:
        service: What is served.
        session: The session of the client.
        engine: Its environment.
    """

    def __init__(self, service: Service, session: Session, engine: Engine) -> None:
        self._service = service
        self._session = session
        self._engine = engine
        self._tools: McpTools | None = None

    async def instead(self, text: Text, refusal: bytes, server: ServerSession) -> bytes:
        """Return the answer to a message that was refused: the refusal, if it is no step of MCP.

        Args:
            text: The message.
            refusal: What it is answered otherwise.
            server: The session at the border, which learns what a tool has begun or ended.
        """
        answer = await self._answer(text)
        if answer is None:
            return refusal
        server.state = self._engine.state
        return answer

    async def _answer(self, text: Text) -> bytes | None:
        data = await off_loop(_asked, text)
        if data is None:
            return None
        if call_schema(self._service.view.action_schema) is not None:
            return await self._list_their_own(data)
        if self._tools is None:
            self._tools = McpTools(self._service)
        if data["type"] == "list_tools":
            return observation_message({"tools": _listed(self._tools)}, None, False, {})
        return await self._call(self._tools, data)

    async def _list_their_own(self, data: dict[str, Any]) -> bytes | None:
        """The tools of an environment that has some, which OpenEnv lists before a reset, too."""
        if data["type"] != "list_tools" or self._engine.state is not SessionState.READY:
            return None
        sessions, view = self._service.sessions, self._service.view
        async with self._session.lock:
            reply = await sessions.execute(self._session, self._engine, Reset())
            if not isinstance(reply, Failed):
                step = Step(view.parse_action(data))
                reply = await sessions.execute(self._session, self._engine, step)
        return JsonServerMessages(view).encode_reply(None, reply)

    async def _call(self, tools: McpTools, data: dict[str, Any]) -> bytes:
        name, arguments = data.get("tool_name"), data.get("arguments") or {}
        name = name if isinstance(name, str) else shown(name)
        if name not in tools.names:
            name = brief(name, 60)
            said = f"expected a tool among {', '.join(tools.names)}, got {name!r}"
            return _refused(name, "tool_not_found", said)
        if not isinstance(arguments, dict):
            return _refused(name, "invalid_args", f"expected an object, got {shown(arguments)}")
        try:
            result = await tools.call(name, self._session, arguments)
        except (InvalidRequestError, InvalidActionError) as exc:
            return _refused(name, "invalid_args", str(exc))
        except OpenEnvGymError as exc:
            return _refused(name, "execution_error", str(exc))
        played = result.get("structuredContent")
        if played is None:  # a picture
            return _answered(name, result)
        # What OpenEnv's client returns is called data there.
        return _answered(name, {**result, "data": played}, played if name == "step" else {})


def _answered(name: str, result: dict[str, Any], played: Mapping[str, Any] | None = None) -> bytes:
    said = {"tool_name": name, "result": result, "error": None}
    reward, done = (played or {}).get("reward"), (played or {}).get("done", False)
    return observation_message(said, reward, done, {})


def _asked(text: Text) -> dict[str, Any] | None:
    """The data of a step that lists or calls tools."""
    try:
        message = parse_message(text)
    except MalformedMessageError:
        return None
    is_step = isinstance(message, StepMessage)
    return message.data if is_step and message.data.get("type") in _STEPS else None


_STEPS = ("list_tools", "call_tool")


def _listed(tools: McpTools) -> list[dict[str, Any]]:
    return [
        {
            "name": one["name"],
            "description": one["description"],
            "input_schema": one["inputSchema"],
        }
        for one in tools.listed
    ]


def _refused(name: str, kind: str, message: str) -> bytes:
    error = {"error_type": kind, "message": message}
    return observation_message({"tool_name": name, "result": None, "error": error}, None, False, {})
