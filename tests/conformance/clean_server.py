"""A clean OpenEnv server without any of our code, made so that a part of it can be replaced."""

from __future__ import annotations

import asyncio
import contextlib
import json
import random
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

from fastapi import FastAPI, WebSocket, WebSocketDisconnect
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict, ValidationError

LENGTH = 12
BREAK_OFF = object()
ACTION = {
    "type": "object",
    "additionalProperties": False,
    "properties": {"move": {"type": "integer", "minimum": 0, "maximum": 2}},
    "required": ["move"],
}
OBSERVATION = {
    "type": "object",
    "additionalProperties": False,
    "properties": {
        "done": {"type": "boolean", "default": False},
        "reward": {"anyOf": [{"type": "number"}, {"type": "null"}], "default": None},
        "metadata": {"type": "object"},
        "place": {
            "type": "array", "minItems": 2, "maxItems": 2,
            "items": {"type": "number", "minimum": -100, "maximum": 100},
        },
        "terminated": {"type": "boolean"},
        "truncated": {"type": "boolean"},
    },
    "required": ["place"],
}  # fmt: skip
STATE = {"type": "object", "properties": {"step_count": {"type": "integer"}}}


class Move(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)
    move: int


@dataclass
class Walk:
    """The environment: a walk whose end chance decides."""

    chance: random.Random = field(default_factory=random.Random)
    place: list[float] = field(default_factory=lambda: [0.0, 0.0])
    steps: int = 0
    episode_id: str = field(default_factory=lambda: str(uuid4()))
    is_over: bool = False


