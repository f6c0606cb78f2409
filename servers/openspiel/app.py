"""An OpenSpiel game, served: ``uvicorn servers.openspiel.app:app``.

The environment variables have the names and the defaults of OpenEnv's own OpenSpiel server; one
that is set to nothing counts as not set.
"""

from __future__ import annotations

import os

from openenv_gym import create_app
from openenv_gym.errors import InvalidRequestError


def whole_number(name: str, default: int) -> int:
    text = os.environ.get(name) or str(default)
    if not text.isdecimal():
        raise InvalidRequestError(
            f"{name}: expected a whole number such as {default}, got {text!r}"
        )
    return int(text)


app = create_app(
    f"openspiel:{os.environ.get('OPENSPIEL_GAME') or 'catch'}",
    kwargs={
        "agent_player": whole_number("OPENSPIEL_AGENT_PLAYER", 0),
        "opponent_policy": os.environ.get("OPENSPIEL_OPPONENT_POLICY") or "random",
    },
    max_sessions=whole_number("MAX_CONCURRENT_ENVS", 8),
)
