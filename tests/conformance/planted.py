"""A clean OpenEnv server without any of our code, and copies of it with one defect each."""

from __future__ import annotations

import asyncio
import contextlib
import json
import math
import random
import time
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


# One defect each.


class SaysOk(Clean):
    meant = "http.health"

    def health(self) -> Any:
        return {"status": "ok"}


class HasNoVersion(Clean):
    meant = "http.openapi"

    def openapi(self) -> Any:
        return {**super().openapi(), "info": {"title": "w"}}


class HasNoDescription(Clean):
    meant = "http.metadata"

    def metadata(self) -> Any:
        return {"name": "walk"}


class HasNoStateSchema(Clean):
    meant = "http.schema"

    def schema(self) -> Any:
        return {"action": ACTION, "observation": OBSERVATION}


class HasNoMcp(Clean):
    meant = "http.mcp"

    def mcp(self) -> Any:
        return None


class HasHalfOfTheRoutes(Clean):
    meant = "http.mode"

    def routes(self) -> dict[str, Any]:
        return {"/reset": {}, "/state": {}}


class HasAnInvalidSchema(Clean):
    meant = "schema.valid"

    def schema(self) -> Any:
        return {**super().schema(), "state": {"type": "structure"}}


class RefusesTheWebSocket(Clean):
    meant = "session.handshake"

    async def serve(self, socket: WebSocket) -> None:
        await socket.close()


class KeepsClosedSessions(Clean):
    meant = "session.close"

    def ended(self, is_polite: bool) -> None:
        self.sessions -= 0 if is_polite else 1


class ForgetsDone(Clean):
    meant = "reset.reply"

    def data(self, walk: Walk, reward: Any) -> dict[str, Any]:
        data = super().data(walk, reward)
        return data if walk.steps else {name: data[name] for name in ("observation", "reward")}


class FlattensObservations(Clean):
    meant = "step.reply"

    def data(self, walk: Walk, reward: Any) -> dict[str, Any]:
        data = super().data(walk, reward)
        return {**data, **data["observation"]} if walk.steps else data


class SaysNanInObservations(Clean):
    meant = "step.reply"

    def data(self, walk: Walk, reward: Any) -> dict[str, Any]:
        data = super().data(walk, reward)
        if walk.steps == 3:
            data["observation"]["place"][1] = math.nan
        return data


class PaysInfinity(Clean):
    meant = "reward.finite"

    def reward(self, walk: Walk) -> Any:
        return math.inf if walk.steps == 2 else 0.5


class ObservesThree(Clean):
    meant = "observation.schema"

    def data(self, walk: Walk, reward: Any) -> dict[str, Any]:
        data = super().data(walk, reward)
        if walk.steps == 3:
            data["observation"]["place"].append(0.0)
        return data


class LeavesItsSpace(Clean):
    meant = "observation.space"

    def schema(self) -> Any:
        box = {"type": "Box", "low": -0.5, "high": 0.5, "shape": [2], "dtype": "float64"}
        place = {**OBSERVATION["properties"]["place"], "x-gymnasium-space": box}
        properties = {**OBSERVATION["properties"], "place": place}
        return {**super().schema(), "observation": {**OBSERVATION, "properties": properties}}


class CountsInWords(Clean):
    meant = "state.reply"

    def state(self, walk: Walk) -> dict[str, Any]:
        return {"episode_id": walk.episode_id, "step_count": str(walk.steps)}


class CountsTwice(Clean):
    meant = "state.episode"

    def state(self, walk: Walk) -> dict[str, Any]:
        return {"episode_id": walk.episode_id, "step_count": 2 * walk.steps}


class NamesEpisodesItself(Clean):
    meant = "state.episode"

    def reset(self, walk: Walk, data: dict[str, Any]) -> Any:
        return super().reset(walk, {"seed": data.get("seed")})


class IgnoresSeeds(Clean):
    meant = "seed.same"

    def seed(self, walk: Walk, seed: int | None) -> None:
        pass


