"""A Gymnasium environment, served: ``uvicorn servers.gymnasium.app:app``.

An environment variable that is set to nothing counts as not set.
"""

from __future__ import annotations

import os
from typing import TypeVar

import msgspec

from openenv_gym import create_app
from openenv_gym.errors import InvalidRequestError

T = TypeVar("T")


def from_json(name: str, default: str, kind: type[T]) -> T:
    """Read an environment variable that holds JSON."""
    text = os.environ.get(name) or default
    try:
        return msgspec.json.decode(text, type=kind)
    except msgspec.DecodeError as exc:
        raise InvalidRequestError(f"{name}: expected JSON such as {default}, got {text!r}") from exc


app = create_app(
    os.environ.get("GYMNASIUM_ENV_ID") or "CartPole-v1",
    kwargs=from_json("GYMNASIUM_ENV_KWARGS", "{}", dict),
    max_sessions=from_json("MAX_CONCURRENT_ENVS", "8", int),
)
