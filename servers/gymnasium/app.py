"""A Gymnasium environment, served: ``python servers/gymnasium/app.py``.

That is ``openenv-gym serve`` with what the environment variables say, and with the flags that are
given; ``app`` is for other ASGI servers. A variable that is set to nothing counts as not set.
"""

from __future__ import annotations

import json
import os
import sys
from typing import TypeVar

import msgspec

from openenv_gym import create_app
from openenv_gym.cli import main
from openenv_gym.errors import InvalidRequestError

T = TypeVar("T")


def from_json(name: str, default: str, kind: type[T]) -> T:
    """Read an environment variable that holds JSON."""
    text = os.environ.get(name) or default
    try:
        return msgspec.json.decode(text, type=kind)
    except msgspec.DecodeError as exc:
        raise InvalidRequestError(f"{name}: expected JSON such as {default}, got {text!r}") from exc


env_id = os.environ.get("GYMNASIUM_ENV_ID") or "CartPole-v1"
kwargs = from_json("GYMNASIUM_ENV_KWARGS", "{}", dict)
sessions = from_json("MAX_CONCURRENT_ENVS", "8", int)
if __name__ == "__main__":
    flags = [f"--kwargs={json.dumps(kwargs)}", f"--max-sessions={sessions}", *sys.argv[1:]]
    sys.exit(main(["serve", env_id, *flags]))
app = create_app(env_id, kwargs=kwargs, max_sessions=sessions)