class KnowsOneSeed(Clean):
    meant = "seed.differs"

    def seed(self, walk: Walk, seed: int | None) -> None:
        super().seed(walk, None if seed is None else 0)


class RemembersTheLastEpisode(Clean):
    meant = "episode.replay"

    def seed(self, walk: Walk, seed: int | None) -> None:
        super().seed(walk, None if seed is None else seed + (walk.steps > 0))


class StaysOver(Clean):
    meant = "episode.end"

    def reset(self, walk: Walk, data: dict[str, Any]) -> Any:
        was_over = walk.is_over
        super().reset(walk, data)
        walk.is_over = was_over
        return self.observed(walk, None)


class EndsForNoReason(Clean):
    meant = "episode.flags"

    def data(self, walk: Walk, reward: Any) -> dict[str, Any]:
        data = super().data(walk, reward)
        data["observation"]["terminated"] = False
        return data


class BreaksAfterTheEnd(Clean):
    meant = "episode.beyond"

    def step(self, walk: Walk, action: Any) -> Any:
        return BREAK_OFF if walk.is_over else super().step(walk, action)


class BreaksAtBadJson(Clean):
    meant = "input.json"

    def no_json(self, walk: Walk) -> Any:
        return BREAK_OFF


class BeginsAnewAtBadJson(Clean):
    meant = "input.json"

    def no_json(self, walk: Walk) -> Any:
        self.reset(walk, {})
        return super().no_json(walk)


class ConfusesCodes(Clean):
    meant = "input.type"

    def unknown(self) -> Any:
        return error("INVALID_JSON", "what?")


class BreaksAtLists(Clean):
    meant = "input.object"

    def no_object(self, message: Any) -> Any:
        return BREAK_OFF


class BreaksAtBytes(Clean):
    meant = "input.binary"

    def binary(self) -> Any:
        return BREAK_OFF


class StepsWithoutAnAction(Clean):
    meant = "input.data"

    def no_data(self, walk: Walk) -> Any:
        return self.step(walk, {"move": 1})


class TakesAnyAction(Clean):
    meant = "input.action"

    def checked(self, action: Any) -> int:
        move = action.get("move") if isinstance(action, dict) else None
        return move if isinstance(move, int) else 1


class SharesOneWalk(Clean):
    meant = "session.apart"

    def __init__(self) -> None:
        super().__init__()
        self.walk = Walk()

    def new(self) -> Walk:
        return self.walk


class SharesChance(Clean):
    meant = "session.apart"

    def __init__(self) -> None:
        super().__init__()
        self.chance = random.Random()

    def seed(self, walk: Walk, seed: int | None) -> None:
        self.chance.seed(seed)
        walk.chance = self.chance


class HangsUpOnTheSilent(Clean):
    meant = "session.pause"

    async def received(self, socket: WebSocket) -> Any:
        try:
            return await asyncio.wait_for(super().received(socket), 0.25)
        except TimeoutError:
            await socket.close()
            raise


class KeepsDroppedSessions(Clean):
    meant = "session.drop"

    def ended(self, is_polite: bool) -> None:
        self.sessions -= 1 if is_polite else 0


class IsFullWithoutAWord(Clean):
    meant = "session.capacity"

    def full(self) -> Any:
        return None


class BlocksAllInASlowStep(Clean):
    meant = "session.slow"

    async def sleep(self, seconds: float) -> None:
        time.sleep(seconds)


class StepsNotOverHttp(Clean):
    meant = "http.step"

    def http_step(self, action: Any) -> Any:
        return JSONResponse({"detail": "no"}, 500)


DEFECTS = list(Clean.__subclasses__())


def app() -> FastAPI:
    """All servers in one, each under its name."""
    whole = FastAPI()
    for kind in (Clean, *DEFECTS):
        whole.mount(f"/{kind.__name__}", kind().app())
    return whole
