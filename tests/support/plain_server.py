"""OpenEnv servers that are not ours: plain schemas, plain messages, and what a test makes them say.

They speak OpenEnv's wire as its own server does: one unsolicited error at capacity, no bounds, no
``truncated``, no reply to ``close``.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from fastapi import FastAPI, WebSocket
from fastapi.responses import JSONResponse, PlainTextResponse

from tests.support import uvicorn_thread

Message = dict[str, Any]

# What every model of OpenEnv inherits.
METADATA = {"additionalProperties": True, "title": "Metadata", "type": "object"}
REWARD = {
    "anyOf": [{"type": kind} for kind in ("boolean", "integer", "number", "null")],
    "default": None,
}


def action_schema(*required: str, **properties: Any) -> Message:
    """The schema of an action model; each field that is not named first is optional."""
    return {
        "additionalProperties": False, "type": "object", "title": "SomeAction",
        "properties": {"metadata": METADATA, **properties}, "required": list(required),
    }  # fmt: skip


def observation_schema(*required: str, **properties: Any) -> Message:
    """Likewise of an observation model."""
    base = {"done": {"type": "boolean", "default": False}, "reward": REWARD, "metadata": METADATA}
    return {
        "additionalProperties": False, "type": "object", "title": "SomeObservation",
        "properties": {**base, **properties}, "required": list(required),
    }  # fmt: skip


def observed(done: bool = False, reward: Any = None, **fields: Any) -> Message:
    """The data of an observation message."""
    return {"observation": fields, "reward": reward, "done": done}


@dataclass(kw_only=True)
class Plain:
    """What a server says.

    Attributes:
        action: The schema; None makes ``/schema`` fail.
        observation: Likewise.
        reset: From the data of a reset message and the number of the reset to an answer.
        step: From the data of a step message and its number in the episode to an answer, or to the
            code with which to close.
        state: What is told of the state.
        name: Under ``/metadata``.
        max_sessions: At once.
        schema_status: Of ``/schema`` where there is none.
        received: All messages.
    """

    action: Message | None
    observation: Message | None
    reset: Callable[[Message, int], Message]
    step: Callable[[Message, int], Message | int]
    state: Message = field(default_factory=dict)
    name: str = "SomeEnvironment"
    max_sessions: int = 1
    schema_status: int = 500
    received: list[Message] = field(default_factory=list)
    sessions: int = 0
    resets: int = 0

    def app(self) -> FastAPI:
        app = FastAPI()

        @app.get("/schema")
        def schema() -> Any:
            if self.action is None:
                if self.schema_status == 404:
                    return JSONResponse({"detail": "Not Found"}, 404)
                return PlainTextResponse("Internal Server Error", self.schema_status)
            return {"action": self.action, "observation": self.observation, "state": {}}

        @app.get("/metadata")
        def metadata() -> Any:
            return {"name": self.name}

        @app.websocket("/ws")
        async def session(socket: WebSocket) -> None:
            await socket.accept()
            if self.sessions >= self.max_sessions:
                full = {"message": "Server at capacity", "code": "CAPACITY_REACHED"}
                await socket.send_json({"type": "error", "data": full})
                await socket.close()
                return
            self.sessions += 1
            try:
                await self._serve(socket)
            finally:
                self.sessions -= 1

        return app

    async def _serve(self, socket: WebSocket) -> None:
        steps = 0
        async for text in socket.iter_text():
            message = json.loads(text)
            self.received.append(message)
            steps += 1
            try:
                if message["type"] == "reset":
                    steps, self.resets = 0, self.resets + 1
                    answer = self.reset(message.get("data", {}), self.resets)
                elif message["type"] == "step":
                    answer = self.step(message["data"], steps)
                elif message["type"] == "state":
                    await socket.send_json({"type": "state", "data": self.state})
                    continue
                else:
                    return
                if isinstance(answer, int):
                    await socket.close(answer, "told to")
                    return
                await socket.send_json({"type": "observation", "data": answer})
            except Exception as exc:  # what a test has it say: told to the client, as OpenEnv does
                data = {"message": str(exc), "code": "EXECUTION_ERROR"}
                await socket.send_json({"type": "error", "data": data})

    def said(self, kind: str) -> list[Any]:
        """The data of all messages of a kind."""
        return [message.get("data") for message in self.received if message["type"] == kind]


@contextmanager
def serving(app: Any) -> Iterator[str]:
    """Serves ``app``, ASGI or plain, in a thread, and gives its URL."""
    with uvicorn_thread.serving(app.app() if isinstance(app, Plain) else app) as url:
        yield url
