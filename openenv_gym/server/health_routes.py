"""Whether a server lives and takes sessions, and what it has counted, for those who look after it.

A server is *alive* while its event loop is; where it is not, it is to be started anew. It is
*ready* while a session could begin; where it is not, new ones are to go elsewhere, and those that
there are go on. So a server without a free slot is not ready, and alive.
"""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request, Response

from openenv_gym.server.metrics import MISSING, exposition
from openenv_gym.server.service import Service
from openenv_gym.server.tokens import owner_of
from openenv_gym.wire.messages import encode_json

RETRY_AFTER_S = 5
"""When a client is told to try again that a server has no room for now."""

MAX_LAG_S = 1.0
"""A server whose event loop is later than this is not alive."""


def health_routes(service: Service) -> APIRouter:
    """Return the routes of ``service`` about itself."""
    router = APIRouter()

    def may_see_more(request: Request) -> bool:
        """Whether somebody is told more than the state; the probes need no token."""
        return owner_of(request) is not None or not service.settings.tokens

    @router.get("/health", tags=["server"])
    async def health() -> dict[str, str]:
        """Whether the server answers."""
        return {"status": "healthy"}

    @router.get("/livez", tags=["server"])
    async def livez(request: Request) -> Response:
        """Whether the server is alive: 503 where its event loop is more than a second late."""
        lag_s = service.loop_lag.lag_s
        is_late = lag_s >= MAX_LAG_S
        body: dict[str, Any] = {"status": "late" if is_late else "alive"}
        if may_see_more(request):
            body["loop_lag_s"] = round(lag_s, 3)
        return json_response(body, 503 if is_late else 200)

    @router.get("/readyz", tags=["server"])
    async def readyz(request: Request) -> Response:
        """Whether a session could begin now: 503 where not, and why."""
        status, reason = service.readiness()
        body: dict[str, Any] = {"status": status}
        if may_see_more(request):
            body |= {"reason": reason} if reason else {}
            body["sessions"] = len(service.sessions)
            body["disconnected"] = service.sessions.disconnected
            body["max_sessions"] = service.settings.max_sessions
        return json_response(body, 200 if status == "ready" else 503)

    @router.get("/metrics", tags=["server"])
    async def metrics() -> Response:
        """What the server has counted, in the format of Prometheus."""
        found = exposition(service)
        if found is None:
            return Response(f"{MISSING}\n", 501, media_type="text/plain")
        return Response(found[0], media_type=found[1])

    return router


def json_response(body: Any, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    """Return a response with ``body``; one that there is no room says when to try again."""
    later = {"Retry-After": str(RETRY_AFTER_S)} if status == 503 else {}
    said = {**later, **(headers or {})}
    return Response(encode_json(body), status, said, media_type="application/json")
