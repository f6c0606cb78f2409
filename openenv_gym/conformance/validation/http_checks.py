"""What a server says over HTTP: the six criteria of ``openenv validate --url``."""

from __future__ import annotations

from typing import Any

from openenv_gym.conformance.validation.checks import Complaint, Findings, NotCheckedError, check
from openenv_gym.conformance.validation.served import Served
from openenv_gym.conformance.validation.wire import HttpReply, NoJson

_OK = 200
_MODULE = "openenv 0.10, openenv/cli/_validation.py"


def _wrong(expected: str, reply: HttpReply, *fields: str, is_warning: bool = False) -> Complaint:
    if reply.status != _OK:
        got = f"HTTP {reply.status}"
    elif reply.body is NoJson:
        got = "no JSON"
    else:
        got = ", ".join(f"{name} {reply.field(*name.split('.'))!r:.80}" for name in fields)
    return Complaint(expected=expected, got=got, evidence=reply.evidence, is_warning=is_warning)


def _has(reply: HttpReply, kind: type[Any], *paths: str) -> bool:
    found = (reply.field(*path.split(".")) for path in paths)
    return reply.status == _OK and all(isinstance(value, kind) for value in found)


@check(
    "http.health",
    "GET /health answers 200 and says that the status is healthy.",
    rests_on=f"{_MODULE}: health_endpoint",
)
def health(server: Served) -> Findings:
    """Ask for the health, by which trainers and providers wait for a server."""
    reply = server.http.ask("GET", "/health")
    if reply.status != _OK or reply.field("status") != "healthy":
        yield _wrong('HTTP 200 and {"status": "healthy"}', reply, "status")
    return None


@check(
    "http.openapi",
    "GET /openapi.json answers 200 and has a version.",
    rests_on=f"{_MODULE}: openapi_version_available",
)
def openapi(server: Served) -> Findings:
    """Ask for the description of the routes."""
    reply = server.http.ask("GET", "/openapi.json")
    if not _has(reply, str, "info.version"):
        yield _wrong("HTTP 200 and a text at info.version", reply, "info.version")
    return None


@check(
    "http.metadata",
    "GET /metadata answers 200, with a name and a description.",
    rests_on=f"{_MODULE}: metadata_endpoint",
)
def metadata(server: Served) -> Findings:
    """Ask for what the environment says of itself."""
    reply = server.http.ask("GET", "/metadata")
    if not _has(reply, str, "name", "description"):
        yield _wrong("HTTP 200 and texts name and description", reply, "name", "description")
    return None


@check(
    "http.schema",
    "GET /schema answers 200, with an object for action, observation and state each.",
    rests_on=f"{_MODULE}: schema_endpoint",
)
def schema(server: Served) -> Findings:
    """Ask for the schemas."""
    reply = server.http.ask("GET", "/schema")
    sides = ("action", "observation", "state")
    if not _has(reply, dict, *sides):
        lacking = [side for side in sides if not isinstance(reply.field(side), dict)]
        yield _wrong("HTTP 200 and objects action, observation and state", reply, *lacking)
    return None


@check(
    "http.mcp",
    "POST /mcp answers 200 and speaks JSON-RPC 2.0.",
    rests_on=f"{_MODULE}: mcp_endpoint",
)
def mcp(server: Served) -> Findings:
    """Say something to the route of MCP."""
    reply = server.http.ask("POST", "/mcp", {})
    if reply.status != _OK or reply.field("jsonrpc") != "2.0":
        yield _wrong('HTTP 200 and {"jsonrpc": "2.0"}', reply, "jsonrpc")
    return None


@check(
    "http.mode",
    "The routes /reset, /step and /state are there together, or none of them is.",
    rests_on=f"{_MODULE}: mode_endpoint_consistency",
    needs=("http.openapi",),
)
def mode(server: Served) -> Findings:
    """Read the routes."""
    reply = server.http.ask("GET", "/openapi.json")
    paths = reply.field("paths")
    if not isinstance(paths, dict) or not paths:
        yield _wrong("an object of routes at paths", reply, "paths")
        return None
    found = [path for path in ("/reset", "/step", "/state") if path in paths]
    if found and len(found) != 3:
        yield Complaint(
            expected="the routes /reset, /step and /state, or none of them",
            got=f"only {' and '.join(found)}",
            evidence=(reply.evidence[0], f"< paths: {', '.join(map(str, paths))}"),
        )
    return f"mode: {'simulation' if found else 'production'}"


def http_result(server: Served, path: str, body: Any) -> Findings:
    """Check the answer of a route that acts on an environment."""
    if path not in (server.http.ask("GET", "/openapi.json").field("paths") or {}):
        raise NotCheckedError(f"the server has no route {path}, as in production mode")
    reply = server.http.ask("POST", path, body)
    if reply.status != _OK or not isinstance(reply.field("observation"), dict):
        expected = f"HTTP 200 and an object observation from POST {path}"
        yield _wrong(expected, reply, "observation", is_warning=True)
    elif type(reply.field("done")) is not bool:
        yield _wrong("true or false as done", reply, "done", is_warning=True)
    return None
