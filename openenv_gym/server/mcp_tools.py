"""The MCP tools: ``reset``, ``step``, ``state``, and ``render`` where the environment draws."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import importlib.util
from collections.abc import Awaitable, Callable
from typing import Any, TypeAlias

from openenv_gym.codecs import info_to_json, shown_frames
from openenv_gym.errors import (
    ConnectionLostError,
    EnvStartError,
    InvalidRequestError,
    OpenEnvGymError,
    ResetNeededError,
    UnsupportedRenderModeError,
    names_shown,
)
from openenv_gym.protocol import (
    BatchResult,
    Failed,
    GetState,
    Render,
    Rendered,
    Reply,
    Request,
    Result,
    StateReply,
    Step,
)
from openenv_gym.protocol.json_messages import JsonServerMessages, parse_reset
from openenv_gym.server.engine import Engine
from openenv_gym.server.mcp_schemas import (
    NUMBERS_NOTE,
    action_summary,
    legal_actions,
    reset_schema,
    result_schema,
    state_schema,
)
from openenv_gym.server.off_loop import off_loop
from openenv_gym.server.service import Service
from openenv_gym.server.session import Session
from openenv_gym.wire.error_codes import error_for
from openenv_gym.wire.messages import encode_json, error_data

Content: TypeAlias = dict[str, Any]
Arguments: TypeAlias = dict[str, Any]
Tool: TypeAlias = Callable[[Session, Arguments], Awaitable[dict[str, Any]]]

ERROR_KEY = "openenv-gym/error"
"""The key of the metadata of a result under which a refusal is told to programs."""

RGB_ARRAY, ANSI = "rgb_array", "ansi"


def picture_mode(service: Service) -> str | None:
    """Return the render mode of what agents are shown, None where there is nothing to show.

    An environment with a render mode of its own keeps it; one that is made by name is made with
    the first of ``rgb_array`` and ``ansi`` that it has. Games of OpenSpiel are drawn with Pillow,
    if it is there.
    """
    description = service.description
    modes = [] if description.render_mode is None else [description.render_mode]
    if not modes and service.settings.is_named and description.num_envs is None:
        modes = description.render_modes
    can_draw = description.view != "openspiel" or importlib.util.find_spec("PIL") is not None
    if RGB_ARRAY in modes and can_draw:
        return RGB_ARRAY
    return ANSI if ANSI in modes else None


class McpTools:
    """What the tools are and what they do.

    Args:
        service: What is served.

    Attributes:
        listed: The tools as ``tools/list`` gives them.
    """

    def __init__(self, service: Service) -> None:
        self._service = service
        self._sessions = service.sessions
        self._messages = JsonServerMessages(service.view)
        self._legal_actions = legal_actions(service.description)
        self._tools: dict[str, Tool] = {
            "reset": self._reset,
            "step": self._step,
            "state": self._state,
        }
        mode = picture_mode(service)
        # What environments are opened with; those with a mode of their own keep it.
        self._render_mode = mode if service.description.render_mode is None else None
        if mode is not None:
            self._tools["render"] = self._render
        self.listed = [tool for tool in self._described(mode) if tool["name"] in self._tools]

    @property
    def names(self) -> list[str]:
        """The tools that there are."""
        return list(self._tools)

    async def call(self, name: str, session: Session, arguments: Arguments) -> dict[str, Any]:
        """Return the result of a tool; what it refuses is a result, too.

        Raises:
            OpenEnvGymError: the tool refused its arguments, or failed.
        """
        async with self._sessions.turn(session):
            return await self._tools[name](session, arguments)

    async def open(self, session: Session) -> Engine:
        """Take a slot and open the environment, when it is one's turn.

        An environment that cannot be made to be drawn is opened to be played without.

        Raises:
            OpenEnvGymError: there is no slot, the client left, or there is no environment.
        """
        if self._render_mode is not None:
            with contextlib.suppress(
                EnvStartError, UnsupportedRenderModeError, ConnectionLostError
            ):
                return await self._sessions.open(session, self._render_mode)
        return await self._sessions.open(session)

    async def _reset(self, session: Session, arguments: Arguments) -> dict[str, Any]:
        request = parse_reset(arguments, self._service.description.num_envs, "$")
        if request.extra and self._service.description.view != "model":
            raise InvalidRequestError(
                f"reset: expected seed, options and episode_id, got {names_shown(request.extra)} "
                "too; what the environment's own reset takes goes into options"
            )
        engine = session.engine or await self.open(session)
        return await self._played(await self._execute(session, engine, request))

    async def _step(self, session: Session, arguments: Arguments) -> dict[str, Any]:
        engine = self._needed(session, "step")
        action = await off_loop(self._service.view.parse_action, arguments)
        return await self._played(await self._execute(session, engine, Step(action)))

    async def _state(self, session: Session, arguments: Arguments) -> dict[str, Any]:
        _expect_none("state", arguments)
        engine = _engine_of(session)
        if engine is None:
            return _structured(self._service.state_before_reset)
        reply = await self._execute(session, engine, GetState())
        assert isinstance(reply, StateReply)
        return _structured(info_to_json(reply.state)[0])

    async def _render(self, session: Session, arguments: Arguments) -> dict[str, Any]:
        _expect_none("render", arguments)
        reply = await self._execute(session, self._needed(session, "render"), Render())
        assert isinstance(reply, Rendered)
        return {"content": await asyncio.to_thread(_pictures, reply.frame), "isError": False}

    def _needed(self, session: Session, tool: str) -> Engine:
        engine = _engine_of(session)
        if engine is None:
            raise ResetNeededError(f"{tool} before a reset; call the tool reset first")
        return engine

    async def _execute(self, session: Session, engine: Engine, request: Request) -> Reply:
        reply = await self._sessions.execute(session, engine, request)
        if isinstance(reply, Failed):  # without the traceback, which is not for the agent
            raise error_for(reply.code, reply.message)
        return reply

    async def _played(self, reply: Reply) -> dict[str, Any]:
        assert isinstance(reply, Result | BatchResult)
        data = await off_loop(self._messages.result_data, reply)
        if metadata := data["observation"].get("metadata"):
            data["metadata"] = metadata
        legal = self._legal_actions(data)
        return _structured(data, *([] if legal is None else [legal]))

    def _described(self, render_mode: str | None) -> list[dict[str, Any]]:
        """The tools as ``tools/list`` gives them."""
        description, view = self._service.description, self._service.view
        name = str(description.about.get("name", description.environment))
        about = str(description.about.get("description", "")).strip().rstrip(".")
        action = action_summary(description, view)
        legal = " Legal actions are named in every answer." if description.has_action_masks else ""
        nothing = {"type": "object", "properties": {}, "additionalProperties": False}
        picture = "a PNG image" if render_mode == RGB_ARRAY else "text"
        result = result_schema(view)
        return [
            {
                "name": "reset",
                "title": f"Begin an episode of {name}",
                "description": f"Begin an episode of {name}. {about}. Answers the first "
                f"observation. {NUMBERS_NOTE}",
                "inputSchema": reset_schema(description),
                "outputSchema": result,
                "annotations": {"readOnlyHint": False, "openWorldHint": False},
            },
            {
                "name": "step",
                "title": f"Act in {name}",
                "description": f"Act once in {name}. {action}{legal} Answers the observation, "
                "the reward of this action, and done: then the episode has ended, and reset begins "
                "the next one. An action that is refused changes nothing.",
                "inputSchema": view.action_schema,
                "outputSchema": result,
                "annotations": {"readOnlyHint": False, "openWorldHint": False},
            },
            {
                "name": "state",
                "title": f"State of the episode of {name}",
                "description": "Say what is known about the episode: its id, the number of steps, "
                "and what the environment adds. Changes nothing.",
                "inputSchema": nothing,
                "outputSchema": state_schema(view),
                "annotations": {"readOnlyHint": True, "openWorldHint": False},
            },
            {
                "name": "render",
                "title": f"Picture of {name}",
                "description": f"Show {name} as it is now, as {picture}. Changes nothing.",
                "inputSchema": nothing,
                "annotations": {"readOnlyHint": True, "openWorldHint": False},
            },
        ]


def _engine_of(session: Session) -> Engine | None:
    """What the client plays on; None before its first reset.

    Raises:
        ResetNeededError: its environment was taken away, and it hears of that now.
    """
    if session.was_vacated:
        session.was_vacated = False
        raise ResetNeededError(
            "the environment of this session is gone: it was not used for long and gave way "
            "to another client, or its process ended; call the tool reset to begin again"
        )
    return session.engine


def refusal(exc: OpenEnvGymError) -> dict[str, Any]:
    """Return the result of a tool that refused, from which an agent can correct itself."""
    said = error_data(str(exc), exc.code)
    content = [_text(f"{said['code']}: {said['message']}")]
    return {"content": content, "isError": True, "_meta": {ERROR_KEY: said}}


def _structured(data: dict[str, Any], *remarks: str) -> dict[str, Any]:
    texts = [encode_json(data).decode(), *remarks]
    return {
        "content": [_text(text) for text in texts],
        "structuredContent": data,
        "isError": False,
    }


def _text(text: str) -> Content:
    return {"type": "text", "text": text}


def _expect_none(tool: str, arguments: Arguments) -> None:
    if arguments:
        raise InvalidRequestError(f"{tool}: expected no arguments, got {', '.join(arguments)}")


def _pictures(rendered: Any) -> list[Content]:
    """What ``Env.render`` returned, as content that agents read.

    Raises:
        RemoteEnvError: it is neither a picture nor text.
    """
    return [_text(one) if isinstance(one, str) else _png(one) for one in shown_frames(rendered)]


def _png(picture: bytes) -> Content:
    data = base64.b64encode(picture).decode()
    return {"type": "image", "data": data, "mimeType": "image/png"}
