"""An OpenSpiel game, served: ``python servers/openspiel/app.py`` FLAGS.

The variables have the names and the defaults of OpenEnv's own OpenSpiel server, and companions for
what else ``OpenSpielEnv`` takes; one that is set to nothing counts as not set.
"""

import json
import os
import sys
from contextlib import suppress

from openenv_gym import create_app
from openenv_gym.cli import main
from openenv_gym.errors import InvalidRequestError


def from_json(name, default, words=()):
    text = os.environ.get(name) or json.dumps(default)
    with suppress(ValueError):
        value = text if text in words else json.loads(text)
        if text in words or type(value) is type(default):
            return value
    expected = " or ".join([f"a value such as {json.dumps(default)}", *words])
    raise InvalidRequestError(f"{name}: expected {expected}, got {text!r}")


kwargs = {"agent_player": from_json("OPENSPIEL_AGENT_PLAYER", 0, ("random", "all"))}
for name, default in (("game_params", {}), ("max_steps", 100)):
    if os.environ.get(variable := f"OPENSPIEL_{name.upper()}"):
        kwargs[name] = from_json(variable, default)
for name in ("opponent_policy", "observation", "illegal_action"):
    if text := os.environ.get(f"OPENSPIEL_{name.upper()}"):
        kwargs[name] = text.split(",") if "," in text and "(" not in text else text

game = f"openspiel:{os.environ.get('OPENSPIEL_GAME') or 'catch'}"
sessions = from_json("MAX_CONCURRENT_ENVS", 8)
if __name__ == "__main__":
    flags = [f"--kwargs={json.dumps(kwargs)}", f"--max-sessions={sessions}", *sys.argv[1:]]
    sys.exit(main(["serve", game, *flags]))
app = create_app(game, kwargs=kwargs, max_sessions=sessions)
