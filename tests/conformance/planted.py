"""Copies of a clean OpenEnv server with one defect each."""

from __future__ import annotations

import asyncio
import math
import random
import time
from typing import Any

from fastapi import FastAPI, WebSocket
from fastapi.responses import JSONResponse

from tests.conformance.clean_server import ACTION, BREAK_OFF, OBSERVATION, Clean, Walk, error


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