class Clean:
    """Has no defect. Those that have one name the check that is meant to find it."""

    meant = ""
    max_sessions = 3

    def __init__(self) -> None:
        self.sessions = 0

    # what the environment does

    def new(self) -> Walk:
        return Walk()

    def seed(self, walk: Walk, seed: int | None) -> None:
        if seed is not None:
            walk.chance = random.Random(seed)

    def reset(self, walk: Walk, data: dict[str, Any]) -> Any:
        self.seed(walk, data.get("seed"))
        walk.place = [walk.chance.uniform(-1, 1), walk.chance.uniform(-1, 1)]
        walk.steps, walk.is_over = 0, False
        walk.episode_id = data.get("episode_id") or str(uuid4())
        return self.observed(walk, None)

    def step(self, walk: Walk, action: Any) -> Any:
        if walk.is_over:
            return error("EXECUTION_ERROR", "the episode is over")
        move = self.checked(action)
        walk.steps += 1
        walk.place[0] += move - 1 + walk.chance.uniform(-0.1, 0.1)
        walk.is_over = walk.steps >= LENGTH
        return self.observed(walk, self.reward(walk))

    def checked(self, action: Any) -> int:
        move = Move.model_validate(action).move
        if not 0 <= move <= 2:
            raise ValueError("out of range")
        return move

    def reward(self, walk: Walk) -> Any:
        return -abs(walk.place[0])

    def observed(self, walk: Walk, reward: Any) -> Any:
        return {"type": "observation", "data": self.data(walk, reward)}

    def data(self, walk: Walk, reward: Any) -> dict[str, Any]:
        observation = {"place": [*walk.place], "terminated": walk.is_over, "truncated": False}
        return {"observation": observation, "reward": reward, "done": walk.is_over}

    def state(self, walk: Walk) -> dict[str, Any]:
        return {"episode_id": walk.episode_id, "step_count": walk.steps}

    # what is said over HTTP

    def health(self) -> Any:
        return {"status": "healthy"}

    def metadata(self) -> Any:
        return {"name": "walk", "description": "A walk."}

    def schema(self) -> Any:
        return {"action": ACTION, "observation": OBSERVATION, "state": STATE}

    def mcp(self) -> Any:
        return {"jsonrpc": "2.0", "error": {"code": -32600, "message": "no request"}, "id": None}

    def routes(self) -> dict[str, Any]:
        return {"/reset": {}, "/step": {}, "/state": {}, "/health": {}}

    def openapi(self) -> Any:
        return {"openapi": "3.1.0", "info": {"title": "w", "version": "1"}, "paths": self.routes()}

    def http_step(self, action: Any) -> Any:
        walk = self.new()
        self.reset(walk, {})
        return self.step(walk, action)["data"]

    # what is said over the WebSocket

    async def answer(self, walk: Walk, text: str) -> Any:
        try:
            message = json.loads(text)
        except ValueError:
            return self.no_json(walk)
        if not isinstance(message, dict):
            return self.no_object(message)
        kind, data = message.get("type"), message.get("data")
        if kind == "reset":
            return self.reset(walk, data or {})
        if kind == "step":
            return await self.acted(walk, data)
        if kind == "state":
            return {"type": "state", "data": self.state(walk)}
        return None if kind == "close" else self.unknown()

    async def acted(self, walk: Walk, action: Any) -> Any:
        if action is None:
            return self.no_data(walk)
        try:
            if action == {"move": 1, "slow": True}:
                await self.sleep(2.0)
                return self.observed(walk, 0.0)
            return self.step(walk, action)
        except (ValidationError, ValueError) as exc:
            return error("VALIDATION_ERROR", str(exc))

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)

    def no_json(self, walk: Walk) -> Any:
        return error("INVALID_JSON", "this is no JSON")

    def no_object(self, message: Any) -> Any:
        return error("VALIDATION_ERROR", "this is no object")

    def no_data(self, walk: Walk) -> Any:
        return error("VALIDATION_ERROR", "there is no action")

    def unknown(self) -> Any:
        return error("UNKNOWN_TYPE", "this type is unknown")

    def full(self) -> Any:
        return error("CAPACITY_REACHED", "no session is free")

    def binary(self) -> Any:
        return error("INVALID_JSON", "expected a text")

    async def received(self, socket: WebSocket) -> Any:
        event = await socket.receive()
        if event["type"] == "websocket.disconnect":
            raise WebSocketDisconnect(event.get("code", 1006))
        return event.get("text") if event.get("text") is not None else event["bytes"]

    def ended(self, is_polite: bool) -> None:
        self.sessions -= 1

    async def serve(self, socket: WebSocket) -> None:
        await socket.accept()
        if self.sessions >= self.max_sessions:
            if self.full() is not None:
                await socket.send_text(json.dumps(self.full()))
            await socket.close()
            return
        self.sessions += 1
        is_polite = False
        with contextlib.suppress(WebSocketDisconnect, RuntimeError, TimeoutError):
            try:
                is_polite = await self.talk(socket, self.new())
            finally:
                self.ended(is_polite)
            await socket.close()

    async def talk(self, socket: WebSocket, walk: Walk) -> bool:
        """Answers until the client says goodbye; a defect may break off."""
        while True:
            got = await self.received(socket)
            answer = await self.answer(walk, got) if isinstance(got, str) else self.binary()
            if answer is None:
                return True
            if answer is BREAK_OFF:
                await socket.close()
                return False
            await socket.send_text(json.dumps(answer))

    def app(self) -> FastAPI:
        app = FastAPI(openapi_url=None)
        for path, say in (
            ("/health", self.health), ("/metadata", self.metadata), ("/schema", self.schema),
            ("/openapi.json", self.openapi),
        ):  # fmt: skip
            app.get(path)(_route(say))
        app.post("/mcp")(_route(self.mcp))
        app.post("/reset")(lambda: self.data(self.new(), None))

        @app.post("/step")
        def step(body: dict[str, Any]) -> Any:
            return self.http_step(body["action"])

        app.websocket("/ws")(self.serve)
        return app


def _route(say: Any) -> Any:
    def told() -> Any:
        body = say()
        return JSONResponse({"detail": "Not Found"}, 404) if body is None else JSONResponse(body)

    return told


def error(code: str, message: str) -> dict[str, Any]:
    return {"type": "error", "data": {"code": code, "message": message}}
