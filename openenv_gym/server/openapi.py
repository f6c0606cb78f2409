"""What OpenAPI says of bodies and headers that the routes read by themselves."""

from __future__ import annotations

from typing import Any

from openenv_gym.protocol.events import SEEDS
from openenv_gym.wire.typed import TypedView


def session_header() -> dict[str, Any]:
    """The header that names a session."""
    return {
        "parameters": [
            {
                "name": "X-OpenEnv-Session",
                "in": "header",
                "required": False,
                "schema": {"type": "string"},
                "description": "Id of a session; without it the default session is meant. "
                "On /reset, 'new' opens a session, whose id the answer carries.",
            }
        ]
    }


def reset_body() -> dict[str, Any]:
    """The body of ``/reset``."""
    nullable: dict[str, Any] = {
        "seed": {"type": ["integer", "null"], "minimum": 0, "maximum": SEEDS - 1},
        "episode_id": {"type": ["string", "null"]},
        "options": {"type": ["object", "null"]},
    }
    return {**session_header(), **_body({"type": "object", "properties": nullable})}


def step_body(view: TypedView) -> dict[str, Any]:
    """The body of ``/step``."""
    schema = {
        "type": "object",
        "properties": {"action": _inlined(view.action_schema)},
        "required": ["action"],
    }
    return {**session_header(), **_body(schema)}


def _body(schema: dict[str, Any]) -> dict[str, Any]:
    return {"requestBody": {"content": {"application/json": {"schema": schema}}}}


def _inlined(schema: dict[str, Any]) -> dict[str, Any]:
    """A schema without references into itself, which would mean another place in OpenAPI."""
    return {"type": "object"} if "$defs" in schema else schema


def jsonrpc_body() -> dict[str, Any]:
    """The body of ``/mcp``."""
    properties: dict[str, Any] = {
        "jsonrpc": {"const": "2.0"},
        "id": {"type": ["string", "integer"]},
        "method": {"type": "string"},
        "params": {"type": "object"},
    }
    return _body({"type": "object", "properties": properties, "required": ["jsonrpc", "method"]})
