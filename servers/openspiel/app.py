"""An OpenSpiel game, served: ``uvicorn servers.openspiel.app:app``.

The environment variables have the names and the defaults of OpenEnv's own OpenSpiel server, and
companions for what else ``OpenSpielEnv`` takes; one that is set to nothing counts as not set.
"""

import json
import os

from openenv_gym import create_app
from openenv_gym.errors import InvalidRequestError


def from_json(name, default, words=()):
    text = os.environ.get(name) or json.dumps(default)
    if text in words:
        return text
    try:
        value = json.loads(text)
    except ValueError:
        value = None
    if type(value) is not type(default):
        expected = " or ".join([f"a value such as {json.dumps(default)}", *words])
        raise InvalidRequestError(f"{name}: expected {expected}, got {text!r}")
    return value


kwargs = {"agent_player": from_json("OPENSPIEL_AGENT_PLAYER", 0, ("random", "all"))}
if os.environ.get("OPENSPIEL_GAME_PARAMS"):
    kwargs["game_params"] = from_json("OPENSPIEL_GAME_PARAMS", {})
if os.environ.get("OPENSPIEL_MAX_STEPS"):
    kwargs["max_steps"] = from_json("OPENSPIEL_MAX_STEPS", 100)
for name in ("opponent_policy", "observation", "illegal_action"):
    if text := os.environ.get(f"OPENSPIEL_{name.upper()}"):
        kwargs[name] = text.split(",") if "," in text and "(" not in text else text

game = os.environ.get("OPENSPIEL_GAME") or "catch"
app = create_app(
    f"openspiel:{game}", kwargs=kwargs, max_sessions=from_json("MAX_CONCURRENT_ENVS", 8)
)
